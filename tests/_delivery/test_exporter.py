"""Where spans go, and what is said when they don't arrive."""

import logging
import socket
import threading
from contextlib import contextmanager
from importlib.metadata import version
from time import monotonic

import pytest

from lupis_instrument import LupisConfig
from lupis_instrument._delivery import exporter
from lupis_instrument._delivery.exporter import MOST_BYTES, Console, Nowhere, Otlp
from lupis_instrument._delivery.quiet import LOGGERS, quiet
from lupis_instrument._diagnostics import diagnostics

EXPORTER = tuple(map(int, version("opentelemetry-exporter-otlp-proto-http").split(".")[:2]))
HEADERS = {"x-project-id": "shop", "x-api-key": "k"}


@pytest.fixture(autouse=True)
def _every_line_is_said():
    diagnostics.forget()


@pytest.fixture
def otlp(sink):
    """Sends to the sink as the worker's thread would."""
    made = Otlp(sink.otlp_url, HEADERS, probe=False)
    with quiet():
        yield made
        made.shutdown()


@contextmanager
def refusing():
    """The URL of a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1/traces"


def test_spans_arrive_as_they_are(otlp, sink, llm_call):
    """Packed, in one request, with the headers that say whose they are."""
    assert 2 == otlp.export([llm_call("gpt-4o"), llm_call("gpt-4.1")])
    assert ["chat gpt-4o", "chat gpt-4.1"] == [span["name"] for span in sink.spans]
    (request,) = sink.requests
    expected = {**HEADERS, "content-encoding": "gzip", "content-type": "application/x-protobuf"}
    assert expected.items() <= request.headers.items()


def test_a_status_that_passes_is_tried_again(otlp, sink, finished):
    """After as long as the collector says."""
    sink.fail(503, times=1, retry_after="0")
    assert 1 == otlp.export([finished("kept")])
    assert ["kept"] == [span["name"] for span in sink.spans]
    assert [503, 200] == [request.status for request in sink.requests]


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_one_line(status, otlp, sink, finished, capsys):
    """With its reason, and only once."""
    sink.fail(status)
    assert [0, 0] == [otlp.export([finished()]), otlp.export([finished()])]
    said = capsys.readouterr().err
    assert 1 == len(said.splitlines())
    assert f"lupis: warning: cannot deliver spans to {sink.otlp_url}: " in said
    assert str(status) in said


def test_the_next_batch_is_tried_again(otlp, sink, finished):
    """A collector may come back."""
    sink.fail(400)
    assert 0 == otlp.export([finished("lost")])
    sink.heal()
    assert 1 == otlp.export([finished("kept")])
    assert ["kept"] == [span["name"] for span in sink.spans]


def test_a_default_endpoint_without_a_collector_is_given_up_at_once(finished, capsys):
    """One line says what to set, and nobody waits."""
    with refusing() as url:
        began = monotonic()
        assert 0 == Otlp(url, HEADERS, probe=True).export([finished()])
    assert monotonic() - began < 1
    said = capsys.readouterr().err
    assert 1 == len(said.splitlines())
    assert f"no collector answers at {url}" in said
    assert "LUPIS_EXPORTER=console" in said


@pytest.mark.skipif(EXPORTER < (1, 36), reason="older exporters sleep through their shutdown")
def test_shutdown_cuts_the_wait_short(sink, finished, capsys):
    """Waiting for the next attempt ends, without another line."""
    otlp = Otlp(sink.otlp_url, HEADERS, probe=False)
    sink.fail(503, retry_after="5")
    sent = []

    def export():
        with quiet():
            sent.append(otlp.export([finished()]))

    thread = threading.Thread(target=export)
    thread.start()
    sink.wait_for(1, "requests")
    otlp.shutdown()
    thread.join(10)
    assert ([0], "") == (sent, capsys.readouterr().err)


def test_after_a_shutdown_it_sends_again(otlp, sink, finished):
    """Whatever comes later opens a connection anew."""
    otlp.export([finished("before")])
    otlp.shutdown()
    otlp.shutdown()
    assert 1 == otlp.export([finished("after")])
    assert ["before", "after"] == [span["name"] for span in sink.spans]


@pytest.mark.parametrize(
    ("name", "size"), [("\ud800", 0), ("big", MOST_BYTES)], ids=["unencodable", "oversized"]
)
def test_one_bad_span_does_not_take_its_batch_along(name, size, otlp, sink, finished, capsys):
    """The others are sent without it, and one line says so."""
    if size:
        sink.fail(413, times=1)
    batch = [finished("one"), finished(name, {"text": "x" * size}), finished("two")]
    assert 2 == otlp.export(batch)
    assert ["one", "two"] == [span["name"] for span in sink.spans]
    assert "1 spans that are too big or cannot be encoded are dropped" in capsys.readouterr().err


def test_a_bad_span_alone_is_dropped(otlp, sink, finished):
    """Nothing is sent for it."""
    assert 0 == otlp.export([finished("\ud800")])
    assert [] == sink.requests


def test_upstreams_log_lines_stay_off_the_programs_handlers(otlp, sink, finished):
    """Nor do they reach the root logger, at any level."""
    heard = []

    class Handler(logging.Handler):
        def emit(self, record):
            heard.append((record.name, record.getMessage()))

    handler = Handler(logging.DEBUG)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        sink.fail(503, times=1, retry_after="0")
        otlp.export([finished("a", {"half": "\ud800"})])
        sink.fail(400)
        otlp.export([finished("b")])
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert [] == heard


@pytest.mark.parametrize("name", LOGGERS)
def test_the_programs_own_use_of_these_loggers_is_heard(name, caplog):
    """Only lines of our threads are kept off."""
    with quiet():
        logging.getLogger(name).warning("ours")
    with caplog.at_level(logging.WARNING):
        logging.getLogger(name).warning("the program's")
    assert ["the program's"] == caplog.messages


@pytest.mark.parametrize(
    ("word", "kind"), [("otlp", Otlp), ("console", Console), ("none", Nowhere)]
)
def test_the_setting_chooses(word, kind):
    """Each word of LUPIS_EXPORTER is a row."""
    config = LupisConfig(project_id="p", exporter=word)
    assert kind is type(exporter.build(config, {}, default_endpoint=False))


def test_the_console_writes_to_stderr(finished, capsys):
    """Stdout is the program's."""
    assert 1 == Console().export([finished("GET")])
    out, err = capsys.readouterr()
    assert ("", ["GET"]) == (out, err.split()[-1:])


def test_nowhere_takes_all(finished, capsys):
    """And says nothing."""
    assert 2 == Nowhere().export([finished(), finished()])
    assert ("", "") == capsys.readouterr()
