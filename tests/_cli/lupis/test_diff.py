"""`lupis diff`: two runs side by side."""

import csv
import io
import json

import pytest


@pytest.fixture
def runs(store, other_store):
    """Two runs that differ."""
    store.call("m", cost=1.0)
    store.call("old", cost=0.5)
    other_store.call("m", cost=1.5, error="429")
    other_store.call("new", cost=0.25)


@pytest.mark.parametrize("arguments", [["a", "b"], ["a"], ["--last"], ["a", "--last"]])
def test_changes_are_shown(arguments, runs, lupis):
    """The first digits of an id are enough; the newest run is the default."""
    lines = [line.split() for line in lupis("diff", *arguments).stdout.splitlines()]
    assert ["run", "aaaaaaaa", "->", "bbbbbbbb"] == lines[0]
    rows = {line[1]: line for line in lines[3:-2]}
    assert {"m": "+50%", "old": "gone", "new": "new"} == {
        name: row[-1] for name, row in rows.items()
    }
    assert ["$1.00", "->", "$1.50"] == rows["m"][rows["m"].index("$1.00") :][:3]
    assert "+17%" == lines[-1][-1]


def test_json_has_the_figures_of_both_runs(runs, lupis):
    """A model that one run lacks has no calls there."""
    shown = json.loads(lupis("diff", "a", "b", "--format", "json").stdout)
    rows = {row["model"]: row for row in shown["rows"]}
    assert (1, 0) == (rows["old"]["before"]["calls"], rows["old"]["after"]["calls"])
    assert (1.5, 1.75) == tuple(shown["total"][side]["cost_usd"] for side in ("before", "after"))


def test_csv_has_a_column_for_each_side(runs, lupis):
    """They are named before and after."""
    rows = list(csv.DictReader(io.StringIO(lupis("diff", "a", "b", "--format", "csv").stdout)))
    assert {"before_cost_usd", "after_cost_usd"} <= {*rows[0]}
    assert 3 == len(rows)


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        ([], 2, "expected BEFORE and AFTER"),
        (["a", "c"], 1, "no run c"),
        (["a", "b", "--last"], 2, "expected BEFORE and AFTER"),
    ],
)
def test_two_runs_are_expected(arguments, status, problem, runs, lupis):
    """The message says how to find them."""
    done = lupis("diff", *arguments)
    assert (status, True) == (done.exit_code, problem in done.stderr)


def test_a_store_with_one_run_has_nothing_to_compare(store, lupis):
    """The exit status is 1."""
    store.call()
    done = lupis("diff", "--last")
    assert (1, True) == (done.exit_code, "two runs are needed" in done.stderr)
