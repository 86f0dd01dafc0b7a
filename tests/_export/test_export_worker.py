"""Loads find their way: to their endpoint, or to the store until it answers."""

import contextlib
import gc
import sqlite3
import threading
import time

import pytest

from lupis_instrument._export import held_items, retry_schedule
from lupis_instrument._export.accounting import Account
from lupis_instrument._export.export_worker import MAX_QUEUED_BYTES, ExportBatch, ExportWorker
from lupis_instrument._export.otlp.destinations import Destination
from lupis_instrument._export.otlp.encoded_items import SPAN
from lupis_instrument._export.otlp.responses import ExportResponse, ExportResult
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._export.retry_manager import RetryManager
from lupis_instrument._export.router import Router
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.store import Process, Store

URL = "http://127.0.0.1:1/v1/traces"


class Clock:
    """Goes on when told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Endpoint:
    """A sender, and where it sends to: answers as it is told, and keeps what it took."""

    def __init__(self):
        self.answers = []
        self.always = ExportResponse(ExportResult.ACCEPTED)
        self.taken = []
        self.requests = 0

    def send_request(self, url, body, headers, **_):
        from servers.otlp import read_spans

        self.requests += 1
        answer = self.answers.pop(0) if self.answers else self.always
        if answer.result == ExportResult.ACCEPTED:
            self.taken += [span["name"] for span in read_spans(body)]
        return answer


DOWN = ExportResponse(ExportResult.RETRY, "Connection refused")
BUSY = ExportResponse(ExportResult.RETRY, "status 503", 503)


class Scene:
    """A handover with its surroundings; nothing of it takes time."""

    def __init__(self, store, target):
        self.clock = Clock()
        self.account = Account()
        self.endpoint = Endpoint()
        self.store = store
        self.retry_manager = RetryManager(store, self.account, self.endpoint, self.clock)
        self.destination = Destination(target, {})

    def deliver(self, items, destination="theirs"):
        self.account.add_created(len(items))
        self.retry_manager.deliver_items(
            self.destination if destination else None, items, lambda _: True
        )

    def pass_time(self, seconds):
        """Lets time go by, with every visit that falls into it."""
        end = self.clock.now + seconds
        while True:
            left = self.retry_manager.schedule.seconds_until_next()
            if left is None or self.clock.now + left > end:
                break
            self.clock.now += left
            self.retry_manager.run_due_retry()
        self.clock.now = end

    @property
    def fates(self):
        """Delivered, stored, lost, on the way."""
        account = self.account
        return account.delivered, account.stored, account.lost, account.pending

    def waiting(self):
        return len(
            self.store.read_waiting(self.destination.target, max_items=10**6, max_bytes=1 << 40)
        )


@pytest.fixture
def scene(store, target_of):
    """A handover whose endpoint is fine."""
    return Scene(store, target_of(URL))


def test_what_an_endpoint_takes_is_delivered(scene, items):
    """And nothing is stored."""
    scene.deliver(items(3))
    assert ((3, 0, 0, 0), ["0", "1", "2"]) == (scene.fates, scene.endpoint.taken)
    assert not scene.store.database.exists()


def test_what_has_no_endpoint_is_stored(scene, items):
    """To stay."""
    scene.deliver(items(3), None)
    assert ((0, 3, 0, 0), 0) == (scene.fates, scene.endpoint.requests)


def test_while_an_endpoint_is_down_everything_is_stored(scene, items, capsys):
    """It is not asked for each batch, and one line says so."""
    scene.endpoint.always = DOWN
    for first in range(0, 50, 10):
        scene.deliver(items(10, first=first))
    assert ((0, 50, 0, 0), 1, 50) == (scene.fates, scene.endpoint.requests, scene.waiting())
    assert 1 == capsys.readouterr().err.count("\n")


def test_when_it_is_up_again_all_is_sent(scene, items):
    """Once, oldest first, by this process."""
    scene.endpoint.answers = [DOWN, DOWN]
    scene.deliver(items(700))
    scene.deliver(items(300, first=700))
    scene.pass_time(10)
    scene.deliver(items(10, first=1000))
    assert list(map(str, range(1010))) == scene.endpoint.taken
    assert ((1010, 0, 0, 0), 0) == (scene.fates, scene.waiting())


def test_pauses_grow(scene, items):
    """Up to a minute; each is shortened by chance, so that processes spread out."""
    scene.endpoint.always = DOWN
    scene.deliver(items(1))
    times = []
    for _ in range(12):
        times.append(scene.retry_manager.schedule.seconds_until_next())
        scene.pass_time(times[-1])
    for number, seconds in enumerate(times):
        longest = min(retry_schedule.MAX_DELAY, 2.0**number)
        assert longest / 2 <= seconds <= longest


def test_an_endpoint_may_say_when_to_come_again(scene, items):
    """Retry-After."""
    scene.endpoint.answers = [BUSY._replace(retry_after=30.0)]
    scene.deliver(items(1))
    scene.pass_time(29)
    assert [] == scene.endpoint.taken
    scene.pass_time(1)
    assert ["0"] == scene.endpoint.taken


def test_a_busy_moment_is_not_worth_a_line(scene, items, capsys):
    """It passes."""
    scene.endpoint.answers = [BUSY]
    scene.deliver(items(1))
    scene.pass_time(2)
    assert (["0"], "") == (scene.endpoint.taken, capsys.readouterr().err)


def test_a_busy_time_is(scene, items, capsys):
    """When it is busy still."""
    scene.endpoint.answers = [BUSY, BUSY]
    scene.deliver(items(1))
    scene.pass_time(2)
    assert "status 503" in capsys.readouterr().err


def test_ten_minutes_of_outage_lose_nothing(scene, items):
    """50 spans a second; memory holds none of them."""
    scene.endpoint.always = DOWN
    for second in range(600):
        scene.deliver(items(50, first=second * 50))
        scene.pass_time(1)
    gc.collect()
    assert not scene.retry_manager._held
    scene.endpoint.always = ExportResponse(ExportResult.ACCEPTED)
    scene.pass_time(retry_schedule.MAX_DELAY)
    assert list(map(str, range(30_000))) == scene.endpoint.taken
    assert ((30_000, 0, 0, 0), 0) == (scene.fates, scene.waiting())


def test_what_an_endpoint_refuses_is_kept_apart(scene, items, capsys):
    """Not sent again by itself, and said."""
    scene.endpoint.answers = [ExportResponse(ExportResult.REFUSED, "status 401", 401)]
    scene.deliver(items(2))
    scene.pass_time(1000)
    assert ((0, 2, 0, 0), 1, 0) == (scene.fates, scene.endpoint.requests, scene.waiting())
    assert "lupis flush" in capsys.readouterr().err


def test_what_was_rejected_of_a_request_is_counted(scene, items, capsys):
    """With the endpoint's reason."""
    scene.endpoint.answers = [ExportResponse(ExportResult.ACCEPTED, "too old", rejected=2)]
    scene.deliver(items(5))
    assert ((3, 0, 2, 0), {"rejected by the endpoint": 2}) == (scene.fates, scene.account.dropped)
    assert "rejected 2 spans or events: too old" in capsys.readouterr().err


def test_what_another_process_left_is_sent_too(scene, items, tmp_path):
    """After the first that an endpoint takes; it is on the other's account."""
    other = Store(str(tmp_path / "data"), 1 << 24, Process("shop", "r", 1))
    other.add_items(items(3, first=100), scene.destination.target)
    other.database.close()
    scene.deliver(items(1))
    scene.pass_time(1)
    assert (["0", "100", "101", "102"], (1, 0, 0, 0)) == (scene.endpoint.taken, scene.fates)


def test_while_another_sends_this_one_waits(scene, items):
    """One sender at a time; new loads go out all the same."""
    scene.endpoint.answers = [DOWN]
    scene.deliver(items(1))
    scene.store.acquire_lease(scene.destination.target, "another")
    scene.pass_time(3)
    scene.deliver(items(1, first=1))
    assert ["1"] == scene.endpoint.taken
    scene.store.release_lease(scene.destination.target, "another")
    scene.pass_time(10)
    assert ["1", "0"] == scene.endpoint.taken


# where there is no store either


@pytest.fixture
def homeless(tmp_path, target_of):
    """A handover without a store."""
    (tmp_path / "file").write_text("")
    return Scene(
        Store(str(tmp_path / "file" / "x"), 1 << 24, Process("shop", "r", 1)), target_of(URL)
    )


def test_without_a_store_memory_holds_it(homeless, items):
    """Until the endpoint answers."""
    homeless.endpoint.answers = [DOWN, DOWN]
    homeless.deliver(items(3))
    homeless.deliver(items(3, first=3))
    homeless.pass_time(10)
    assert ((6, 0, 0, 0), list("012345")) == (homeless.fates, homeless.endpoint.taken)


def test_memory_is_bounded(homeless, items, monkeypatch):
    """The oldest go first, and are counted."""
    monkeypatch.setattr(held_items, "MAX_HELD_BYTES", 10_000)
    homeless.endpoint.always = DOWN
    for first in range(20):
        homeless.deliver(items(1, first=first, size=1000))
    delivered, stored, lost, pending = homeless.fates
    assert (0, 0, 20) == (delivered, stored, lost + pending)
    assert 7 <= pending <= 10
    assert not homeless.retry_manager.drop_held()
    assert {"no store": 20} == homeless.account.dropped


def test_what_is_held_is_stored_as_soon_as_can_be(scene, items, monkeypatch):
    """A locked file is free again some time."""
    real = scene.store.add_items

    def locked(*_, **__):
        raise StoreUnavailable("locked")

    monkeypatch.setattr(scene.store, "add_items", locked)
    scene.deliver(items(2), None)
    monkeypatch.setattr(scene.store, "add_items", real)
    scene.deliver(items(2, first=2), None)
    assert (0, 4, 0, 0) == scene.fates


# the thread


@pytest.fixture
def export_worker(store, sink, target_of):
    """A courier to the sink."""
    account = Account()
    retry_manager = RetryManager(store, account, Sender({}))
    router = Router("otlp", Destination(target_of(sink.otlp_url), {}), None, None)
    export_worker = ExportWorker(retry_manager, router, contextlib.nullcontext)
    export_worker.account = account

    def put(items):
        account.add_created(len(items))
        export_worker.put_batch(ExportBatch(SPAN, items, sum(len(item.body) for item in items)))

    export_worker.take = put
    yield export_worker
    export_worker.stop(0.5)


def arrived(sink):
    """Names, sorted by number."""
    return sorted((span["name"] for span in sink.spans), key=int)


def counts(account):
    """Delivered, stored, lost, on the way."""
    return account.delivered, account.stored, account.lost, account.pending


def test_a_load_arrives(export_worker, sink, items):
    """Soon, without anybody asking."""
    export_worker.take(items(2))
    sink.wait_for(2)
    assert export_worker.flush(5)
    assert (2, 0, 0, 0) == counts(export_worker.account)


def test_many_threads_lose_nothing(export_worker, sink, items):
    """Each load arrives once."""
    loads = [items(5, first=n * 5) for n in range(40)]
    threads = [threading.Thread(target=export_worker.take, args=(load,)) for load in loads]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert export_worker.flush(10)
    assert list(map(str, range(200))) == arrived(sink)


def test_the_end_waits_no_longer_than_it_may(export_worker, sink, items):
    """What a silent collector has not taken is in the store, once."""
    sink.hang()
    export_worker.take(items(5))
    sink.wait_for(1, "requests")
    export_worker.take(items(5, first=5))
    began = time.monotonic()
    assert export_worker.stop(0.5)
    assert time.monotonic() - began < 3
    assert (0, 10, 0, 0) == counts(export_worker.account)


@pytest.mark.parametrize("works", [True, False])
def test_the_end_waits_for_what_the_thread_is_storing(
    export_worker, items, store, monkeypatch, works
):
    """A request that gives up when it is due may have its parcels settled just before the end."""
    began = threading.Event()
    add = store.add_items

    def slowly(*args, **options):
        began.set()
        time.sleep(1)
        if not works:
            raise StoreUnavailable("full")
        return add(*args, **options)

    monkeypatch.setattr(store, "add_items", slowly)
    monkeypatch.setattr(Sender, "send_request", lambda *_, **__: DOWN)
    export_worker.take(items(3))
    assert began.wait(5)
    assert works == export_worker.stop(0.3)
    assert ((0, 3, 0, 0) if works else (0, 0, 3, 0)) == counts(export_worker.account)


def test_without_a_store_the_end_counts_what_is_being_sent(
    export_worker, sink, items, store, monkeypatch
):
    """It is lost, as far as anybody can tell."""

    def full(*_, **__):
        raise StoreUnavailable("full")

    monkeypatch.setattr(store, "add_items", full)
    sink.fail(503, times=1, retry_after="0")
    export_worker.take(items(3))
    sink.wait_for(1, "requests")
    sink.hang()
    sink.wait_for(2, "requests")
    assert not export_worker.stop(0.3)
    assert ((0, 0, 3, 0), {"no store": 3}) == (
        counts(export_worker.account),
        export_worker.account.dropped,
    )


def test_a_flush_does_not_wait_for_the_time_of_the_next_attempt(export_worker, sink, items):
    """The endpoint may be up again; whether the thread has ended meanwhile or not."""
    sink.fail(503, times=1, retry_after="30")
    export_worker.take(items(1))
    export_worker.flush(5)  # whether the answer has come by then or not
    assert export_worker.flush(5)
    export_worker.stop(1)
    sink.fail(503, times=1, retry_after="30")
    export_worker.take(items(1, first=1))
    export_worker.stop(1)
    assert export_worker.flush(5)
    assert (["0", "1"], (2, 0, 0, 0)) == (arrived(sink), counts(export_worker.account))


def test_what_an_overload_had_stored_is_sent(export_worker, sink, items, monkeypatch):
    """As soon as the endpoint is quicker."""
    export_worker.take(items(1, first=6))
    assert export_worker.flush(5)
    quick = threading.Event()
    send = Sender.send_request
    monkeypatch.setattr(
        Sender, "send_request", lambda *args, **options: quick.wait(10) and send(*args, **options)
    )
    for number in range(6):
        export_worker.take(items(1, first=number, size=MAX_QUEUED_BYTES // 3))
    assert export_worker.account.stored >= 1
    quick.set()
    assert export_worker.flush(10)
    assert (7, 0, 0, 0) == counts(export_worker.account)


def test_what_was_taken_back_is_sent_if_the_program_goes_on(export_worker, sink, items):
    """With what comes next; and no end waits a second time for the request that hangs."""
    sink.hang(times=1)
    export_worker.take(items(2))
    sink.wait_for(1, "requests")
    export_worker.stop(0.3)
    began = time.monotonic()
    assert export_worker.stop(5)
    assert time.monotonic() - began < 3
    sink.ended.set()
    export_worker.take(items(1, first=2))
    assert export_worker.flush(5)
    assert (3, 0, 0, 0) == counts(export_worker.account)


def test_what_is_stored_while_a_visit_ends_is_sent_too(
    export_worker, sink, items, store, target_of, monkeypatch
):
    """The visit was past it."""
    target = target_of(sink.otlp_url)
    release = store.release_lease
    number = iter(range(2))

    def put():
        store.add_items(items(1, first=next(number)), target)
        export_worker.account.add_created(1)
        export_worker.account.add_stored(1)
        export_worker.send_stored(Destination(target, {}))

    def released(*args):
        release(*args)
        monkeypatch.undo()
        put()

    monkeypatch.setattr(store, "release_lease", released)
    put()
    sink.wait_for(1)
    assert export_worker.stop(5)
    assert (["0", "1"], (2, 0, 0, 0)) == (arrived(sink), counts(export_worker.account))


def test_a_locked_store_holds_the_end_up_for_once(export_worker, sink, items, store, tmp_path):
    """However many loads are to be stored."""
    store.add_items(items(1, first=99))
    store.database.busy_seconds = 0.3
    sink.hang()
    for number in range(40):
        export_worker.take(items(1, first=number))
    with contextlib.closing(sqlite3.connect(store.database.path(), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert not export_worker.stop(1)
        assert time.monotonic() - began < 8
        other.execute("ROLLBACK")
    assert (0, 0, 40, 0) == counts(export_worker.account)


def test_what_is_taken_back_before_its_way_is_chosen_waits_for_its_endpoint(
    export_worker, sink, items, store, target_of
):
    """Choosing may look at the network."""
    target = target_of(sink.otlp_url)
    chosen = threading.Event()

    class SlowRouter:
        def choose_destination(self, _):
            if threading.current_thread().name == "lupis-export":
                chosen.wait(5)
            return Destination(target, {})

    export_worker._router = SlowRouter()
    export_worker.account.add_created(1)
    export_worker.put_batch(ExportBatch(SPAN, items(1), 10))
    export_worker.stop(0.3)
    assert 1 == store.count_waiting(target)
    chosen.set()


def test_before_a_fork_a_slow_endpoint_is_not_waited_for(export_worker, sink, items):
    """The thread goes on with its request; what it holds is left to the parent."""
    sink.hang()
    export_worker.take(items(1))
    sink.wait_for(1, "requests")
    began = time.monotonic()
    export_worker.pause(10)
    assert time.monotonic() - began < 5
    export_worker.resume()


def test_an_answer_that_comes_too_late_counts_no_more(export_worker, sink, items, store, target_of):
    """It was stored, and is sent again: at least once."""
    sink.slow(0.8)
    export_worker.take(items(1))
    sink.wait_for(0, "requests")
    export_worker.stop(0.3)
    sink.wait_for(1)
    assert ((0, 1, 0, 0), 1) == (
        counts(export_worker.account),
        store.count_waiting(target_of(sink.otlp_url)),
    )
    assert export_worker.flush(5)
    assert ((1, 0, 0, 0), ["0", "0"]) == (counts(export_worker.account), arrived(sink))


def test_at_the_end_a_busy_collector_gets_another_chance(export_worker, sink, items):
    """As long as there is time."""
    sink.fail(503, times=2, retry_after="0")
    export_worker.take(items(1))
    assert export_worker.stop(5)
    assert ([503, 503, 200], (1, 0, 0, 0)) == (
        [request.status for request in sink.requests],
        counts(export_worker.account),
    )


def test_overload_goes_to_the_store(export_worker, sink, items, store):
    """Whoever brings more than may wait stores it; nobody waits for the network."""
    sink.hang()
    big = MAX_QUEUED_BYTES // 3
    for number in range(6):
        export_worker.take(items(1, first=number, size=big))
    assert export_worker.account.stored >= 1
    assert export_worker.stop(0.3)
    assert 6 == export_worker.account.stored


def test_after_its_end_it_goes_on(export_worker, sink, items):
    """A program may make calls in its exit handlers."""
    export_worker.take(items(1))
    export_worker.stop(5)
    export_worker.take(items(1, first=1))
    assert export_worker.stop(5)
    assert ["0", "1"] == arrived(sink)


def test_what_the_caller_stored_is_sent(export_worker, sink, items, store, target_of):
    """With the next visit, and at the end in any case."""
    target = target_of(sink.otlp_url)
    store.add_items(items(3), target)
    export_worker.account.add_created(3)
    export_worker.account.add_stored(3)
    export_worker.send_stored(Destination(target, {}))
    assert export_worker.stop(5)
    assert (["0", "1", "2"], (3, 0, 0, 0)) == (arrived(sink), counts(export_worker.account))


def test_the_end_lets_others_send(export_worker, sink, items, store, target_of):
    """Though the thread is in the middle of sending what was stored."""
    target = target_of(sink.otlp_url)
    store.add_items(items(1), target)
    sink.hang()
    export_worker.send_stored(Destination(target, {}))
    sink.wait_for(1, "requests")
    assert not store.acquire_lease(target, "another")
    export_worker.stop(0.3)
    assert store.acquire_lease(target, "another")


def test_before_a_fork_the_thread_ends(export_worker, sink, items):
    """And goes on with what came meanwhile."""
    export_worker.take(items(1))
    sink.wait_for(1)
    export_worker.pause(5)
    assert "lupis-export" not in {thread.name for thread in threading.enumerate()}
    export_worker.take(items(1, first=1))
    assert ["0"] == arrived(sink)
    export_worker.resume()
    sink.wait_for(2)


@pytest.mark.parametrize(
    ("where", "found"), [("deliver_items", (3, 0, 0, 0)), ("_record_response", (1, 0, 2, 0))]
)
def test_after_a_fault_of_ours_the_thread_goes_on(
    where, found, export_worker, sink, items, monkeypatch, capsys
):
    """What that kept back is stored and sent, or lost and counted where its fate was being noted."""
    monkeypatch.setattr(RetryManager, where, lambda *_: 1 / 0)
    export_worker.take(items(2))
    export_worker.flush(5)
    monkeypatch.undo()
    export_worker.take(items(1, first=2))
    assert export_worker.flush(5)
    assert found == counts(export_worker.account)
    assert found[2] == export_worker.account.dropped.get("fault", 0)
    assert "ZeroDivisionError" in capsys.readouterr().err
