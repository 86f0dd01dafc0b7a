"""`lupis traces` and `lupis show`: which traces there are, and what is in one."""

import json

import pytest


def trace_of(span):
    """Its id in hexadecimal."""
    return format(span.context.trace_id, "032x")


def listed(lupis, *arguments):
    """The traces as JSON."""
    return json.loads(lupis("traces", "--format", "json", *arguments).stdout)


def test_a_trace_adds_up_its_spans(store, lupis):
    """Named by the span above all others, wherever that stands in the store."""
    root = store.span("agent", ago=100, seconds=50)
    store.call(parent=root, ago=90, seconds=1, input_tokens=10, output_tokens=2, cost=0.5, chat="c")
    store.call(parent=root, ago=80, seconds=40, input_tokens=5, output_tokens=1, error="429")
    (trace,) = listed(lupis)
    assert (trace_of(root), "agent", 3, 2, 1) == tuple(
        trace[name] for name in ("trace", "root", "spans", "calls", "errors")
    )
    assert (15, 3, 0.5, 1, "c") == tuple(
        trace[name] for name in ("input_tokens", "output_tokens", "cost_usd", "unpriced", "chat")
    )


def test_newest_come_first(store, lupis):
    """As many as wanted."""
    traces = [trace_of(store.span(ago=ago)) for ago in (50, 40, 30)]
    assert traces[::-1] == [trace["trace"] for trace in listed(lupis)]
    assert traces[:0:-1] == [trace["trace"] for trace in listed(lupis, "--limit", "2")]
    assert traces[:1:-1] == [trace["trace"] for trace in listed(lupis, "--since", "35s")]


def test_a_listed_trace_has_all_its_spans(store, lupis):
    """Those stored long before the others, too."""
    root = store.span("agent", ago=7200)
    for _ in range(30):
        store.span("other")
    store.span("late", parent=root)
    trace = listed(lupis, "--limit", "1")[0]
    assert (trace_of(root), "agent", 2) == (trace["trace"], trace["root"], trace["spans"])


def test_table_names_the_trace(store, lupis):
    """By as many digits as `show` needs."""
    trace = trace_of(store.call("gpt-4o", cost=0.5))
    line = lupis("traces").stdout.splitlines()[-1]
    assert trace[:12] == line.split()[0]
    assert "$0.5000" in line
    assert "chat gpt-4o" in lupis("show", line.split()[0]).stdout


def test_waterfall_has_children_below_their_parents(store, lupis):
    """In the order they began, each where and as long as it took."""
    root = store.span("agent", ago=100, seconds=100)
    second = store.span("second", parent=root, ago=50, seconds=50)
    store.span("first", parent=root, ago=100, seconds=50)
    store.call(
        "m", parent=second, ago=40, seconds=20, input_tokens=12, output_tokens=3, error="timeout"
    )
    lines = lupis("show", trace_of(root)).stdout.splitlines()[3:]
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


def test_heading_adds_up(store, lupis):
    """Unknown cost is not 0."""
    root = store.span("agent")
    store.call(parent=root, cost=0.5, chat="c")
    store.call(parent=root)
    assert "3 spans  $0.5000 + 1 unpriced  chat c" in lupis("show", trace_of(root)).stdout


def test_spans_whose_parents_are_elsewhere_stand_at_the_top(store, lupis):
    """Or in a circle: each span is shown once."""
    first = store.span("first")
    second = store.span("second", parent=first, ago=50)
    third = store.span("third", parent=second, ago=40)
    store.sql("DELETE FROM item WHERE name = 'first'")
    lines = lupis("show", trace_of(first)).stdout.splitlines()[3:]
    assert ["second", "third"] == [line.split()[0] for line in lines]
    store.sql(
        "UPDATE item SET parent = ? WHERE name = 'second'", third.context.span_id.to_bytes(8, "big")
    )
    lines = lupis("show", trace_of(first)).stdout.splitlines()[3:]
    assert ["second", "third"] == sorted(line.split()[0] for line in lines)


def test_a_deep_trace_is_shown(store, lupis):
    """Deeper than Python recurses, and the line has an end."""
    spans = [store.span("s")]
    store.store.add_items(
        store.encoder.encode_spans(
            [
                spans.append(store.tracer.start_span("s", context=_below(spans[-1])))
                or _ended(spans[-1])
                for _ in range(1500)
            ]
        )
    )
    lines = lupis("show", trace_of(spans[0])).stdout.splitlines()[3:]
    assert 1501 == len(lines)
    assert max(map(len, lines)) < 120


def _below(span):
    from opentelemetry.trace import set_span_in_context

    return set_span_in_context(span)


def _ended(span):
    span.end()
    return span


def test_verbose_shows_attributes_and_events(store, lupis):
    """From the span as it is sent; control characters are spelled out there, too."""
    span = store.tracer.start_span("work", attributes={"a": [1, 2], "b": "x\x1b[0m", "c": 1.5})
    span.record_exception(ValueError("no\nway"))
    span.end()
    store.store.add_items(store.encoder.encode_spans([span]))
    output = lupis("show", "-v", trace_of(span)).stdout
    for text in (
        "a  [1, 2]",
        r"b  x\x1b[0m",
        "c  1.5",
        "event exception",
        "exception.type  ValueError",
    ):
        assert text in output
    assert "\x1b" not in output
    assert "  a  [1, 2]" not in lupis("show", trace_of(span)).stdout


def test_an_ambiguous_beginning_names_the_traces(store, lupis):
    """Some of them."""
    traces = [trace_of(store.span()) for _ in range(40)]
    digit = next(trace[0] for trace in traces if sum(each[0] == trace[0] for each in traces) > 1)
    done = lupis("show", digit)
    assert 1 == done.exit_code
    assert "traces start with these digits" in done.stderr
    assert any(trace in done.stderr for trace in traces if trace[0] == digit)


def test_an_unknown_trace_says_where_to_look(store, lupis):
    """Exit status 1."""
    store.span()
    done = lupis("show", "0" * 32)
    assert 1 == done.exit_code
    assert "`lupis traces` lists" in done.stderr


@pytest.mark.parametrize("text", ["xyz", "", "0x12", "12 34", "a" * 33, "\u0663"])
def test_what_is_no_id_is_refused(text, lupis):
    """Exit status 2."""
    done = lupis("show", text)
    assert 2 == done.exit_code
    assert "hexadecimal digits" in done.stderr


def test_case_of_the_id_is_no_matter(store, lupis):
    """It may come from another tool."""
    assert 0 == lupis("show", trace_of(store.span()).upper()).exit_code
