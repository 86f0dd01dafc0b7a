"""`lupis calls`: LLM calls, a line each."""

import csv
import io
import json

import pytest


@pytest.fixture
def models(lupis):
    """Returns the models of the listed calls, in order."""

    def run(*options):
        done = lupis("calls", "--format", "json", *options)
        assert 0 == done.exit_code, done.output
        return [call["model"] for call in json.loads(done.stdout)]

    return run


@pytest.fixture
def filled(store):
    """A store with three calls."""
    store.call("slow", seconds=9, cost=0.1, ago=60)
    store.call("dear", cost=2.0, chat="c", ago=50, **{"user.id": "u"})
    store.call("failed", error="429", ago=40, **{"http.request.resend_count": 1})
    return store


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["failed", "dear", "slow"]),
        (["--limit", "1"], ["failed"]),
        (["--errors"], ["failed"]),
        (["--retried"], ["failed"]),
        (["--slowest", "1"], ["slow"]),
        (["--dearest", "2"], ["dear", "slow"]),
        (["--chat", "c"], ["dear"]),
        (["--user", "u"], ["dear"]),
        (["--model", "slow"], ["slow"]),
        (["--since", "45s"], ["failed"]),
        (["--until", "55s"], ["slow"]),
        (["--filter", "cost>1"], ["dear"]),
        (["--last", "--errors"], ["failed"]),
    ],
)
def test_options_select_and_order_calls(options, expected, filled, models):
    """Without options, the newest call comes first."""
    assert expected == models(*options)


def test_table_shows_errors_and_unknown_costs(filled, lupis):
    """An unknown cost is no zero."""
    line = lupis("calls").stdout.splitlines()[2]
    assert {"failed", "429", "$?"} <= {*line.split()}


def test_csv_is_safe_for_spreadsheets(store, lupis):
    """Names come from users of the program."""
    store.call("=HYPERLINK(1)")
    (row,) = csv.DictReader(io.StringIO(lupis("calls", "--format", "csv").stdout))
    assert ("'=HYPERLINK(1)", "10") == (row["model"], row["input_tokens"])


def test_repeated_requests_and_their_cost(store, lupis):
    """A single call would have been enough."""
    for _ in range(3):
        store.call("m", cost=0.5, **{"lupis.request.fingerprint": "f00d"})
    store.call("other", **{"lupis.request.fingerprint": "cafe"})
    (row,) = json.loads(lupis("calls", "--repeated", "--format", "json").stdout)
    assert ("f00d", 3, 1.5, 1.0) == (
        *(row["fingerprint"], row["calls"], row["cost_usd"], row["repeated_cost_usd"]),
    )
    assert "$1.00" in lupis("calls", "--repeated").stdout


def test_orders_exclude_each_other(lupis):
    """The exit status is 2."""
    assert 2 == lupis("calls", "--slowest", "1", "--dearest", "1").exit_code


@pytest.mark.parametrize("options", [[], ["--repeated"]])
def test_empty_store_is_explained(options, lupis):
    """JSON is still valid."""
    done = lupis("calls", "--format", "json", *options)
    assert ([], True) == (json.loads(done.stdout), "there is no store yet" in done.stderr)
