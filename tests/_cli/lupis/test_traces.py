"""`lupis traces`: the newest traces in the store."""

import json

import pytest
from servers.recorded import trace_id


def list_traces(lupis, *arguments):
    """Return the traces as JSON."""
    return json.loads(lupis("traces", "--format", "json", *arguments).stdout)


def test_trace_adds_up_its_spans(store, lupis):
    """The root names the trace, wherever the store has it."""
    root = store.span("agent", ago=100, seconds=50)
    store.call(parent=root, ago=90, seconds=1, input_tokens=10, output_tokens=2, cost=0.5, chat="c")
    store.call(parent=root, ago=80, seconds=40, input_tokens=5, output_tokens=1, error="429")
    (trace,) = list_traces(lupis)
    assert (trace_id(root), "agent", 3, 2, 1) == tuple(
        trace[name] for name in ("trace", "root", "spans", "calls", "errors")
    )
    assert (15, 3, 0.5, 1, "c") == tuple(
        trace[name] for name in ("input_tokens", "output_tokens", "cost_usd", "unpriced", "chat")
    )


def test_newest_traces_come_first(store, lupis):
    """Options limit their number and their age."""
    traces = [trace_id(store.span(ago=ago)) for ago in (50, 40, 30)]
    assert traces[::-1] == [trace["trace"] for trace in list_traces(lupis)]
    assert traces[:0:-1] == [trace["trace"] for trace in list_traces(lupis, "--limit", "2")]
    assert traces[:1:-1] == [trace["trace"] for trace in list_traces(lupis, "--since", "35s")]


def test_listed_trace_has_all_its_spans(store, lupis):
    """Spans that were stored long before the others count too."""
    root = store.span("agent", ago=7200)
    for _ in range(30):
        store.span("other")
    store.span("late", parent=root)
    trace = list_traces(lupis, "--limit", "1")[0]
    assert (trace_id(root), "agent", 2) == (trace["trace"], trace["root"], trace["spans"])


def test_table_shows_enough_digits_of_the_id(store, lupis):
    """`lupis show` accepts these digits."""
    trace = trace_id(store.call("gpt-4o", cost=0.5))
    line = lupis("traces").stdout.splitlines()[-1]
    assert trace[:12] == line.split()[0]
    assert "$0.5000" in line
    assert "chat gpt-4o" in lupis("show", line.split()[0]).stdout


DAMAGES = {
    "time": "at = 'noon'",
    "duration": "duration = x'00'",
    "name": "name = x'ff'",
    "trace": "trace = 'text'",
    "parent": "parent = 7.5",
    "chat": "chat = x'00'",
    "provider": "provider = x'00'",
    "tokens": "input_tokens = x'00'",
    "error": "error = x'00'",
    "kind": "kind = 'span'",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_rows_are_left_out(damage, store, lupis):
    """A line on stderr says how many, and the exit status is as usual."""
    store.call("gpt-4o")
    store.call("gpt-4o")
    store.sql(f"UPDATE item SET {DAMAGES[damage]} WHERE id = (SELECT max(id) FROM item)")
    done = lupis("traces", "--format", "json")
    assert (0, 1) == (done.exit_code, len(json.loads(done.stdout)))
    assert "lupis: 1 damaged row of the store left out\n" == done.stderr


def test_text_that_is_no_utf_8_is_shown_in_part(store, lupis):
    """A replacement character stands for each wrong byte."""
    store.call("gpt-4o")
    store.sql("UPDATE item SET name = CAST(x'61ff' AS TEXT)")
    (trace,) = list_traces(lupis)
    assert "a\ufffd" == trace["root"]
