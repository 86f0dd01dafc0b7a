"""The thread sends each batch, or stores it when the endpoint or the time does not suffice."""

import contextlib
import sqlite3
import threading
import time

import pytest

from lupis_instrument._export.accounting import Account
from lupis_instrument._export.export_worker import MAX_QUEUED_BYTES, ExportBatch, ExportWorker
from lupis_instrument._export.otlp.destinations import Destination, Router
from lupis_instrument._export.otlp.encoded_items import SPAN
from lupis_instrument._export.otlp.responses import ExportResponse, ExportResult
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._export.retry_manager import RetryManager
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._process.background_thread import find_current_thread

PATIENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "100"}
"""Variables of an exporter that waits longer for an answer than any test."""

DOWN = ExportResponse(ExportResult.RETRY, "Connection refused")


class CountedWorker(ExportWorker):
    """An export worker together with the account of its items."""

    def __init__(self, store, destination):
        self.account = Account()
        router = Router("otlp", destination, None, None)
        super().__init__(
            RetryManager(store, self.account, Sender(PATIENT)), router, contextlib.nullcontext
        )

    def put_items(self, items):
        """Queues new items as one batch."""
        self.account.add_created(len(items))
        self.put_batch(ExportBatch(SPAN, items, sum(len(item.body) for item in items)))

    def store_items(self, items, destination):
        """Stores new items as `Delivery.store_span` does."""
        self._retry_manager._store.add_items(items, destination.target)
        self.account.add_created(len(items))
        self.account.add_stored(len(items))
        self.send_stored(destination)

    @property
    def counts(self):
        """Delivered, stored, lost and pending items."""
        account = self.account
        return account.delivered, account.stored, account.lost, account.pending


@pytest.fixture
def target(sink, target_of):
    """The endpoint of the sink."""
    return target_of(sink.otlp_url)


@pytest.fixture
def destination(target):
    """The sink as a destination."""
    return Destination(target, {})


@pytest.fixture
def worker(store, destination):
    """An export worker that sends to the sink."""
    worker = CountedWorker(store, destination)
    yield worker
    worker.stop(0.5)


def names_in(sink):
    """The names of the spans that arrived, sorted by number."""
    return sorted((span["name"] for span in sink.spans), key=int)


def cannot_store(*_, **__):
    """Stands in for `Store.add_items` of a full disk."""
    raise StoreUnavailable("full")


# while the program runs


def test_a_batch_is_sent_at_once(worker, sink, items):
    """Nobody has to ask for it."""
    worker.put_items(items(2))
    sink.wait_for(2)
    assert worker.flush(60)
    assert (2, 0, 0, 0) == worker.counts


def test_batches_of_many_threads_arrive_once(worker, sink, items):
    """No item is lost on the way."""
    batches = [items(5, first=number * 5) for number in range(40)]
    threads = [threading.Thread(target=worker.put_items, args=(batch,)) for batch in batches]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert worker.flush(10)
    assert list(map(str, range(200))) == names_in(sink)


def test_a_flush_does_not_wait_for_the_next_attempt(worker, sink, items):
    """The endpoint may be up again, whether the thread runs or has ended meanwhile."""
    sink.fail(503, times=1, retry_after="30")
    worker.put_items(items(1))
    worker.flush(60)  # whether the answer has come by then or not
    assert worker.flush(60)
    worker.stop(1)
    sink.fail(503, times=1, retry_after="30")
    worker.put_items(items(1, first=1))
    worker.stop(1)
    assert worker.flush(60)
    assert (["0", "1"], (2, 0, 0, 0)) == (names_in(sink), worker.counts)


def test_under_overload_items_are_stored(worker, sink, items):
    """A thread that brings too many items stores them, and does not wait for the network."""
    sink.hang()
    for number in range(6):
        worker.put_items(items(1, first=number, size=MAX_QUEUED_BYTES // 3))
    assert worker.account.stored >= 1
    assert worker.stop(0.3)
    assert 6 == worker.account.stored


def test_a_batch_that_is_being_sent_counts_as_memory(worker, sink, items):
    """A large one leaves no room for another one, which goes to the store."""
    sink.hang()
    worker.put_items(items(1, size=MAX_QUEUED_BYTES))
    while worker._current is None:  # the thread takes it
        time.sleep(0.01)
    worker.put_items(items(1, first=1, size=MAX_QUEUED_BYTES))
    assert 1 == worker.account.stored
    assert worker.stop(0.3)
    assert 2 == worker.account.stored


def test_items_stored_under_overload_are_sent(worker, sink, items, monkeypatch):
    """It happens as soon as the endpoint is faster."""
    worker.put_items(items(1, first=6))
    assert worker.flush(60)
    fast = threading.Event()
    send_request = Sender.send_request
    monkeypatch.setattr(
        Sender,
        "send_request",
        lambda *args, **options: fast.wait(60) and send_request(*args, **options),
    )
    for number in range(6):
        worker.put_items(items(1, first=number, size=MAX_QUEUED_BYTES // 3))
    assert worker.account.stored >= 1
    fast.set()
    assert worker.flush(10)
    assert (7, 0, 0, 0) == worker.counts


def test_items_that_the_caller_stored_are_sent(worker, sink, items, destination):
    """The end of the process waits for them."""
    worker.store_items(items(3), destination)
    assert worker.stop(60)
    assert (["0", "1", "2"], (3, 0, 0, 0)) == (names_in(sink), worker.counts)


def test_items_stored_while_a_retry_ends_are_sent_too(
    worker, sink, items, store, destination, monkeypatch
):
    """The retry has read the store before they were in it."""
    release_lease = store.release_lease

    def release_and_store(*args):
        release_lease(*args)
        monkeypatch.undo()
        worker.store_items(items(1, first=1), destination)

    monkeypatch.setattr(store, "release_lease", release_and_store)
    worker.store_items(items(1), destination)
    sink.wait_for(1)
    assert worker.stop(60)
    assert (["0", "1"], (2, 0, 0, 0)) == (names_in(sink), worker.counts)


@pytest.mark.parametrize(
    ("method", "counts"),
    [("deliver_items", (3, 0, 0, 0)), ("_record_response", (1, 0, 2, 0))],
)
def test_after_an_internal_error_the_thread_goes_on(
    method, counts, worker, sink, items, monkeypatch, capsys
):
    """The items are stored and sent later; they are lost only if their outcome was known."""
    monkeypatch.setattr(RetryManager, method, lambda *_: 1 / 0)
    worker.put_items(items(2))
    worker.flush(60)
    monkeypatch.undo()
    worker.put_items(items(1, first=2))
    assert worker.flush(60)
    assert counts == worker.counts
    assert counts[2] == worker.account.dropped.get("fault", 0)
    assert "ZeroDivisionError" in capsys.readouterr().err


# the end of the process


def test_the_end_is_limited_in_time(worker, sink, items):
    """Items that a silent collector has not accepted are in the store, once."""
    sink.hang()
    worker.put_items(items(5))
    sink.wait_for(1, "requests")
    worker.put_items(items(5, first=5))
    began = time.monotonic()
    assert worker.stop(0.5)
    assert time.monotonic() - began < 30
    assert (0, 10, 0, 0) == worker.counts


@pytest.mark.slow
@pytest.mark.parametrize("works", [True, False])
def test_the_end_waits_while_the_thread_stores_items(worker, items, store, monkeypatch, works):
    """A request gives up at the same time as the end, so its items are being stored just then."""
    began = threading.Event()
    add_items = store.add_items

    def store_slowly(*args, **options):
        began.set()
        time.sleep(1)
        if not works:
            raise StoreUnavailable("full")
        return add_items(*args, **options)

    monkeypatch.setattr(store, "add_items", store_slowly)
    monkeypatch.setattr(Sender, "send_request", lambda *_, **__: DOWN)
    worker.put_items(items(3))
    assert began.wait(60)
    assert works == worker.stop(0.3)
    assert ((0, 3, 0, 0) if works else (0, 0, 3, 0)) == worker.counts


def test_without_a_store_the_end_counts_items_under_way_as_lost(
    worker, sink, items, store, monkeypatch
):
    """Nobody knows whether they arrived."""
    monkeypatch.setattr(store, "add_items", cannot_store)
    sink.fail(503, times=1, retry_after="1")
    worker.put_items(items(3))
    sink.wait_for(1, "requests")
    sink.hang()
    sink.wait_for(2, "requests")
    assert not worker.stop(0.3)
    assert ((0, 0, 3, 0), {"no store": 3}) == (worker.counts, worker.account.dropped)


def test_items_that_were_taken_back_are_sent_if_the_program_goes_on(worker, sink, items):
    """They go with the next batch; a second end does not wait for the hanging request again."""
    sink.hang(times=1)
    worker.put_items(items(2))
    sink.wait_for(1, "requests")
    worker.stop(0.3)
    began = time.monotonic()
    assert worker.stop(60)
    assert time.monotonic() - began < 30
    sink.ended.set()
    worker.put_items(items(1, first=2))
    assert worker.flush(60)
    assert (3, 0, 0, 0) == worker.counts


@pytest.mark.slow
def test_a_locked_store_delays_the_end_once(worker, sink, items, store):
    """However many batches are to be stored."""
    store.add_items(items(1, first=99))
    store.database.busy_seconds = 1
    sink.hang()
    for number in range(40):
        worker.put_items(items(1, first=number))
    with contextlib.closing(sqlite3.connect(store.database.path(), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert not worker.stop(1)
        assert time.monotonic() - began < 30
        other.execute("ROLLBACK")
    assert (0, 0, 40, 0) == worker.counts


def test_items_without_a_destination_yet_get_one_at_the_end(store, items, destination):
    """The router may be waiting for the network on the thread."""
    chosen = threading.Event()

    class SlowRouter:
        def choose_destination(self, _):
            if find_current_thread() is not None:
                chosen.wait(60)
            return destination

    manager = RetryManager(store, Account(), Sender({}))
    worker = ExportWorker(manager, SlowRouter(), contextlib.nullcontext)
    worker.put_batch(ExportBatch(SPAN, items(1), 10))
    worker.stop(0.3)
    assert 1 == store.count_waiting(destination.target)
    chosen.set()
    worker.stop(60)


@pytest.mark.slow
def test_a_late_response_does_not_count(worker, sink, items, store, target):
    """The item was stored meanwhile, and is sent again: delivery is at least once."""
    sink.slow(0.8)
    worker.put_items(items(1))
    sink.wait_for(0, "requests")
    worker.stop(0.3)
    sink.wait_for(1)
    assert ((0, 1, 0, 0), 1) == (worker.counts, store.count_waiting(target))
    assert worker.flush(60)
    assert ((1, 0, 0, 0), ["0", "0"]) == (worker.counts, names_in(sink))


def test_at_the_end_a_busy_collector_gets_another_chance(worker, sink, items):
    """It gets as many as there is time for."""
    sink.fail(503, times=2, retry_after="0")
    worker.put_items(items(1))
    assert worker.stop(60)
    assert ([503, 503, 200], (1, 0, 0, 0)) == (
        [request.status for request in sink.requests],
        worker.counts,
    )


def test_a_batch_after_the_end_is_sent(worker, sink, items):
    """A program may make calls in its exit handlers."""
    worker.put_items(items(1))
    worker.stop(60)
    worker.put_items(items(1, first=1))
    assert worker.stop(60)
    assert ["0", "1"] == names_in(sink)


def test_the_end_gives_back_the_lease(worker, sink, items, store, destination):
    """Other processes can send, though this thread still waits for a response."""
    store.add_items(items(1), destination.target)
    sink.hang()
    worker.send_stored(destination)
    sink.wait_for(1, "requests")
    assert not store.acquire_lease(destination.target, "another")
    worker.stop(0.3)
    assert store.acquire_lease(destination.target, "another")


# forks


def test_pausing_does_not_wait_for_a_slow_endpoint(worker, sink, items):
    """The thread goes on with its request, whose items belong to the parent."""
    sink.hang()
    worker.put_items(items(1))
    sink.wait_for(1, "requests")
    began = time.monotonic()
    worker.pause(60)
    assert time.monotonic() - began < 30
    worker.resume()


def test_pausing_ends_the_thread(worker, sink, items):
    """After `resume`, it sends the batches that came meanwhile."""
    worker.put_items(items(1))
    sink.wait_for(1)
    worker.pause(60)
    assert None is worker._thread
    worker.put_items(items(1, first=1))
    assert ["0"] == names_in(sink)
    worker.resume()
    sink.wait_for(2)
