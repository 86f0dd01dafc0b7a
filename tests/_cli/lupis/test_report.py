"""`lupis report`: what the calls in the store add up to."""

import csv
import io
import json
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lupis_instrument._query.calls import (
    GROUPINGS,
    PERCENTILES,
    CallFilter,
    build_statement,
    find_percentiles,
)

DAY = 86_400


def read(lupis, *arguments):
    """The report as JSON."""
    done = lupis("report", "--format", "json", *arguments)
    assert 0 == done.exit_code, done.output
    return json.loads(done.stdout)


def test_adds_up_by_model(store, lupis):
    """Calls, errors, tokens, cost and time of each model, the dearest first."""
    store.call("small", input_tokens=10, output_tokens=1, cached_tokens=4, cost=0.25, seconds=2)
    store.call(
        "small", input_tokens=20, output_tokens=2, cached_tokens=5, cost=0.5, error="429", seconds=3
    )
    store.call("large", "anthropic", input_tokens=7, output_tokens=3, cost=2.0, seconds=1)
    store.span("no call at all")
    rows = read(lupis)["rows"]
    names = ("provider", "model", "calls", "errors", "input_tokens", "output_tokens")
    names += ("cached_tokens", "cost_usd", "seconds")
    assert [
        ("anthropic", "large", 1, 0, 7, 3, 0, 2.0, 1.0),
        ("openai", "small", 2, 1, 30, 3, 9, 0.75, 5.0),
    ] == [tuple(row[name] for name in names) for row in rows]


def test_total_is_of_all_groups(store, lupis):
    """Percentiles, too, are those of all calls, not of the groups' percentiles."""
    for seconds in (1, 1, 1, 9):
        store.call("a", seconds=seconds, cost=1.0)
    store.call("b", seconds=2, cost=0.5)
    total = read(lupis)["total"]
    assert (5, 4.5, 14.0) == (total["calls"], total["cost_usd"], total["seconds"])
    assert (1.0, 9.0) == (total["latency_p50_seconds"], total["latency_p95_seconds"])


def test_unknown_cost_is_not_zero(store, lupis):
    """It is absent, and such calls are counted."""
    store.call("known", cost=1.0)
    store.call("unknown")
    store.call("partly", cost=0.5, status="partial")
    found = read(lupis)
    costs = {
        row["model"]: (row["cost_usd"], row["unpriced"], row["partly_priced"])
        for row in found["rows"]
    }
    assert {"known": (1.0, 0, 0), "unknown": (None, 1, 0), "partly": (0.5, 0, 1)} == costs
    assert (1.5, 1, 1) == tuple(
        found["total"][name] for name in ("cost_usd", "unpriced", "partly_priced")
    )


def test_nothing_priced_shows_a_dash(store, lupis):
    """In the table, and never $0.00."""
    store.call("unknown")
    output = lupis("report").stdout
    assert "$" not in output
    assert "unpriced" in output


def test_free_calls_cost_nothing(store, lupis):
    """That is known, unlike the cost of an unpriced one."""
    store.call("local", cost=0.0, status="free")
    assert 0.0 == read(lupis)["rows"][0]["cost_usd"]
    assert "$0.00" in lupis("report").stdout


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("provider", [{"provider": "openai"}, {"provider": "anthropic"}]),
        ("chat", [{"chat": "one"}, {"chat": None}]),
        ("project", [{"project": "shop"}, {"project": "lab"}]),
    ],
)
def test_groups(by, keys, store, other_store, lupis):
    """By what the user asks for; what has none is a group, too."""
    store.call(chat="one", cost=2.0)
    other_store.call("sonnet", "anthropic", cost=1.0)
    rows = read(lupis, "--by", by)["rows"]
    assert keys == [{name: row[name] for name in keys[0]} for row in rows]


def test_days_are_local(store, start_lupis):
    """Where clocks differ from UTC by 5:45 hours, a day begins at 18:15 UTC."""
    midnight = store.now // (DAY * 10**9) * DAY * 10**9 - (5 * 60 + 45) * 60 * 10**9
    for offset in (-60, 60):
        store.call(ago=(store.now - midnight) / 1e9 - offset)
    done = start_lupis("report", "--by", "day", "--format", "json", env={"TZ": "NPT-5:45"})
    rows = json.loads(done.communicate()[0])["rows"]
    assert [1, 1] == [row["calls"] for row in rows]
    assert rows[0]["day"] < rows[1]["day"]


def test_since_leaves_older_calls_out(store, lupis):
    """Those that began before."""
    store.call("old", ago=2 * 3600)
    store.call("new", ago=60)
    assert ["new"] == [row["model"] for row in read(lupis, "--since", "1h")["rows"]]


@pytest.mark.parametrize(
    ("chosen", "models"),
    [
        (["--chat", "two"], ["b", "c"]),
        (["--run", "a" * 32], ["a", "b"]),
        (["--run", "bb"], ["c"]),
        (["--run", "aaaa", "--chat", "two"], ["b"]),
        (["--run", "c"], []),
    ],
)
def test_chat_and_run_choose(chosen, models, store, other_store, lupis):
    """A launch by how its id begins."""
    store.call("a", chat="one")
    store.call("b", chat="two")
    other_store.call("c", chat="two")
    assert models == sorted(row["model"] for row in read(lupis, *chosen)["rows"])


def test_time_to_first_chunk(store, lupis):
    """Of those calls that have one."""
    store.call(first_chunk=0.25)
    store.call(first_chunk=0.75)
    store.call()
    row = read(lupis)["rows"][0]
    assert (0.25, 0.75) == (row["first_chunk_p50_seconds"], row["first_chunk_p99_seconds"])


def test_no_first_chunk_is_absent(store, lupis):
    """It is not 0 seconds."""
    store.call()
    assert None is read(lupis)["rows"][0]["first_chunk_p50_seconds"]


@given(st.lists(st.integers(0, 50), min_size=1))
def test_percentiles_are_the_nearest_ranks(times):
    """The least value that so many percent of all are not above."""
    counted = {time: times.count(time) for time in times}
    ranks = [math.ceil(Fraction(len(times) * share, 100)) for share in PERCENTILES]
    assert tuple(sorted(times)[rank - 1] for rank in ranks) == find_percentiles(counted)


def test_times_of_many_calls_are_told_apart_to_the_millisecond(store, lupis):
    """Which is much faster to count; of few, to the microsecond."""
    store.call(seconds=0.0123456)
    assert 0.012345 == read(lupis)["rows"][0]["latency_p50_seconds"]
    store.sql("UPDATE sequence SET last = 200000")
    store.call(seconds=0.0123456)
    assert 0.012 == read(lupis)["rows"][0]["latency_p50_seconds"]


def test_what_a_program_sets_cannot_break_it(store, lupis):
    """Any program may set any attribute to anything."""
    huge = (1 << 63) - 1
    for tokens in ("many", huge, huge, huge, 1.5, float("inf")):
        store.call(
            input_tokens=tokens,
            output_tokens=huge,
            cost=float("inf"),
            first_chunk=float("nan"),
            cached_tokens=-1,
        )
    store.call(cost="a lot", first_chunk="soon", seconds=0)
    store.call(cost=1.0, first_chunk=float("inf"), ago=-(10**9))
    for by in GROUPINGS:
        done = lupis("report", "--by", by)
        assert 0 == done.exit_code, done.exception
        assert 8 == read(lupis, "--by", by)["total"]["calls"]


def test_csv_is_for_spreadsheets(store, lupis):
    """A header, a row for each group, plain numbers; no totals, which would be added up again."""
    store.call('odd, "name"', cost=0.5, input_tokens=12_345)
    store.call("unknown")
    rows = list(csv.DictReader(io.StringIO(lupis("report", "--format", "csv").stdout)))
    assert ['odd, "name"', "unknown"] == [row["model"] for row in rows]
    assert ("12345", "0.5") == (rows[0]["input_tokens"], rows[0]["cost_usd"])
    assert "" == rows[1]["cost_usd"]


def test_table_ends_with_the_total(store, lupis):
    """With human figures."""
    store.call(input_tokens=1_234_567, cost=0.5)
    store.call(input_tokens=1_000_000, cost=0.25)
    lines = lupis("report").stdout.splitlines()
    assert lines[0].split()[:3] == ["provider", "model", "calls"]
    assert ["total", "2", "2.23M"] == lines[-1].split()[:3]
    assert "$0.7500" in lines[-1]


def test_table_has_no_empty_columns(store, lupis):
    """Errors and the like only where there are any."""
    store.call(cost=0.5)
    assert not {"errors", "unpriced", "cached"} & set(lupis("report").stdout.split())
    store.call(error="429", cost=0.5)
    assert "errors" in lupis("report").stdout.split()


def test_names_cannot_steer_the_terminal(store, lupis):
    """Control characters and those that turn the direction of text are spelled out."""
    store.call("evil\x1b[2J\u202e", chat="\r\nfake")
    output = lupis("report").stdout + lupis("report", "--by", "chat").stdout
    assert r"evil\x1b[2J\u202e" in output
    assert r"\r\nfake" in output


@pytest.mark.parametrize("by", GROUPINGS)
def test_reads_the_index_alone(by, store):
    """A million calls are added up from it in less than a second; the table is ten times the size."""
    store.call()
    plan = " ".join(
        str(row)
        for row in store.sql(
            f"EXPLAIN QUERY PLAN {build_statement(GROUPINGS[by], CallFilter(), 1)}"
        )
    )
    assert "COVERING INDEX item_call" in plan


@pytest.mark.parametrize("by", ["model", "provider", "project"])
def test_needs_no_sorting(by, store):
    """The index has the order that these are grouped in."""
    store.call()
    plan = store.sql(f"EXPLAIN QUERY PLAN {build_statement(GROUPINGS[by], CallFilter(), 1)}")
    assert "TEMP B-TREE" not in str(plan)
