"""A background thread prepares items and delivers them in batches."""

import gc
import os
import signal
import sys
import threading
from contextlib import contextmanager, nullcontext
from time import monotonic, sleep

import pytest

from lupis_instrument._export.batch_worker import BatchWorker, read_batch_settings
from lupis_instrument._process.background_thread import BackgroundThread


class Recorder:
    """A worker together with the batches that it delivered."""

    def __init__(self, prepare=lambda item: item, deliver=None, **options):
        self.batches = []
        self.arrived = threading.Condition()
        self.worker = BatchWorker(
            "test",
            prepare,
            deliver or self.keep,
            options.pop("thread_context", nullcontext),
            **options,
        )

    def keep(self, batch):
        with self.arrived:
            self.batches.append(list(batch))
            self.arrived.notify_all()

    def wait_for(self, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.items) >= count, 60), self.batches

    @property
    def items(self):
        return [item for batch in self.batches for item in batch]


@pytest.fixture
def record():
    """Makes recorders; their threads end with the test."""
    made = []

    def make(**options):
        made.append(Recorder(**options))
        return made[-1]

    yield make
    for recorder in made:
        recorder.worker.flush(60, end_thread=True)


def test_items_are_delivered_in_order(record):
    """There is one thread and one queue."""
    recorder = record()
    for number in range(100):
        recorder.worker.put_item(number)
    assert recorder.worker.flush(60)
    assert list(range(100)) == recorder.items


def test_a_full_batch_is_delivered_at_once(record):
    """It holds no more than the largest number of items."""
    recorder = record(max_batch_size=3, delay_seconds=60)
    for number in range(7):
        recorder.worker.put_item(number)
    recorder.wait_for(6)
    assert [[0, 1, 2], [3, 4, 5]] == recorder.batches


def test_a_batch_is_delivered_after_its_delay(record):
    """The delay begins with the first item."""
    recorder = record(delay_seconds=0.05)
    recorder.worker.put_item("a")
    recorder.wait_for(1)
    recorder.worker.put_item("b")
    recorder.wait_for(2)
    assert [["a"], ["b"]] == recorder.batches


def test_items_wait_for_their_batch(record):
    """Nothing is delivered before the delay, unless a flush asks for it."""
    recorder = record(delay_seconds=60)
    recorder.worker.put_item("a")
    assert [] == recorder.batches
    assert recorder.worker.flush(60)
    assert [["a"]] == recorder.batches


def test_no_thread_starts_before_the_first_item(record):
    """A flush starts none either."""
    recorder = record()
    assert recorder.worker.flush(60)
    assert recorder.worker.flush(60, end_thread=True)
    assert None is recorder.worker._thread


def test_a_flush_can_end_the_thread(record):
    """It delivers the items first."""
    recorder = record(delay_seconds=60)
    recorder.worker.put_item("a")
    thread = recorder.worker._thread
    assert recorder.worker.flush(60, end_thread=True)
    thread.wait(60)
    assert (["a"], False) == (recorder.items, thread.is_alive())


def test_items_after_the_end_of_the_thread_are_delivered(record):
    """The next item starts another thread."""
    recorder = record(delay_seconds=60)
    for item in ("a", "b", "c"):
        recorder.worker.put_item(item)
        assert recorder.worker.flush(60, end_thread=True)
    assert ["a", "b", "c"] == recorder.items


def test_two_flushes_can_end_the_thread_at_once(record):
    """The second begins during the delivery of the first."""
    entered, released = threading.Event(), threading.Event()

    def deliver(batch):
        entered.set()
        released.wait(60)

    worker = record(deliver=deliver).worker
    worker.put_item("a")
    first = worker.request_flush(end_thread=True)
    assert entered.wait(60)
    second = worker.request_flush(end_thread=True)
    released.set()
    assert (True, True) == (first.wait(60), second.wait(60))


def test_threads_that_put_items_and_end_the_thread_lose_nothing(record):
    """Every item arrives once, and every flush returns."""
    recorder = record(max_waiting=100_000)

    def work(start):
        for number in range(start, start + 200):
            recorder.worker.put_item(number)
            if number % 20 == 0:
                assert recorder.worker.flush(60, end_thread=True)

    threads = [threading.Thread(target=work, args=(start * 200,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.worker.flush(60)
    assert list(range(1600)) == sorted(recorder.items)


def test_items_of_many_threads_all_arrive(record):
    """They come at once, before the thread of the worker has started."""
    recorder = record(max_waiting=100_000, max_batch_size=64)
    ready = threading.Barrier(16)

    def put(start):
        ready.wait()
        for number in range(start, start + 500):
            recorder.worker.put_item(number)

    threads = [threading.Thread(target=put, args=(start * 500,)) for start in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.worker.flush(60)
    assert list(range(8000)) == sorted(recorder.items)


def test_only_one_thread_starts(record, monkeypatch):
    """Many items may come first at the same moment."""
    started = []
    start = BackgroundThread.start
    monkeypatch.setattr(
        BackgroundThread, "start", lambda thread: (started.append(thread), start(thread))
    )
    recorder = record(delay_seconds=60)
    ready = threading.Barrier(16)

    def put():
        ready.wait()
        recorder.worker.put_item(1)

    threads = [threading.Thread(target=put) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len(started)


def test_too_many_waiting_items_are_dropped_and_counted(record):
    """Memory is bounded while a delivery hangs."""
    entered, released = threading.Event(), threading.Event()

    def deliver(batch):
        entered.set()
        released.wait(60)

    worker = record(deliver=deliver, max_batch_size=1, max_waiting=10).worker
    worker.put_item("first")
    assert entered.wait(60)
    for number in range(15):
        worker.put_item(number)
    unfinished = worker.unfinished
    released.set()
    assert (11, 5) == (unfinished, worker.dropped)  # one of the 11 is being delivered


@pytest.fixture
def overload(record):
    """Makes recorders whose thread is held up in a delivery; `release` lets it go on."""
    entered, released = threading.Event(), threading.Event()

    def make(prepare=lambda item: item, **options):
        def deliver(batch):
            entered.set()
            released.wait(60)
            recorder.keep(batch)

        recorder = record(prepare=prepare, deliver=deliver, max_batch_size=1, **options)
        recorder.release = released.set
        recorder.worker.put_item("first")
        assert entered.wait(60)
        return recorder

    yield make
    released.set()


def test_a_calling_thread_prepares_the_oldest_items_under_overload(overload):
    """The items keep their order, and few of them wait unprepared."""
    prepared = []

    def prepare(item):
        prepared.append((item, threading.current_thread().name))
        return item

    recorder = overload(prepare, max_unprepared=5)
    for number in range(50):
        recorder.worker.put_item(number)
    caller = threading.current_thread().name
    helped = prepared[1:]
    assert [(number, caller) for number in range(len(helped))] == helped
    assert len(helped) >= 45
    recorder.release()
    assert recorder.worker.flush(60)
    assert ["first", *range(50)] == recorder.items


def test_a_calling_thread_prepares_large_items_under_overload(overload):
    """Few bytes wait unprepared; the size counts, not the number."""
    prepared = []
    recorder = overload(lambda item: prepared.append(item) or item, get_size=lambda _: 5 << 20)
    for number in range(20):
        recorder.worker.put_item(number)
    assert ["first", *range(17)] == prepared
    recorder.release()
    assert recorder.worker.flush(60)
    assert ["first", *range(20)] == recorder.items
    assert 0 == recorder.worker._unprepared_bytes


def test_small_items_wait_for_the_thread(overload):
    """A calling thread helps only if too many wait, or too many bytes."""
    prepared = []
    recorder = overload(lambda item: prepared.append(item) or item, get_size=lambda _: 100)
    for number in range(20):
        recorder.worker.put_item(number)
    assert ["first"] == prepared


def test_a_large_item_is_prepared_at_once(record, monkeypatch):
    """The thread does not wait until its next look at the queue."""
    monkeypatch.setattr("lupis_instrument._export.batch_worker.POLL_SECONDS", 60)
    prepared = threading.Event()
    recorder = record(
        prepare=lambda item: prepared.set() or item, delay_seconds=60, get_size=lambda _: 2 << 20
    )
    recorder.worker.put_item("item")
    assert prepared.wait(60)


def test_many_calling_threads_prepare_each_item_once(overload):
    """No two of them prepare items at the same time."""
    prepared, active = [], []

    def prepare(item):
        active.append(item)
        alone = len(active) == 1
        sleep(0)
        prepared.append((item, alone))
        active.pop()
        return item

    recorder = overload(prepare, max_unprepared=10)
    work = lambda start: [recorder.worker.put_item(start + n) for n in range(100)]  # noqa: E731
    threads = [threading.Thread(target=work, args=(start * 100,)) for start in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.worker._queue.qsize() <= 10 + len(threads)
    recorder.release()
    assert recorder.worker.flush(60)
    assert [*range(1600)] == sorted(recorder.items[1:])
    assert all(alone for _, alone in prepared)


def test_an_interrupt_of_a_calling_thread_loses_no_item(overload):
    """A signal handler may raise an exception while the thread prepares an item."""
    interrupts = [KeyboardInterrupt]

    def prepare(item):
        if interrupts and item == 3:
            raise interrupts.pop()
        return item

    recorder = overload(prepare, max_unprepared=2)
    raised = 0
    for number in range(10):
        try:
            recorder.worker.put_item(number)
        except KeyboardInterrupt:
            raised += 1
    recorder.release()
    assert recorder.worker.flush(60)
    assert (1, [*range(10)]) == (raised, sorted(recorder.items[1:]))


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="since Python 3.8")
def test_a_signal_handler_can_flush_while_its_thread_prepares(overload):
    """The frame below the handler gives up its turn, and its item is prepared again."""
    signals = [signal.SIGUSR1]
    flushed = []

    def prepare(item):
        if signals and item == 3:
            signal.raise_signal(signals.pop())
        return item

    def handle(*_):
        recorder.release()
        flushed.append(recorder.worker.flush(60))
        flushed.append(sorted(recorder.items[1:]))

    recorder = overload(prepare, max_unprepared=2)
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        for number in range(6):
            recorder.worker.put_item(number)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [True, [0, 1, 2, 3, 4, 5][: len(flushed[1])]] == flushed
    assert 3 in flushed[1]
    assert recorder.worker.flush(60)
    assert ([*range(6)], 0) == (sorted(recorder.items[1:]), recorder.worker.unfinished)


def test_an_item_that_puts_another_one_is_no_deadlock(overload):
    """The garbage collector may end a call while its thread prepares an item."""
    more = [*range(100, 105)]

    def prepare(item):
        if more:
            recorder.worker.put_item(more.pop())
        return item

    recorder = overload(max_unprepared=2)
    recorder.worker._prepare = prepare
    for number in range(10):
        recorder.worker.put_item(number)
    recorder.release()
    assert recorder.worker.flush(60)
    assert [*range(10), *range(100, 105)] == sorted(recorder.items[1:])


def test_accepted_values_are_the_delivered_ones(record):
    """The totals count them, whichever thread has prepared them."""
    accepted = []
    recorder = record(prepare=lambda item: item or None, accept=accepted.append)
    for number in range(5):
        recorder.worker.put_item(number)
    assert recorder.worker.flush(60)
    assert [1, 2, 3, 4] == accepted == recorder.items


def test_a_flush_is_limited_in_time(record):
    """The delivery may hang."""
    released = threading.Event()
    worker = record(deliver=lambda batch: released.wait(60)).worker
    worker.put_item("a")
    began = monotonic()
    done = worker.flush(0.2)
    took = monotonic() - began
    released.set()
    assert not done
    assert 0.1 < took < 30


@pytest.mark.slow
@pytest.mark.parametrize("slow", ["preparing", "delivering"])
def test_a_flush_waits_for_a_slow_thread(record, slow):
    """It may be loading modules from a cold disk, which no other thread can do for it."""
    begun = threading.Event()

    def take_long():
        begun.set()
        threading.Event().wait(1.5)

    def prepare(item):
        if slow == "preparing":
            take_long()
        return item

    def deliver(batch):
        if slow == "delivering":
            take_long()
        recorder.keep(batch)

    recorder = record(prepare=prepare, deliver=deliver, delay_seconds=0)
    recorder.worker.put_item(1)
    assert begun.wait(60)
    assert recorder.worker.flush(60)
    assert [[1]] == recorder.batches


def test_an_error_in_a_delivery_is_reported_once(record, capsys):
    """The thread goes on, and the report does not repeat the message of the error."""
    arrived = []

    def deliver(batch):
        if "bad" in batch:
            raise OSError("sk-secret")
        arrived.extend(batch)

    worker = record(deliver=deliver).worker
    for item in ("bad", "good", "bad", "better"):
        worker.put_item(item)
        assert worker.flush(60)
    report = capsys.readouterr().err
    assert ["good", "better"] == arrived
    assert 1 == report.count("delivering items of test failed (OSError")
    assert "sk-secret" not in report


def test_an_error_in_preparing_an_item_loses_only_this_item(record, capsys):
    """The batch is delivered without it."""
    recorder = record(prepare=lambda item: 10 // item)
    for item in (1, 0, 5):
        recorder.worker.put_item(item)
    assert recorder.worker.flush(60)
    assert [[10, 2]] == recorder.batches
    assert "preparing items of test failed (ZeroDivisionError" in capsys.readouterr().err


def test_nothing_is_delivered_for_items_prepared_to_none(record):
    """There are no empty batches."""
    recorder = record(prepare=lambda item: None)
    recorder.worker.put_item("a")
    assert recorder.worker.flush(60)
    assert [] == recorder.batches


def test_the_work_runs_inside_the_context(record):
    """There, the requests of this package are not recorded."""
    thread_values = threading.local()
    seen = []

    @contextmanager
    def context():
        thread_values.quiet = True
        yield
        thread_values.quiet = False

    def note(item):
        seen.append(getattr(thread_values, "quiet", False))
        return item

    worker = record(prepare=note, deliver=note, thread_context=context).worker
    worker.put_item("a")
    assert worker.flush(60)
    assert [True, True] == seen


def test_unfinished_items_are_counted(record):
    """Items that are being prepared count; the marker of a flush does not."""
    begun, go_on = threading.Event(), threading.Event()
    worker = record(prepare=lambda _: begun.set() or go_on.wait(60)).worker
    assert 0 == worker.unfinished
    for number in range(3):
        worker.put_item(number)
    done = worker.request_flush()
    begun.wait(60)
    assert 3 == worker.unfinished
    go_on.set()
    assert worker.wait_for_flush(done, 60)
    worker.pause(60)
    assert 0 == worker.unfinished


def test_delivered_items_are_finished(record):
    """They do not count for even a moment after a flush."""
    recorder = record()
    answer = recorder.worker._finish_flush

    def slowly(marker):
        more = answer(marker)
        sleep(0.2)
        return more

    recorder.worker._finish_flush = slowly
    for number in range(3):
        recorder.worker.put_item(number)
    assert recorder.worker.flush(60)
    recorder.worker._finish_flush = answer
    assert ([0, 1, 2], 0) == (recorder.items, recorder.worker.unfinished)


def test_a_stopped_worker_delivers_prepared_items_only(record):
    """It goes on with `start`, and not with the `resume` after a fork."""
    begun, go_on = threading.Event(), threading.Event()
    recorder = record(prepare=lambda item: (begun.set(), go_on.wait(60)) and item)
    worker = recorder.worker
    for number in range(5):
        worker.put_item(number)
    worker.request_flush()
    begun.wait(60)
    threading.Timer(0.1, go_on.set).start()
    worker.stop(5)
    assert ([0], 4) == (recorder.items, worker.unfinished)
    worker.put_item(5)
    worker.pause(60)
    worker.resume()
    assert not worker.flush(0.2)
    assert [0] == recorder.items
    worker.start()
    assert worker.flush(60)
    assert list(range(6)) == recorder.items


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="POSIX only")
def test_a_signal_handler_can_flush_while_the_thread_starts(record, monkeypatch):
    """Signals are blocked during the start, so waiting signals arrive right after it."""
    recorder = record(delay_seconds=60)
    start = BackgroundThread.start
    results = []

    def handle(*_):
        recorder.worker.put_item("b")
        results.append(recorder.worker.flush(60, end_thread=True))
        results.append(sorted(recorder.items))

    def start_and_be_interrupted(thread):
        start(thread)
        monkeypatch.undo()
        signal.raise_signal(signal.SIGUSR1)

    monkeypatch.setattr(BackgroundThread, "start", start_and_be_interrupted)
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        recorder.worker.put_item("a")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [True, ["a", "b"]] == results
    assert 0 == recorder.worker.unfinished


def test_a_finalizer_can_put_an_item(record):
    """The garbage collector runs it at any allocation, in any thread."""
    recorder = record(max_waiting=100_000)

    class Body:
        def __init__(self, number):
            self.number, self.me = number, self

        def __del__(self):
            recorder.worker.put_item(self.number)

    threshold = gc.get_threshold()
    gc.set_threshold(10)
    try:
        for number in range(2000):
            Body(number)
            recorder.worker.put_item(number + 2000)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert recorder.worker.flush(60)
    assert list(range(4000)) == sorted(recorder.items)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_delivers_only_its_own_items(record):
    """The waiting items belong to the parent."""
    recorder = record(delay_seconds=60)
    recorder.worker.put_item("parent's")
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            recorder.worker.reset()
            recorder.worker.put_item("child's")
            recorder.worker.flush(60)
            os.write(writer, repr(recorder.items).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        assert b'["child\'s"]' == pipe.read()
    assert recorder.worker.flush(60)
    assert ["parent's"] == recorder.items


@pytest.mark.skipif(sys.version_info < (3, 12), reason="earlier versions still start threads")
def test_without_a_thread_a_flush_delivers_the_items(run):
    """Since Python 3.12, no thread can be started while the interpreter ends."""
    done = run(
        """
        import atexit
        from contextlib import nullcontext
        from lupis_instrument._export.batch_worker import BatchWorker, read_batch_settings

        def end():
            worker.put_item("last")
            print(worker.flush(60))

        worker = BatchWorker("test", str, print, nullcontext)
        atexit.register(end)
        """,
        launched=False,
    )
    assert ("['last']\nTrue\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("environ", "settings"),
    [
        ({}, {}),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64"}, {"max_batch_size": 64}),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": " 100 "}, {"max_waiting": 100}),
        ({"OTEL_BSP_SCHEDULE_DELAY": "250"}, {"delay_seconds": 0.25}),
        ({"OTEL_BSP_SCHEDULE_DELAY": "0"}, {}),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "many"}, {}),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "-5"}, {}),
    ],
)
def test_the_standard_variables_set_the_batches(environ, settings):
    """Values that are no positive whole number are ignored."""
    assert settings == read_batch_settings(environ)
