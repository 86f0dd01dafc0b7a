"""Each finished span arrives or is stored once, for each collector fault and end of a process.

`make test` runs a few pairs of fault and end, and the slow tests more; LUPIS_TEST_ALL runs all.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from itertools import product
from textwrap import dedent
from time import monotonic, sleep

import pytest
from servers import otlp
from servers.caller import CALL_FUNCTION, MARGIN_SECONDS, PATIENT
from servers.program import ManagedProcess
from servers.slow import slow_except

from lupis_instrument._export.otlp.destinations import Destination
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._export.store import outbox
from lupis_instrument._export.store.database import FILE_NAME
from lupis_instrument._export.store.store import Process, Store

PRELUDE = (
    CALL_FUNCTION
    + """
import multiprocessing, signal
from concurrent.futures import ProcessPoolExecutor

CALLS = range(6)

def calls():
    for mark in CALLS:
        call(mark)

def print_now(word):
    print(word, flush=True)
"""
)
TIMEOUT = 1.0
PARTIAL_SUCCESS = b"\x0a\x02\x08\x01"
"""A response that rejects one span."""

FAULTS = {
    "refused": None,
    "429": lambda sink: sink.fail(429),
    "429 for a minute": lambda sink: sink.fail(429, retry_after="60"),
    "500": lambda sink: sink.fail(500),
    "503": lambda sink: sink.fail(503),
    "404": lambda sink: sink.fail(404),
    "hang": lambda sink: sink.hang(),
    "slow": lambda sink: sink.slow(0.2),
    "drop": lambda sink: sink.drop(),
    "refuse, then ok": lambda sink: sink.fail(503, times=2, retry_after="0"),
    "reset in mid-body": lambda sink: sink.reset(
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nab"
    ),
    "garbage": lambda sink: sink.reset(b"\x00\x01\x02\xff\r\n\r\n"),
    "partly": lambda sink: sink.fail(200, body=PARTIAL_SUCCESS),
    "none": lambda sink: sink.heal(),
}

POOL_PROGRAM = """
def main():
    multiprocessing.set_start_method({method!r})
    with {pool} as pool:
        list(pool.map(call, CALLS))
    print_now("done")

if __name__ == "__main__":
    main()
"""
START_METHODS = ("fork", "spawn", "forkserver") if hasattr(os, "fork") else ("spawn",)
ENDS = {
    "normal": ("calls(); print_now('done')", 0),
    "exit status": ("calls(); print_now('done'); sys.exit(3)", 3),
    "exception": ("calls(); print_now('done'); raise KeyError", 1),
    "SIGTERM": ("calls(); print_now('done'); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM),
    "SIGINT": ("calls(); print_now('done'); os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -signal.SIGINT),
    "own handler": (
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "calls(); print_now('done'); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"),
        5,
    ),
    "fork child": (
        ("call(0); call(1)\n"
        "if not os.fork():\n    call(2); call(3); sys.exit(0)\n"
        "os.wait(); call(4); call(5); print_now('done')"),
        0,
    ),
    "process": (
        ("def main():\n"
        "    children = [multiprocessing.Process(target=call, args=(n,)) for n in CALLS]\n"
        "    [child.start() for child in children]; [child.join() for child in children]\n"
        "    print_now('done')\n"
        "if __name__ == '__main__': main()"),
        0,
    ),
    **{
        f"{name} {method}": (POOL_PROGRAM.format(pool=pool, method=method), 0)
        for name, pool in (
            ("Pool", "multiprocessing.Pool(2)"),
            ("ProcessPoolExecutor", "ProcessPoolExecutor(2)"),
        )
        for method in START_METHODS
    },
}  # fmt: skip
DURABLE_ENDS = {
    "SIGKILL": (
        "calls(); print_now('done'); os.kill(os.getpid(), signal.SIGKILL)",
        -signal.SIGKILL,
    ),
    "_exit": ("calls(); print_now('done'); os._exit(4)", 4),
    "SIGKILL of a child": (
        (
            "if not os.fork():\n    calls(); os.kill(os.getpid(), signal.SIGKILL)\n"
            "os.wait(); print_now('done')"
        ),
        0,
    ),
}
"""Ends that leave no time; LUPIS_DURABLE=true stores each span when it ends."""
DURABLE_FAULTS = ("hang", "none", "refused", "503")
DURABLE_PAIRS = set(zip(DURABLE_FAULTS, DURABLE_ENDS))
"""A pair for each end, which `make test` runs; the others are slow."""

DAILY_PAIRS = {
    *((fault, "normal") for fault in FAULTS),
    *((fault, end) for fault in ("503", "hang") for end in ENDS if "spawn" not in end),
    *(("none", end) for end in ENDS),
    ("refused", "SIGTERM"), ("drop", "SIGTERM"), ("slow", "Pool fork"), ("refused", "Pool fork"),
}  # fmt: skip
FAST_PAIRS = {
    *((fault, "normal") for fault in ("refused", "429", "hang", "partly")),
    *(("none", end) for end in ("normal", "fork child", "process")),
    ("503", "exit status"), ("hang", "SIGTERM"), ("refused", "Pool fork"),
}  # fmt: skip


def mark_pair(fault, end):
    """Returns the marks of a pair."""
    if (fault, end) not in DAILY_PAIRS and not os.environ.get("LUPIS_TEST_ALL"):
        return [pytest.mark.skip(reason="LUPIS_TEST_ALL is not set")]
    return [] if (fault, end) in FAST_PAIRS else [pytest.mark.slow]


MATRIX = [pytest.param(fault, end, marks=mark_pair(fault, end)) for fault in FAULTS for end in ENDS]


class ProgramSetup:
    """A program, its collector, and its store."""

    def __init__(self, run, sink, llm):
        self.run = run
        self.sink = sink
        self.llm = llm
        self.endpoint = sink.otlp_url

    def run_program(self, text, fault, **env):
        """Runs a program to its end; returns its status, and the seconds that its end took."""
        if FAULTS[fault] is None:
            self.endpoint = self.endpoint.replace(self.sink.url, "http://127.0.0.1:1")
        else:
            FAULTS[fault](self.sink)
        environ = {"LUPIS_OTLP_ENDPOINT": self.endpoint, "LUPIS_SHUTDOWN_TIMEOUT": f"{TIMEOUT}"}
        environ.update(PATIENT)
        running = ManagedProcess(
            self.run.build_command(PRELUDE + dedent(text), [self.llm.url]),
            env=self.run.build_environment({**environ, "LUPIS_SUMMARY": "true", **env}),
            cwd=self.run.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        with running:
            assert "done\n" == running.stdout.readline()
            began = monotonic()
            self.stderr = running.communicate(timeout=60)[1]
        return running.returncode, monotonic() - began

    @property
    def folder(self):
        return self.run.folder / "data" / "lupis"

    def send_stored_items(self):
        """Sends the stored items to the collector without faults."""
        self.sink.heal()
        store = Store(str(self.folder), 1 << 28, Process("default", None, 0))
        for target, waiting, refused in store.list_targets() if store.database.exists() else ():
            url = target.url.replace("http://127.0.0.1:1/", f"{self.sink.url}/")
            destination, sender = Destination(target, {}), RedirectingSender(url)
            due = monotonic() + 70
            while True:
                drained = outbox.drain_outbox(store, destination, sender, "flush", refused_too=True)
                if drained.leased or monotonic() > due:
                    break
                sleep(0.1)  # a child that was killed while it sent has leased items for a minute
            assert waiting + refused == drained.accepted
        store.database.close()

    def list_marks(self):
        """Returns the marks of the calls that arrived; a span that arrived twice counts once."""
        by_id = {span["span_id"]: span for span in self.sink.spans}
        return sorted(
            span["attributes"]["http.request.header.x-mark"][0] for span in by_id.values()
        )

    def read_accounts(self):
        """Returns each process's numbers of spans: created, delivered, stored, dropped."""
        store = Store(str(self.folder), 1 << 28, Process("default", None, 0))
        rows = store.database.run(
            lambda db: db.execute(
                "SELECT created, delivered, stored, dropped FROM process"
            ).fetchall()
        ) if store.database.exists() else []  # fmt: skip
        store.database.close()
        return [(*row[:3], sum(json.loads(row[3]).values())) for row in rows]


class RedirectingSender(Sender):
    """Sends all requests to one URL."""

    def __init__(self, url):
        super().__init__({})
        self.url = url

    def send_request(self, url, body, headers, **options):
        return super().send_request(self.url, body, headers, **options)


@pytest.fixture
def program(run, sink, llm):
    """A program to run, with its collector and store."""
    return ProgramSetup(run, sink, llm)


ALL_MARKS = list("012345")


@pytest.mark.parametrize(("fault", "end"), MATRIX)
def test_each_span_arrives_or_is_stored_once(fault, end, program):
    """The account adds up, and the end takes no longer than the timeouts."""
    text, status = ENDS[end]
    returncode, seconds = program.run_program(text, fault)
    assert (status, []) == (
        returncode,
        [line for line in program.stderr.splitlines() if "fault" in line],
    )
    assert seconds < 3 * (TIMEOUT + 0.3) + MARGIN_SECONDS  # children may end one after the other
    for created, delivered, stored, dropped in program.read_accounts():
        assert created == delivered + stored + dropped
    program.send_stored_items()
    assert ALL_MARKS == program.list_marks()


@pytest.mark.parametrize(
    ("fault", "end"),
    slow_except(DURABLE_PAIRS, product(DURABLE_FAULTS, DURABLE_ENDS)),
)
def test_durable_spans_survive_each_end(fault, end, program):
    """They are stored before the program goes on."""
    text, status = DURABLE_ENDS[end]
    returncode, _ = program.run_program(text, fault, LUPIS_DURABLE="true")
    assert status == returncode
    program.send_stored_items()
    assert ALL_MARKS == program.list_marks()


def test_without_an_endpoint_durable_spans_stay_in_the_store(program):
    """`lupis report` can show them."""
    text, _ = DURABLE_ENDS["SIGKILL"]
    program.run_program(text, "none", LUPIS_DURABLE="true", LUPIS_EXPORTER="local")
    with closing(sqlite3.connect(program.folder / FILE_NAME)) as store:
        assert (6,) == store.execute("SELECT count(*) FROM item WHERE state = 0").fetchone()


def test_the_end_is_quick_after_all_spans_are_delivered(program):
    """There is no span to wait for."""
    text = """
        from lupis_instrument import LupisSDK
        calls()
        assert LupisSDK.get_instance().flush(60)
        import atexit
        from lupis_instrument._runtime import launch
        began = time.perf_counter()
        launch.finish()
        print(time.perf_counter() - began, file=sys.stderr)
        print_now("done")
    """
    program.run_program(text, "none", LUPIS_SUMMARY="false", LUPIS_SHUTDOWN_TIMEOUT="60")
    assert float(program.stderr.split()[0]) < 30  # 2 ms on a quiet machine
    assert ALL_MARKS == program.list_marks()


OUTAGE = """
    for mark in range(40):
        call(mark)
        time.sleep(0.05)
        if mark == 10:
            print_now("done")
"""


@pytest.mark.slow
def test_an_outage_of_the_collector_loses_no_span(program):
    """The collector fails for a while during the program."""
    program.sink.fail(503, times=3)
    program.run_program(OUTAGE, "refuse, then ok", OTEL_BSP_SCHEDULE_DELAY="100")
    program.send_stored_items()
    assert sorted(map(str, range(40))) == program.list_marks()


WRITER = """
import sys
from opentelemetry.sdk.trace import TracerProvider
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.otlp.target import Target
from lupis_instrument._export.store.store import Process, Store

folder, writer = sys.argv[1:]
store = Store(folder, 1 << 28, Process("p", None, int(writer)))
target = Target("http://127.0.0.1:1/v1/traces", "traces", "p", "http://127.0.0.1:1/v1/traces")
provider = TracerProvider(shutdown_on_exit=False)
tracer = provider.get_tracer("t")
encoder = ItemEncoder(provider.resource)
number = 0
while True:
    spans = []
    for _ in range(10):
        spans.append(tracer.start_span(f"{writer}-{number}"))
        spans[-1].end()
        number += 1
    store.add_items(encoder.encode_spans(spans), target)
    print(number, flush=True)
"""
KILL_COUNT = 500 if os.environ.get("LUPIS_TEST_ALL") else 12


def test_a_kill_during_a_write_does_not_damage_the_store(tmp_path):
    """It opens, and has all items of finished writes."""
    program = tmp_path / "writer.py"
    program.write_text(WRITER)
    confirmed = {}
    for number in range(KILL_COUNT):
        command = [sys.executable, str(program), str(tmp_path / "data"), str(number)]
        with ManagedProcess(command, stdout=subprocess.PIPE, encoding="utf-8") as writer:
            for _ in range(1 + number % 7):
                confirmed[number] = int(writer.stdout.readline())
            writer.kill()
            for line in writer.stdout:
                confirmed[number] = int(line)
    with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME)) as store:
        assert ("ok",) == store.execute("PRAGMA integrity_check").fetchone()
        stored = {name for (name,) in store.execute("SELECT name FROM item")}
    written = {f"{n}-{m}" for n, last in confirmed.items() for m in range(last)}
    assert set() == written - stored
    assert [] == list((tmp_path / "data").glob("*.corrupt-*"))


SECONDS = 60 if os.environ.get("LUPIS_TEST_ALL") else 2
FLUSHER = """
import os, sys, time
from lupis_instrument._export.store import outbox
from lupis_instrument._export.otlp.destinations import Destination
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._export.otlp.target import Target
from lupis_instrument._export.store.store import Process, Store

folder, url = sys.argv[1:]
store = Store(folder, 1 << 30, Process("p", None, 0))
target = Target("http://127.0.0.1:1/v1/traces", "traces", "p", "http://127.0.0.1:1/v1/traces")
class RedirectingSender(Sender):
    def send_request(self, _, body, headers, **options):
        return super().send_request(url, body, headers, **options)
parent = os.getppid()
while os.getppid() == parent:
    outbox.drain_outbox(store, Destination(target, {}), RedirectingSender({}), sys.argv[0] + str(time.time()))
    time.sleep(0.01)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.cpu_count() == 1, reason="many processes on one core take too long")
def test_simultaneous_writes_and_flushes_lose_and_double_no_span(tmp_path):
    """Sixteen processes write to the store, and two send its items."""
    (tmp_path / "writer.py").write_text(
        WRITER.replace(
            "    print(number, flush=True)", "    print(number, flush=True); sys.stdin.readline()"
        )
    )
    (tmp_path / "flusher.py").write_text(FLUSHER)
    folder = str(tmp_path / "data")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
    with otlp.serving() as sink, ExitStack() as running:

        def start(*command):
            return running.enter_context(ManagedProcess([sys.executable, *command], **pipes))

        flushers = [start(tmp_path / "flusher.py", folder, sink.otlp_url) for _ in range(2)]
        writers = [start(tmp_path / "writer.py", folder, str(n)) for n in range(16)]
        due = monotonic() + SECONDS
        written = [0] * len(writers)
        rounds = 0
        while monotonic() < due or rounds < 3:
            rounds += 1
            for n, writer in enumerate(writers):
                written[n] = int(writer.stdout.readline())
                writer.stdin.write("\n")
                writer.stdin.flush()
        for n, writer in enumerate(writers):
            written[n] = int(writer.stdout.readline())
            writer.kill()
            writer.communicate()
        sink.wait_for(sum(written), timeout=60)
        for flusher in flushers:
            flusher.kill()
            flusher.communicate()
        names = [span["name"] for span in sink.spans]
    assert sum(written) == len(names) == len(set(names))
