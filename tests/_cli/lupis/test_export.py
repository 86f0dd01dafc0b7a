"""`lupis export`: the content of the store as OTLP/JSON."""

import json


def export(lupis, *arguments):
    """Return the exported requests."""
    done = lupis("export", *arguments)
    assert (0, "") == (done.exit_code, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def list_spans(exported):
    """Return all spans in exported requests."""
    return [
        span
        for line in exported
        for resource in line["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def test_events_are_exported_as_log_records(store, lupis):
    """They are a signal of their own, as in OpenTelemetry's file exporter."""
    store.span()
    store.event("clicked", chat="c", deep={"list": [1, "two", None, True, 2.5]})
    (line,) = export(lupis, "--signal", "logs")
    (record,) = line["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert "clicked" == record["eventName"]
    assert 1 == len(list_spans(export(lupis)))


def test_every_span_is_exported_once(store, other_store, lupis):
    """The spans of several processes come in the order of storing."""
    for number in range(700):
        (store if number % 3 else other_store).span(f"span {number}")
    exported = export(lupis)
    assert [f"span {number}" for number in range(700)] == [
        span["name"] for span in list_spans(exported)
    ]
    assert 2 < len(exported)


def test_since_leaves_older_spans_out(store, lupis):
    """Spans that began before are not exported."""
    store.span("old", ago=7200)
    store.span("new", ago=60)
    assert ["new"] == [span["name"] for span in list_spans(export(lupis, "--since", "1h"))]
