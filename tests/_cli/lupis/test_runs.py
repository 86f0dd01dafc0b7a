"""`lupis runs`: the newest runs."""

import csv
import io
import json


def test_runs_are_listed_newest_first(store, other_store, lupis):
    """The short id, the project and the figures are in the table."""
    store.call(cost=0.5)
    other_store.call(error="429")
    lines = lupis("runs").stdout.splitlines()
    assert ["bbbbbbbb", "aaaaaaaa"] == [line.split()[0] for line in lines[2:4]]
    assert {"shop", "1", "$0.5000"} <= {*lines[3].split()}
    assert "next: lupis show bbbbbbbb, or lupis report --last" == lines[-1]


def test_command_line_is_shown(lupis, make_filler):
    """It tells runs from each other."""
    filler = make_filler(command="python agent.py --fast")
    filler.call()
    assert "python agent.py --fast" in lupis("runs").stdout


def test_json_and_csv_have_the_same_fields(store, lupis):
    """Times are in ISO 8601."""
    store.call(cost=0.5)
    (row,) = json.loads(lupis("runs", "--format", "json").stdout)
    (cells,) = csv.DictReader(io.StringIO(lupis("runs", "--format", "csv").stdout))
    assert [*row] == [*cells]
    assert ("a" * 32, 1, 0.5, 1) == (row["run"], row["calls"], row["cost_usd"], row["processes"])


def test_options_select_runs(store, other_store, lupis):
    """By project, age and number."""
    store.call()
    other_store.call()

    def ids(*options):
        return [
            row["run"][0] for row in json.loads(lupis("runs", "--format", "json", *options).stdout)
        ]

    assert ["a"] == ids("--project", "shop")
    assert ["b"] == ids("--limit", "1")
    assert [] == ids("--since", "1s")


def test_empty_store_is_explained(lupis):
    """JSON is still valid."""
    done = lupis("runs", "--format", "json")
    assert ([], True) == (json.loads(done.stdout), "No runs" in done.stderr)
