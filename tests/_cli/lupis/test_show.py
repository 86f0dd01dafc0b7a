"""`lupis show`: the spans of a trace as a waterfall."""

import csv
import json
import re

import pytest
from opentelemetry.trace import set_span_in_context
from servers.recorded import trace_id


def test_waterfall_has_children_below_their_parents(store, lupis):
    """A bar shows the start and the length of its span."""
    root = store.span("agent", ago=100, seconds=100)
    second = store.span("second", parent=root, ago=50, seconds=50)
    store.span("first", parent=root, ago=100, seconds=50)
    store.call(
        "m", parent=second, ago=40, seconds=20, input_tokens=12, output_tokens=3, error="timeout"
    )
    lines = lupis("show", trace_id(root)).stdout.splitlines()[3:]
    assert ["agent", "  first", "  second", "    chat m"] == [
        line[:10].rstrip() if "chat" in line else line.split("\u2588")[0].rstrip() for line in lines
    ]
    bars = [(line.index("\u2588"), line.count("\u2588")) for line in lines]
    whole = bars[0][1]
    assert [(0, whole), (0, whole // 2)] == [
        (start - bars[0][0], length) for start, length in bars[:2]
    ]
    assert abs(bars[2][0] - bars[0][0] - whole / 2) <= 1
    assert "12 -> 3" in lines[3]
    assert "error timeout" in lines[3]


def test_heading_adds_up_the_spans(store, lupis):
    """Unpriced calls are counted, not added as 0."""
    root = store.span("agent")
    store.call(parent=root, cost=0.5, chat="c")
    store.call(parent=root)
    assert (
        "3 spans  2 calls  $0.5000 + 1 unpriced  20 -> 10 tokens  chat c"
        in lupis("show", trace_id(root)).stdout
    )


def test_spans_without_their_parents_are_at_the_top(store, lupis):
    """Every span is shown once, even if the parents form a circle."""
    first = store.span("first")
    second = store.span("second", parent=first, ago=50)
    third = store.span("third", parent=second, ago=40)
    store.sql("DELETE FROM item WHERE name = 'first'")
    lines = lupis("show", trace_id(first)).stdout.splitlines()[3:]
    assert ["second", "third"] == [line.split()[0] for line in lines]
    store.sql(
        "UPDATE item SET parent = ? WHERE name = 'second'", third.context.span_id.to_bytes(8, "big")
    )
    lines = lupis("show", trace_id(first)).stdout.splitlines()[3:]
    assert ["second", "third"] == sorted(line.split()[0] for line in lines)


def test_deep_trace_is_shown(store, lupis):
    """The depth may exceed Python's recursion limit, and lines stay short."""
    spans = [store.span("s")]
    for _ in range(1500):
        child = store.tracer.start_span("s", context=set_span_in_context(spans[-1]))
        child.end()
        spans.append(child)
    store.store.add_items(store.encoder.encode_spans(spans[1:]))
    lines = lupis("show", trace_id(spans[0])).stdout.splitlines()[3:]
    assert 1501 == len(lines)
    assert max(map(len, lines)) < 120


def test_verbose_shows_attributes_and_events(store, lupis):
    """They come from the stored span, with control characters escaped."""
    span = store.tracer.start_span("work", attributes={"a": [1, 2], "b": "x\x1b[0m", "c": 1.5})
    span.record_exception(ValueError("no\nway"))
    span.end()
    store.store.add_items(store.encoder.encode_spans([span]))
    output = lupis("show", "-v", trace_id(span)).stdout
    for text in (
        "a  [1, 2]",
        r"b  x\x1b[0m",
        "c  1.5",
        "event exception",
        "exception.type  ValueError",
    ):
        assert text in output
    assert "\x1b" not in output
    assert "  a  [1, 2]" not in lupis("show", trace_id(span)).stdout


def test_ambiguous_digits_name_the_traces(store, lupis):
    """The error lists the newest traces that match."""
    traces = [trace_id(store.span()) for _ in range(40)]
    digit = next(trace[0] for trace in traces if sum(other[0] == trace[0] for other in traces) > 1)
    done = lupis("show", digit)
    assert 1 == done.exit_code
    assert "traces start with these digits" in done.stderr
    assert any(trace in done.stderr for trace in traces if trace[0] == digit)


def test_unknown_trace_is_an_error_with_a_hint(store, lupis):
    """The exit status is 1."""
    store.span()
    done = lupis("show", "0" * 32)
    assert 1 == done.exit_code
    assert "`lupis traces` and `lupis calls` list" in done.stderr


@pytest.mark.parametrize("text", ["xyz", "", "0x12", "12 34", "a" * 33, "\u0663"])
def test_invalid_trace_ids_are_refused(text, lupis):
    """The exit status is 2."""
    done = lupis("show", "--trace", text)
    assert 2 == done.exit_code
    assert "hexadecimal digits" in done.stderr


def test_id_may_have_upper_case(store, lupis):
    """Other tools may write ids so."""
    assert 0 == lupis("show", trace_id(store.span()).upper()).exit_code


@pytest.mark.parametrize("body", ["'text'", "7", "x'0a05'", "x'7b7d'"])
def test_damaged_body_is_left_out(body, store, lupis):
    """The span stays in the waterfall, and a line on stderr says how many have no attributes."""
    root = store.span("agent", mood="happy")
    store.span("child", parent=root, mood="gloomy")
    store.sql(f"UPDATE body SET data = {body} WHERE id = 2")
    done = lupis("show", "-v", trace_id(root))
    assert (0, "lupis: 1 damaged row of the store left out\n") == (done.exit_code, done.stderr)
    assert ["happy", "child"] == re.findall("child|happy|gloomy", done.stdout)


def test_missing_body_is_left_out(store, lupis):
    """It counts as damaged."""
    root = store.span("agent")
    store.sql("DELETE FROM body")
    done = lupis("show", "-v", trace_id(root))
    assert (0, "lupis: 1 damaged row of the store left out\n") == (done.exit_code, done.stderr)


def test_damaged_span_of_the_trace_is_counted(store, lupis):
    """Damaged spans of other traces are not."""
    root = store.span("agent")
    store.span("child", parent=root)
    store.span("other")
    store.sql("UPDATE item SET duration = 'long' WHERE id > 1")
    done = lupis("show", trace_id(root))
    assert (0, "lupis: 1 damaged row of the store left out\n") == (done.exit_code, done.stderr)


def test_long_name_is_cut(store, lupis):
    """A name of a million characters takes no longer than others."""
    done = lupis("show", trace_id(store.span("n" * 1_000_000)))
    assert f"{'n' * 22}\u2026{'n' * 21}  " in done.stdout


def test_run_is_shown_in_the_order_of_time(store, other_store, lupis):
    """Spans nest where they have parents, and other runs are left out."""
    root = store.span("agent", ago=50, seconds=20)
    store.call("nested", parent=root, ago=45)
    store.call("early", ago=60)
    other_store.call("other")
    for arguments in (["--run", "aa"], ["aaaa"]):
        shown = lupis("show", *arguments).stdout
        names = [line.split("  ")[0] or "nested" for line in shown.splitlines()[3:]]
        assert ["chat early", "agent", "nested"] == names
        assert shown.startswith(f"run {'a' * 32}\n")


def test_last_run_is_shown(store, other_store, lupis):
    """It stored the newest span."""
    store.call("first")
    other_store.call("second")
    shown = lupis("show", "--last").stdout
    assert ("second" in shown, "first" in shown) == (True, False)


def test_long_run_is_cut(store, lupis):
    """A note says so, and the totals are of the whole run."""
    for _ in range(3):
        store.call(cost=0.25)
    shown = lupis("show", "--last", "--limit", "2").stdout
    assert 2 == shown.count("chat gpt-4o")
    assert "3 calls  $0.7500" in shown
    assert "only the first 2 spans" in shown


def test_conversation_is_shown(store, lupis):
    """Its id may be any text."""
    store.call("m", chat="my trip")
    for arguments in (["my trip"], ["--chat", "my trip"]):
        assert lupis("show", *arguments).stdout.startswith("conversation my trip\n")


def test_json_has_the_spans_with_their_depth(store, lupis):
    """With -v, they have attributes and events."""
    root = store.span("agent")
    store.call("m", parent=root, cost=0.5, ago=30)
    shown = json.loads(lupis("show", "--format", "json", trace_id(root)).stdout)
    assert ("trace", trace_id(root), 1, 0.5) == tuple(
        shown[name] for name in ("kind", "id", "calls", "cost_usd")
    )
    assert [("agent", 0), ("chat m", 1)] == [
        (span["name"], span["depth"]) for span in shown["spans"]
    ]
    verbose = json.loads(lupis("show", "-v", "--format", "json", trace_id(root)).stdout)
    assert "m" == verbose["spans"][1]["attributes"]["gen_ai.request.model"]


def test_csv_has_a_row_for_each_span(store, lupis):
    """With the fields of JSON; with -v, attributes and events are JSON in a cell."""
    root = store.span("agent")
    store.call("m", parent=root, cost=0.5)
    names, *rows = csv.reader(lupis("show", "--format", "csv", trace_id(root)).stdout.splitlines())
    spans = [dict(zip(names, row)) for row in rows]
    assert [("agent", "0", ""), ("chat m", "1", "0.5")] == [
        (span["name"], span["depth"], span["cost_usd"]) for span in spans
    ]
    done = lupis("show", "-v", "--format", "csv", trace_id(root))
    *_, last = csv.DictReader(done.stdout.splitlines())
    assert "m" == json.loads(last["attributes"])["gen_ai.request.model"]


@pytest.mark.parametrize("arguments", [[], ["a", "--last"], ["--run", "a", "--chat", "c"]])
def test_one_subject_is_expected(arguments, store, lupis):
    """The message lists the options."""
    store.call()
    done = lupis("show", *arguments)
    assert (2, True) == (done.exit_code, "expected an ID, or one of" in done.stderr)
