"""Each exporter takes spans and events, and counts where they went."""

import contextlib
import json
import threading

import pytest

from lupis_instrument._export.accounting import Account
from lupis_instrument._export.export_worker import ExportWorker
from lupis_instrument._export.exporters import (
    CaptureExporter,
    ConsoleExporter,
    NoopExporter,
    OtlpExporter,
)
from lupis_instrument._export.otlp.destinations import Destination, Router
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._export.retry_manager import RetryManager

EVENT = {"timestamp": 1, "name": "bought", "properties": {"città": "Lucca"}, "metadata": {}}


@pytest.fixture
def account():
    """The counts of the items."""
    return Account()


def test_the_noop_exporter_has_no_effect(finished, capsys):
    """With `LUPIS_EXPORTER=none`, nothing is shown."""
    exporter = NoopExporter()
    exporter.export_spans([finished()])
    exporter.export_events([EVENT])
    assert ("", "") == tuple(capsys.readouterr())


def test_the_console_exporter_writes_spans_to_stderr(finished, account, capsys):
    """The output of the program is left alone."""
    ConsoleExporter(account).export_spans([finished("trip")])
    output = capsys.readouterr()
    assert ("", "   1.00 s  trip\n") == (output.out, output.err)


def test_the_console_exporter_writes_one_line_for_each_event(account, capsys):
    """Letters of all languages stay readable."""
    ConsoleExporter(account).export_events([EVENT, EVENT])
    assert '  event  bought  {"città": "Lucca"}\n' * 2 == capsys.readouterr().err


def test_the_console_exporter_counts_items_as_delivered(finished, account):
    """The terminal is their endpoint."""
    exporter = ConsoleExporter(account)
    exporter.export_spans([finished(), finished()])
    exporter.export_events([EVENT])
    assert (3, 3, 0) == (account.created, account.delivered, account.pending)


def test_the_console_exporter_does_not_count_what_it_cannot_write(finished, account, monkeypatch):
    """The items stay pending, and the worker reports the error."""

    class Closed:
        def write(self, _):
            raise ValueError("I/O operation on closed file")

    monkeypatch.setattr("sys.stderr", Closed())
    with pytest.raises(ValueError, match="closed file"):
        ConsoleExporter(account).export_spans([finished()])
    assert (1, 0, 1) == (account.created, account.delivered, account.pending)


def test_the_otlp_exporter_sends_spans_and_events(finished, account, store, sink, target_of):
    """Each kind goes to its own endpoint."""
    router = Router(
        "otlp",
        Destination(target_of(sink.otlp_url), {}),
        Destination(target_of(sink.events_url, "events"), {}),
        None,
    )
    manager = RetryManager(store, account, Sender({}))
    worker = ExportWorker(manager, router, contextlib.nullcontext)
    span = finished("trip")
    exporter = OtlpExporter(ItemEncoder(span.resource), worker, account)
    exporter.export_spans([span])
    exporter.export_events([EVENT])
    assert worker.stop(10)
    assert (["trip"], [EVENT]) == ([span["name"] for span in sink.spans], sink.events)
    assert (2, 2) == (account.created, account.delivered)


def test_the_capture_exporter_keeps_items_in_order(finished):
    """They are for `testing.capture`."""
    exporter = CaptureExporter()
    spans = [finished("one"), finished("two"), finished("three")]
    exporter.export_spans(spans[:2])
    exporter.export_spans(spans[2:])
    exporter.export_events([EVENT])
    assert (spans, [EVENT]) == (exporter.get_spans(), exporter.get_events())


def test_the_capture_exporter_hands_out_copies(finished):
    """Spans that come later do not change them."""
    exporter = CaptureExporter()
    before = exporter.get_spans()
    exporter.export_spans([finished()])
    assert [] == before


def test_a_cleared_capture_exporter_is_empty(finished):
    """It can be used again."""
    exporter = CaptureExporter()
    exporter.export_spans([finished()])
    exporter.export_events([EVENT])
    exporter.clear()
    assert ([], []) == (exporter.get_spans(), exporter.get_events())


def test_the_capture_exporter_may_be_used_by_many_threads():
    """The workers of spans and of events have one thread each."""
    exporter = CaptureExporter()

    def export():
        for number in range(100):
            exporter.export_events([{"number": number}])

    threads = [threading.Thread(target=export) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert 800 == len(exporter.get_events())


def test_events_are_encoded_as_json(finished, account, store, target_of):
    """The store keeps them in this form."""
    router = Router("local", Destination(target_of("http://127.0.0.1:1/"), {}), None, None)
    worker = ExportWorker(RetryManager(store, account, Sender({})), router, contextlib.nullcontext)
    OtlpExporter(ItemEncoder(finished().resource), worker, account).export_events([EVENT])
    assert worker.stop(10)
    bodies = store.database.run(lambda db: db.execute("SELECT data FROM body").fetchall())
    assert [EVENT] == [json.loads(body) for (body,) in bodies]
