"""No sink of texts passes on a secret, and none that people read steers their terminal.

A sink is any way by which texts leave the package. A new one needs a row in `SINKS`.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from servers import otlp
from servers.program import Runner
from servers.recorded import MAIN

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "sk-proj-canary1234567890abcdefABCDEF1234567890abcd"
CONTROLS = "\x1b]0;owned\x07\x1b[2J\x9b31m\x85\u202e\u2066\u2028\r"
FORGED_LINE = "\nlupis: 0 LLM calls, $0.00"
PLANTED = f"=canary {SECRET} {CONTROLS}{FORGED_LINE}"
HARMFUL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|^lupis: 0 LLM", re.MULTILINE
)
"""Control characters except the newline, C1, controls of direction, and the forged line."""
STYLE = re.compile("\x1b\\[[0-9;]*m")
"""The colours and the bold letters that the commands themselves use on a terminal."""
READ_SECRET = re.compile("canary1234567890|ABCDEF1234567890")

PROGRAM = """
import json, sys, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from lupis_instrument import LupisMetadata, LupisSDK

PLANTED = json.loads(sys.argv[1])

class Provider(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        usage = {"prompt_tokens": 7, "completion_tokens": 5}
        error = {"type": PLANTED, "code": PLANTED, "message": PLANTED}
        failed = self.path.endswith("?fail")
        answer = {"error": error} if failed else {"id": PLANTED, "model": PLANTED, "usage": usage}
        body = json.dumps(answer).encode()
        self.send_response(429 if failed else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Provider)
Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1/chat/completions"

def call(url, **body):
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps({"messages": [], **body}).encode(), headers)
    try:
        urllib.request.urlopen(request).read()
    except urllib.error.HTTPError:
        pass

lupis = LupisSDK.get_instance()
with lupis.conversation(PLANTED, LupisMetadata(PLANTED, PLANTED, PLANTED)):
    call(url)
    call(url, model=PLANTED)
    call(url + "?fail", model=PLANTED)
    lupis.track_event(PLANTED, {PLANTED: PLANTED})
    try:
        with lupis.create_span(PLANTED, {PLANTED: PLANTED}) as span:
            span.add_event(PLANTED, {PLANTED: PLANTED})
            raise ValueError(PLANTED)
    except ValueError:
        pass
"""


class Scene:
    """The program with a store of its spans and events, and the command `lupis`.

    Attributes:
        sink: the collector.
        folder: the data folder.
        stored: the run of the program that kept its spans in the store; the collector has refused
            the spans of another run.
    """

    def __init__(self, sink: Any, folder: Path) -> None:
        self._run = Runner(sink, folder)
        self.sink = sink
        self.folder = folder / "own"
        self.stored = self.run_program(LUPIS_EXPORTER="local")
        sink.fail(401)
        self.run_program(LUPIS_EXPORTER="otlp")
        sink.heal()

    def run_program(self, **variables: str) -> Any:
        """Runs the program to its end, with all messages and the summary."""
        env = {
            "LUPIS_DATA_DIR": str(self.folder),
            "LUPIS_LOG_LEVEL": "debug",
            "LUPIS_SUMMARY": "true",
            "LUPIS_PROJECT_ID": f"canary {SECRET}",
            **variables,
        }
        done = self._run(PROGRAM, json.dumps(PLANTED), env=env)
        assert 0 == done.returncode, done.stderr
        return done

    def run_command(self, *arguments: str) -> str:
        """Returns both outputs of a command of `lupis`, as a pipe gets them."""
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments],
            env=self._run.build_environment({"LUPIS_DATA_DIR": str(self.folder)}),
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def show_command(self, *arguments: str) -> str:
        """Returns the output of a command as a terminal gets it, without the command's styles."""
        pty = pytest.importorskip("pty", reason="a terminal needs Unix")
        own_end, program_end = pty.openpty()
        env = {"LUPIS_DATA_DIR": str(self.folder), "TERM": "xterm", "COLUMNS": "400"}
        with subprocess.Popen(
            [sys.executable, "-c", MAIN, *arguments],
            env=self._run.build_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=program_end,
            stderr=program_end,
        ):
            os.close(program_end)
            output = b"".join(iter(lambda: read_end(own_end), b""))
        os.close(own_end)
        return STYLE.sub("", output.decode("utf-8").replace("\r\n", "\n"))


def read_end(descriptor: int) -> bytes:
    """Returns the next bytes of a terminal; no bytes when the program has closed it."""
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux reports the end as an error
        return b""


class Sink(NamedTuple):
    """A way by which texts leave.

    Attributes:
        read_text: makes the output from a scene.
        people_read_it: whether control characters must be escapes; data keeps them.
    """

    read_text: Callable[[Scene], str]
    people_read_it: bool = True


def read_sent(scene: Scene) -> str:
    """Returns the bodies and headers that the collector gets."""
    scene.run_program(LUPIS_EXPORTER="otlp", LUPIS_PROJECT_ID="shop")
    assert scene.sink.spans
    assert scene.sink.events
    texts = [
        gzip.decompress(request.raw) if "content-encoding" in request.headers else request.raw
        for request in scene.sink.requests
    ]
    return b"\n".join(texts).decode("utf-8", "replace")


def read_refusal(scene: Scene) -> str:
    """Returns stderr after a collector has answered with an error of its own words."""
    words = ExportTracePartialSuccess(rejected_spans=1, error_message=PLANTED)
    body = ExportTraceServiceResponse(partial_success=words).SerializeToString()
    scene.sink.fail(200, body=body)
    stderr = scene.run_program(LUPIS_EXPORTER="otlp").stderr
    scene.sink.heal()
    assert " rejected 1 spans or events: =canary " in stderr
    return stderr


def read_store(scene: Scene) -> str:
    """Returns all bytes of the store."""
    files = [path for path in scene.folder.iterdir() if path.name.startswith("store.db")]
    return b"\n".join(path.read_bytes() for path in files).decode("utf-8", "replace")


def run_command(*arguments: str) -> Sink:
    """Returns the sink of a command, as a pipe and as a terminal get it."""

    def read_text(scene: Scene) -> str:
        words = [read_trace_id(scene) if word == "TRACE" else word for word in arguments]
        return f"{scene.run_command(*words)}\n{scene.show_command(*words)}"

    return Sink(read_text)


def read_trace_id(scene: Scene) -> str:
    """Returns the id of the trace with the span that the program made itself."""
    traces = json.loads(scene.run_command("traces", "--format", "json"))
    return next(trace["trace"] for trace in traces if not trace["calls"])


def follow_store(scene: Scene) -> str:
    """Returns the lines that `lupis tail` writes for stored items."""
    code = (
        f"import lupis_instrument._cli.lupis.tail as tail;tail._watch_store = lambda *_: 1/0;{MAIN}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "tail"],
        env=scene._run.build_environment({"LUPIS_DATA_DIR": str(scene.folder)}),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    return done.stdout


def send_stored(scene: Scene) -> str:
    """Returns the lines of `lupis flush` about items that the collector refuses again."""
    scene.sink.fail(401)
    text = scene.run_command("flush")
    scene.sink.heal()
    return text


def show_redacted(scene: Scene) -> str:
    """Returns a redacted file as a terminal gets it; the forged line is a line of the file."""
    file = scene.folder / "planted.txt"
    file.write_text(PLANTED, encoding="utf-8")
    return scene.show_command("redact", str(file)).replace(FORGED_LINE, "")


def examine_settings(scene: Scene) -> str:
    """Returns the report of `lupis doctor` about settings with planted texts."""
    planted = {"LUPIS_DATA_DIR": f"{scene.folder}/{PLANTED}", "LUPIS_USER_ID": PLANTED}
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "doctor", "--", PLANTED],
        env=scene._run.build_environment({"LUPIS_EXPORTER": "local", **planted}),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


def launch_program(scene: Scene) -> str:
    """Returns the messages of `lupis-run` about settings and a command with planted texts."""
    env = scene._run.build_environment({"LUPIS_EXPORTER": PLANTED, "LUPIS_USER_ID": PLANTED})
    command = [sys.executable, "-m", "lupis_instrument", PLANTED]
    done = subprocess.run(
        command, env=env, capture_output=True, encoding="utf-8", check=False, timeout=60
    )
    return done.stderr


SINKS = {
    "otlp": Sink(read_sent, people_read_it=False),
    "store": Sink(read_store, people_read_it=False),
    "summary": Sink(lambda scene: scene.stored.stderr),
    "console": Sink(lambda scene: scene.run_program(LUPIS_EXPORTER="console").stderr),
    "messages of a collector": Sink(read_refusal),
    "flush": Sink(send_stored),
    "doctor": Sink(examine_settings),
    "lupis-run": Sink(launch_program),
    "report": run_command("report"),
    "report by chat": run_command("report", "--by", "chat"),
    "report json": run_command("report", "--format", "json"),
    "report csv": run_command("report", "--format", "csv"),
    "traces": run_command("traces"),
    "traces json": run_command("traces", "--format", "json"),
    "show": run_command("show", "-v", "TRACE"),
    "export": run_command("export"),
    "export logs": run_command("export", "--signal", "logs"),
    "tail": Sink(follow_store),
    "redact": Sink(show_redacted),
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A store that the program has filled."""
    with otlp.serving() as collector:
        yield Scene(collector, tmp_path_factory.mktemp("sinks"))


@pytest.mark.parametrize("name", SINKS)
def test_sink_passes_on_no_planted_text(name, scene):
    """Neither the secret nor a harmful character leaves, and the planted text is there."""
    output_sink = SINKS[name]
    text = output_sink.read_text(scene)
    assert "canary" in text
    assert [] == READ_SECRET.findall(text)
    if output_sink.people_read_it:
        assert [] == HARMFUL.findall(text)
