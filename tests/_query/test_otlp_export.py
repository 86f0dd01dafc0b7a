"""Stored items as lines of OTLP/JSON."""

import json

from lupis_instrument._query.otlp_export import SIGNALS, export_lines


def export(store, signal="traces", since=0):
    """Return the exported requests."""
    return store.store.database.run(
        lambda db: [json.loads(line) for line in export_lines(db, SIGNALS[signal], since, print)]
    )


def test_line_has_items_of_one_resource(store, other_store):
    """A reader may take a line for the request of one process."""
    store.span("a")
    other_store.span("b")
    store.span("c")
    assert [1, 1, 1] == [len(line["resourceSpans"]) for line in export(store)]


def test_signals_are_apart(store):
    """Traces hold the spans, logs the events."""
    store.span()
    store.event("clicked")
    assert (1, 1) == (len(export(store, "traces")), len(export(store, "logs")))


def test_later_pages_start_where_earlier_ones_end(store):
    """Every item is exported once, however many there are."""
    for _ in range(300):
        store.span()
    spans = [
        span
        for line in export(store)
        for span in line["resourceSpans"][0]["scopeSpans"][0]["spans"]
    ]
    assert 300 == len({span["spanId"] for span in spans}) == len(spans)


def test_since_leaves_older_items_out(store):
    """Items that began before are not exported."""
    store.span(ago=7200)
    assert [] == export(store, since=store.now)
