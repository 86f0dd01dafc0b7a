"""Whatever the collector does and however a process ends, each finished span is found once.

Some pairs of fault and ending always run, all of them where LUPIS_TEST_ALL is set.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from textwrap import dedent
from time import monotonic, sleep

import pytest
from servers import otlp
from servers.program import ManagedProcess

from lupis_instrument._export.otlp.destinations import Destination
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._export.store import outbox
from lupis_instrument._export.store.database import FILE_NAME
from lupis_instrument._export.store.store import Process, Store

PRELUDE = """
import http.client, json, multiprocessing, os, signal, sys, time
from concurrent.futures import ProcessPoolExecutor
from urllib.parse import urlsplit

LLM = urlsplit(sys.argv[1])
CALLS = range(6)

def call(mark):
    connection = http.client.HTTPConnection(LLM.hostname, LLM.port, timeout=10)
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]})
    headers = {"content-type": "application/json", "x-mark": str(mark)}
    connection.request("POST", "/v1/chat/completions", body, headers)
    connection.getresponse().read()
    connection.close()

def calls():
    for mark in CALLS:
        call(mark)

def say(word):
    print(word, flush=True)
"""
TIMEOUT = 1.0
MARGIN = 6.0
"""Seconds that a process may take beyond its waiting, on a busy machine."""
PARTLY = b"\x0a\x02\x08\x01"
"""A partial success: one rejected."""

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
    "partly": lambda sink: sink.fail(200, body=PARTLY),
    "none": lambda sink: sink.heal(),
}

POOL = """
def main():
    multiprocessing.set_start_method({method!r})
    with {pool} as pool:
        list(pool.map(call, CALLS))
    say("done")

if __name__ == "__main__":
    main()
"""
METHODS = ("fork", "spawn", "forkserver") if hasattr(os, "fork") else ("spawn",)
ENDINGS = {
    "normal": ("calls(); say('done')", 0),
    "exit status": ("calls(); say('done'); sys.exit(3)", 3),
    "exception": ("calls(); say('done'); raise KeyError", 1),
    "SIGTERM": ("calls(); say('done'); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM),
    "SIGINT": ("calls(); say('done'); os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -signal.SIGINT),
    "own handler": (
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "calls(); say('done'); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"),
        5,
    ),
    "fork child": (
        ("call(0); call(1)\n"
        "if not os.fork():\n    call(2); call(3); sys.exit(0)\n"
        "os.wait(); call(4); call(5); say('done')"),
        0,
    ),
    "process": (
        ("def main():\n"
        "    children = [multiprocessing.Process(target=call, args=(n,)) for n in CALLS]\n"
        "    [child.start() for child in children]; [child.join() for child in children]\n"
        "    say('done')\n"
        "if __name__ == '__main__': main()"),
        0,
    ),
    **{
        f"{name} {method}": (POOL.format(pool=pool, method=method), 0)
        for name, pool in (
            ("Pool", "multiprocessing.Pool(2)"),
            ("ProcessPoolExecutor", "ProcessPoolExecutor(2)"),
        )
        for method in METHODS
    },
}  # fmt: skip
DURABLE = {
    "SIGKILL": ("calls(); say('done'); os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "_exit": ("calls(); say('done'); os._exit(4)", 4),
    "SIGKILL of a child": (
        (
            "if not os.fork():\n    calls(); os.kill(os.getpid(), signal.SIGKILL)\n"
            "os.wait(); say('done')"
        ),
        0,
    ),
}
"""Endings that leave no time: LUPIS_DURABLE=true stores each span as it ends."""

ALWAYS = {
    *((fault, "normal") for fault in FAULTS),
    *((fault, ending) for fault in ("503", "hang") for ending in ENDINGS if "spawn" not in ending),
    *(("none", ending) for ending in ENDINGS),
    ("refused", "SIGTERM"), ("drop", "SIGTERM"), ("slow", "Pool fork"), ("refused", "Pool fork"),
}  # fmt: skip
MATRIX = [
    pytest.param(
        fault,
        ending,
        marks=()
        if os.environ.get("LUPIS_TEST_ALL") or (fault, ending) in ALWAYS
        else pytest.mark.skip(reason="LUPIS_TEST_ALL is not set"),
    )
    for fault in FAULTS
    for ending in ENDINGS
]


class Scene:
    """A program, its collector, and its store."""

    def __init__(self, run, sink, llm):
        self.run = run
        self.sink = sink
        self.llm = llm
        self.endpoint = sink.otlp_url

    def play(self, text, fault, **env):
        """Runs a program to its end; returns its status, and how long its end took."""
        if FAULTS[fault] is None:
            self.endpoint = self.endpoint.replace(self.sink.url, "http://127.0.0.1:1")
        else:
            FAULTS[fault](self.sink)
        environ = {"LUPIS_OTLP_ENDPOINT": self.endpoint, "LUPIS_SHUTDOWN_TIMEOUT": f"{TIMEOUT}"}
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

    def flush(self):
        """Sends, to the collector mended, what waits."""
        self.sink.heal()
        store = Store(str(self.folder), 1 << 28, Process("default", None, 0))
        for target, waiting, refused in store.list_targets() if store.database.exists() else ():
            url = target.url.replace("http://127.0.0.1:1/", f"{self.sink.url}/")
            destination, sender = Destination(target, {}), Redirected(url)
            due = monotonic() + 70
            while True:
                drained = outbox.drain_outbox(store, destination, sender, "flush", refused_too=True)
                if drained.leased or monotonic() > due:
                    break
                sleep(0.1)  # a pool's child that was killed while sending leaves a minute's lease
            assert waiting + refused == drained.accepted
        store.database.close()

    def marks(self):
        """The marks of the calls that arrived, each span once, sorted."""
        by_id = {span["span_id"]: span for span in self.sink.spans}
        return sorted(
            span["attributes"]["http.request.header.x-mark"][0] for span in by_id.values()
        )

    def account(self):
        """What all processes say became of their spans: created, delivered, stored, dropped."""
        store = Store(str(self.folder), 1 << 28, Process("default", None, 0))
        rows = store.database.run(
            lambda db: db.execute(
                "SELECT created, delivered, stored, dropped FROM process"
            ).fetchall()
        ) if store.database.exists() else []  # fmt: skip
        store.database.close()
        return [(*row[:3], sum(json.loads(row[3]).values())) for row in rows]


class Redirected(Sender):
    """Sends to another address than it is told."""

    def __init__(self, url):
        super().__init__({})
        self.url = url

    def send_request(self, url, body, headers, **options):
        return super().send_request(self.url, body, headers, **options)


@pytest.fixture
def scene(run, sink, llm):
    """A program about to run."""
    return Scene(run, sink, llm)


ALL = list("012345")


@pytest.mark.parametrize(("fault", "ending"), MATRIX)
def test_every_span_is_found_once(fault, ending, scene):
    """Delivered, or in the store; the account adds up, and the end is bounded."""
    text, status = ENDINGS[ending]
    returncode, seconds = scene.play(text, fault)
    assert (status, []) == (
        returncode,
        [line for line in scene.stderr.splitlines() if "fault" in line],
    )
    assert seconds < 3 * (TIMEOUT + 0.3) + MARGIN  # children end one after the other at the most
    for created, delivered, stored, dropped in scene.account():
        assert created == delivered + stored + dropped
    scene.flush()
    assert ALL == scene.marks()


@pytest.mark.parametrize("fault", ["none", "503", "hang", "refused"])
@pytest.mark.parametrize("ending", DURABLE)
def test_durable_spans_survive_any_end(fault, ending, scene):
    """They were stored before the program went on."""
    text, status = DURABLE[ending]
    returncode, _ = scene.play(text, fault, LUPIS_DURABLE="true")
    assert status == returncode
    scene.flush()
    assert ALL == scene.marks()


def test_without_an_endpoint_durable_spans_stay_in_the_store(scene):
    """To be looked at with `lupis report`."""
    text, _ = DURABLE["SIGKILL"]
    scene.play(text, "none", LUPIS_DURABLE="true", LUPIS_EXPORTER="local")
    with closing(sqlite3.connect(scene.folder / FILE_NAME)) as store:
        assert (6,) == store.execute("SELECT count(*) FROM item WHERE state = 0").fetchone()


def test_with_nothing_pending_the_end_is_quick(scene):
    """What was delivered before needs no waiting."""
    text = """
        from lupis_instrument import LupisSDK
        calls()
        assert LupisSDK.get_instance().flush(10)
        import atexit
        from lupis_instrument._runtime import launch
        began = time.perf_counter()
        launch.finish()
        print(time.perf_counter() - began, file=sys.stderr)
        say("done")
    """
    scene.play(text, "none", LUPIS_SUMMARY="false")
    assert float(scene.stderr.split()[0]) < 1  # 2 ms on a quiet machine
    assert ALL == scene.marks()


OUTAGE = """
    for mark in range(40):
        call(mark)
        time.sleep(0.05)
        if mark == 10:
            say("done")
"""


def test_an_outage_while_a_program_runs_loses_nothing(scene):
    """The collector goes, and comes back."""
    scene.sink.fail(503, times=3)
    scene.play(OUTAGE, "refuse, then ok", OTEL_BSP_SCHEDULE_DELAY="100")
    scene.flush()
    assert sorted(map(str, range(40))) == scene.marks()


WRITER = """
import sys
from opentelemetry.sdk.trace import TracerProvider
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.otlp.target import Target
from lupis_instrument._export.store.store import Process, Store

folder, who = sys.argv[1:]
store = Store(folder, 1 << 28, Process("p", None, int(who)))
target = Target("http://127.0.0.1:1/v1/traces", "traces", "p", "http://127.0.0.1:1/v1/traces")
provider = TracerProvider(shutdown_on_exit=False)
tracer = provider.get_tracer("t")
encoder = ItemEncoder(provider.resource)
number = 0
while True:
    spans = []
    for _ in range(10):
        spans.append(tracer.start_span(f"{who}-{number}"))
        spans[-1].end()
        number += 1
    store.add_items(encoder.encode_spans(spans), target)
    print(number, flush=True)
"""
ROUNDS = 500 if os.environ.get("LUPIS_TEST_ALL") else 12


def test_a_kill_in_the_middle_of_a_write_harms_no_file(tmp_path):
    """It opens, and holds all that a write had come back from."""
    program = tmp_path / "writer.py"
    program.write_text(WRITER)
    confirmed = {}
    for number in range(ROUNDS):
        command = [sys.executable, str(program), str(tmp_path / "data"), str(number)]
        with ManagedProcess(command, stdout=subprocess.PIPE, encoding="utf-8") as writer:
            for _ in range(1 + number % 7):
                confirmed[number] = int(writer.stdout.readline())
            writer.kill()
            for line in writer.stdout:
                confirmed[number] = int(line)
    with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME)) as store:
        assert ("ok",) == store.execute("PRAGMA integrity_check").fetchone()
        found = {name for (name,) in store.execute("SELECT name FROM item")}
    assert set() == {f"{n}-{m}" for n, last in confirmed.items() for m in range(last)} - found
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
class There(Sender):
    def send_request(self, _, body, headers, **options):
        return super().send_request(url, body, headers, **options)
parent = os.getppid()
while os.getppid() == parent:
    outbox.drain_outbox(store, Destination(target, {}), There({}), sys.argv[0] + str(time.time()))
    time.sleep(0.01)
"""


@pytest.mark.skipif(os.cpu_count() == 1, reason="many processes on one core take too long")
def test_many_write_while_two_flush(tmp_path):
    """None is lost, and none is sent twice."""
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
