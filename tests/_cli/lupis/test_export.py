"""`lupis export`: the content of the store as OTLP/JSON."""

import json
import re

import pytest


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


def test_one_run_is_exported(store, other_store, lupis):
    """Its first digits name it, and --last names the newest run."""
    store.span("first")
    other_store.span("second")
    runs = dict(store.sql("SELECT name, run FROM item JOIN origin ON origin.id = origin"))
    (first,) = list_spans(export(lupis, "--run", runs["first"]))
    (last,) = list_spans(export(lupis, "--last"))
    assert ("first", "second") == (first["name"], last["name"])


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


BAD_BODIES = ("'text'", "7", "1e999", "x'0a05'", "x'7b7d'", "x'00ff'", "'[1]'", "'{\"a\":'")


@pytest.mark.parametrize("body", BAD_BODIES)
@pytest.mark.parametrize(("signal", "intact"), [("traces", 2), ("logs", 2)])
def test_damaged_bodies_are_left_out(body, signal, intact, store, lupis):
    """The others are exported, and a line on stderr says how many are missing."""
    for _ in range(3):
        store.span()
        store.event("clicked")
    store.sql(f"UPDATE body SET data = {body} WHERE id IN (3, 4)")
    done = lupis("export", "--signal", signal)
    assert (0, "lupis: 1 damaged row of the store left out\n") == (done.exit_code, done.stderr)
    names = re.findall('"(?:eventName|endTimeUnixNano)"', done.stdout)
    assert intact == len(names)


@pytest.mark.parametrize("damage", ["resource = 'text'", "scope = x'7b7d'", "id = 99"])
def test_items_of_a_damaged_origin_are_left_out(damage, store, other_store, lupis):
    """The items of other processes are exported."""
    store.span("a")
    other_store.span("b")
    store.sql(f"UPDATE origin SET {damage} WHERE id = 1")
    done = lupis("export")
    assert (0, "lupis: 1 damaged row of the store left out\n") == (done.exit_code, done.stderr)
    assert ["b"] == [span["name"] for span in list_spans(map(json.loads, done.stdout.splitlines()))]
