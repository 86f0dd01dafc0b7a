"""The end of a program takes no longer than its time limit, whatever the collector does."""

import socket
import subprocess
from textwrap import dedent
from time import monotonic

import pytest
from servers.caller import PATIENT
from servers.program import ManagedProcess
from servers.slow import slow_except

from lupis_instrument._export.store.store import Process, Store

PROGRAM = """
import http.client, json, os, socket, sys, threading
from urllib.parse import urlsplit

LLM = urlsplit(sys.argv[1])

def call():
    connection = http.client.HTTPConnection(LLM.hostname, LLM.port, timeout=60)
    body = json.dumps({"model": "gpt-4o-mini", "messages": []})
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    connection.getresponse().read()
    connection.close()
"""
WITHOUT_THREADS = """
def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")
threading.Thread.start = refuse
"""
WITH_AND_WITHOUT_THREADS = (
    pytest.param("", id="threads", marks=pytest.mark.slow),
    pytest.param(WITHOUT_THREADS, id="no threads"),
)
HANGING_NAMES = """
import time
getaddrinfo = socket.getaddrinfo
def hang(host, *rest):
    if host == "collector.example":
        time.sleep(60)
    return getaddrinfo(host, *rest)
socket.getaddrinfo = hang
"""
TIMEOUT = 1.0
MARGIN_SECONDS = 20.0
"""The time that a process may take beyond its timeout, on a busy machine."""


@pytest.fixture
def silent_url():
    """The URL of a server that accepts connections and does nothing more."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"https://127.0.0.1:{server.getsockname()[1]}/v1/traces"


COLLECTORS = {
    "silent": lambda sink: sink.hang(),
    "drips a status line": lambda sink: sink.drip(b"H"),
    "drips headers": lambda sink: sink.drip(b"HTTP/1.1 200 OK\r\nx: y"),
    "continues": lambda sink: sink.drip(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "drips a body": lambda sink: sink.drip(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"),
}


def end_program(run, llm, text, url, timeout=TIMEOUT):
    """Run a program to its end; return the seconds that its end took, and its account."""
    environ = {**PATIENT, "LUPIS_OTLP_ENDPOINT": url, "LUPIS_SHUTDOWN_TIMEOUT": str(timeout)}
    running = ManagedProcess(
        run.build_command(PROGRAM + dedent(text) + "\nprint('done', flush=True)\n", [llm.url]),
        env=run.build_environment({**environ, "LUPIS_SUMMARY": "true"}),
        cwd=run.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with running:
        assert "done\n" == running.stdout.readline()
        began = monotonic()
        running.communicate(timeout=60)
        seconds = monotonic() - began
    store = Store(str(run.folder / "data" / "lupis"), 1 << 28, Process("default", None, 0))
    accounts = store.read_accounts()
    store.database.close()
    return seconds, accounts


@pytest.mark.parametrize("collector", slow_except({"drips headers"}, COLLECTORS))
@pytest.mark.parametrize("threads", WITH_AND_WITHOUT_THREADS)
def test_a_slow_collector_does_not_hold_the_end(threads, collector, run, sink, llm):
    """The spans are stored, also where no thread can be started any more."""
    COLLECTORS[collector](sink)
    seconds, accounts = end_program(run, llm, f"call(); call()\n{threads}", sink.otlp_url)
    assert [(2, 0, 2, {})] == accounts
    assert seconds < TIMEOUT + MARGIN_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("threads", WITH_AND_WITHOUT_THREADS)
def test_a_handshake_without_end_does_not_hold_the_end(threads, run, silent_url, llm):
    """The spans are stored."""
    seconds, accounts = end_program(run, llm, f"call(); call()\n{threads}", silent_url)
    assert [(2, 0, 2, {})] == accounts
    assert seconds < TIMEOUT + MARGIN_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("threads", WITH_AND_WITHOUT_THREADS)
def test_a_name_server_that_hangs_does_not_hold_the_end(threads, run, sink, llm):
    """The spans are stored."""
    text = f"{HANGING_NAMES}call(); call()\n{threads}"
    seconds, accounts = end_program(run, llm, text, "http://collector.example/v1/traces")
    assert [(2, 0, 2, {})] == accounts
    assert seconds < TIMEOUT + MARGIN_SECONDS


def test_a_short_program_reaches_a_collector_by_its_name(run, sink, llm):
    """From Python 3.12 on, the thread of the spans looks the name up at the end."""
    text = """
    getaddrinfo = socket.getaddrinfo
    def look_up(host, *rest):
        return getaddrinfo("127.0.0.1" if host == "collector.example" else host, *rest)
    socket.getaddrinfo = look_up
    call()
    """
    url = sink.otlp_url.replace("127.0.0.1", "collector.example")
    end_program(run, llm, text, url, timeout=30)
    assert 1 == len(sink.spans)
