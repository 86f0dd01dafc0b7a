"""`lupis check`: limits for CI."""

import json

import pytest


@pytest.fixture
def calls(store):
    """Two calls: they cost $0.75, one failed, and they took 1 and 3 seconds."""
    store.call(cost=0.5, seconds=1)
    store.call(cost=0.25, seconds=3, error="429")
    return store


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (["--max-cost", "0.75"], []),
        (["--max-cost", "0.5"], ["cost $0.7500 is over the limit of $0.5000"]),
        (["--max-calls", "1"], ["calls 2 is over the limit of 1"]),
        (["--max-errors", "0"], ["errors 1 is over the limit of 0"]),
        (["--max-p95", "2"], ["p95 3.00 s is over the limit of 2.00 s"]),
        (["--max-tokens", "29"], ["tokens 30 is over the limit of 29"]),
        (["--max-calls", "1", "--filter", "error"], []),
        (["--max-calls", "1", "--max-errors", "0", "--last"], ["calls 2", "errors 1"]),
    ],
)
def test_each_breach_has_a_line(options, lines, calls, lupis):
    """The exit status is 1 if there is one."""
    done = lupis("check", *options)
    assert bool(lines) == done.exit_code
    shown = done.stdout.splitlines() if lines else []
    assert len(lines) == len(shown)
    assert all(text.startswith(line) for text, line in zip(shown, lines))


def test_result_within_the_limits_is_said(calls, lupis):
    """The line gives the figures."""
    assert "within the limits: 2 calls, $0.7500\n" == lupis("check", "--max-calls", "9").stdout


def test_unknown_costs_are_said(calls, lupis):
    """They do not count, and are no zero either."""
    calls.call()
    done = lupis("check", "--max-cost", "1")
    assert (0, "lupis: the cost of 1 calls is unknown\n") == (done.exit_code, done.stderr)


def test_json_has_the_breaches(calls, lupis):
    """And the figures of all limits."""
    done = lupis("check", "--max-calls", "1", "--format", "json")
    shown = json.loads(done.stdout)
    assert (False, [{"limit": "calls", "maximum": 1.0, "value": 2}], 0.75, 1) == (
        *(shown["passed"], shown["breaches"], shown["cost"], done.exit_code),
    )


def test_csv_has_a_row_for_each_limit(calls, lupis):
    """A limit that is not set has no maximum, and is passed."""
    done = lupis("check", "--max-calls", "1", "--format", "csv")
    lines = done.stdout.splitlines()
    assert ["limit,maximum,value,passed", "cost,,0.75,True", "calls,1.0,2,False"] == lines[:3]
    assert (6, 1) == (len(lines), done.exit_code)


def test_calls_may_be_required(store, lupis):
    """A test that called nothing may be broken."""
    assert 0 == lupis("check", "--max-calls", "1").exit_code
    assert 1 == lupis("check", "--require-calls").exit_code


def test_a_limit_is_expected(lupis):
    """The exit status is 2, as for every wrong use."""
    assert 2 == lupis("check").exit_code


def test_one_call_is_singular(store, lupis):
    """Words agree with their number."""
    store.call(cost=0.5)
    assert "within the limits: 1 call, $0.5000\n" == lupis("check", "--max-calls", "1").stdout
