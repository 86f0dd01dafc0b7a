"""Servers, workers and test runners behave the same, and each of their calls arrives once."""

import http.client
import os
import signal
import socket

import pytest
from servers.comparison import (
    Case,
    check_recorded_calls,
    check_same_behaviour,
    list_calling_cases,
    list_cases,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

WSGI = """
from calls import call

def app(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [str(call(environ["PATH_INFO"][1:])).encode()]
"""
ASGI = """
import asyncio
import calls

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    loop = asyncio.get_running_loop()
    total = await loop.run_in_executor(None, calls.call, scope["path"][1:])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(total).encode()})
"""
FILES = {"wsgi.py": WSGI, "asgi.py": ASGI}
TASKS = """
import os, sys
from celery import Celery
from calls import call

app = Celery("tasks", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "queue",
    },
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)

@app.task
def ask(mark):
    return call(mark)

if __name__ == "__main__":
    for mark in "abcde":
        ask.delay(mark)
"""
TESTS = """
import pytest
from calls import call

@pytest.mark.parametrize("mark", "abcdef")
def test_call(mark):
    assert call(mark) > 0

def test_fails():
    assert 0 == call("failing")
"""
NOTEBOOK = """
import nbformat, nbclient
book = nbformat.v4.new_notebook()
cells = ["from calls import call", "print(call('a'))", "call('b')", "!{python} -c 'import calls; print(calls.call(\\"c\\"))'", "1 / 0"]
book.cells = [nbformat.v4.new_code_cell(text) for text in cells]
nbclient.NotebookClient(book, allow_errors=True, timeout=60).execute()
for cell in book.cells:
    for output in cell.outputs:
        print(output.get("text"), output.get("data"), output.get("ename"))
"""
VARYING = r"[0-9a-f]{8}-[0-9a-f-]{27}|0x[0-9a-f]+|\d[\d.]*"
"""Identifiers, addresses, times, process ids and durations."""


def send_request(running, path):
    """Sends a request over the server's socket, as soon as the server listens."""
    address = str(running.folder / "sock")

    def is_answered():
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        count_before = None
        try:
            connection.sock.connect(address)
            count_before = len(running.provider.seen)
            connection.request("GET", path)
            answer = connection.getresponse()
            return (200, b"29") == (answer.status, answer.read())
        except (OSError, http.client.HTTPException):
            has_called = count_before is not None and count_before < len(running.provider.seen)
            assert not has_called, "the call was made, but the server did not answer"
            return False
        finally:
            connection.close()

    running.wait_until(is_answered, path)


def send_requests(paths):
    """Returns an interaction that requests these paths and stops the server."""

    def interact(running):
        for path in paths:
            send_request(running, f"/{path}")
        running.process.send_signal(signal.SIGTERM)

    return interact


def reload_server(running):
    """Reloads the server between two requests; a new worker replaces the worker."""
    send_request(running, "/a")
    running.process.send_signal(signal.SIGHUP)
    running.wait_for_line("Booting worker", 2)
    running.wait_for_line("Worker exiting")
    send_request(running, "/b")
    running.process.send_signal(signal.SIGTERM)


def edit_program(running):
    """Changes the program's text between two requests."""
    send_request(running, "/a")
    program = running.folder / "asgi.py"

    def is_noticed():
        if "Reloading" in running.read_stderr():
            return True
        program.write_text(program.read_text() + "#")  # repeated: it misses an early edit
        return False

    running.wait_until(is_noticed, "Reloading")
    running.wait_for_line("Application startup complete", 2)
    send_request(running, "/b")
    program.write_text(ASGI)
    running.process.send_signal(signal.SIGTERM)


def send_tasks(running):
    """Sends five tasks to the worker, and stops it after it has done them."""
    import subprocess
    import sys

    running.wait_for_line("ready.")
    subprocess.run([sys.executable, "tasks.py"], cwd=running.folder, check=True)
    running.wait_for_calls(5)
    running.wait_for_line("succeeded", 5)
    running.process.send_signal(signal.SIGTERM)


def server_case(*command, need, recorded="a b c", **more):
    """A case of a server; by default, one request for each mark makes a call with that mark."""
    interact = more.pop("interact", None) or send_requests(recorded.split())
    options = {"files": FILES, "unordered": True, "varying": VARYING, "replacement": "~", **more}
    return Case(command, recorded, needs=[need], interact=interact, **options)


GUNICORN = ("gunicorn", "--bind", "unix:sock", "wsgi:app")
UVICORN = ("uvicorn", "--uds", "sock", "asgi:app")
CELERY = ("celery", "-A", "tasks", "worker", "-c", "2", "-l", "INFO", "--without-mingle")
CASES = {
    "gunicorn": server_case(*GUNICORN, need="gunicorn"),
    "gunicorn, two workers": server_case(*GUNICORN, "-w", "2", need="gunicorn", recorded="a b c d e f"),
    "gunicorn, threads": server_case(*GUNICORN, "-k", "gthread", "--threads", "2", need="gunicorn"),
    "gunicorn, preloaded": server_case(*GUNICORN, "--preload", "-w", "2", need="gunicorn"),
    "gunicorn, preloaded after a call": server_case(
        *GUNICORN,
        "--preload",
        need="gunicorn",
        recorded="a b loading",
        files={"wsgi.py": WSGI + "call('loading')\n"},
        interact=send_requests("ab"),
    ),
    "gunicorn, workers replaced": server_case(
        *GUNICORN, "--max-requests", "2", need="gunicorn", recorded="a b c d e"
    ),
    "gunicorn, reloaded": server_case(*GUNICORN, need="gunicorn", recorded="a b", interact=reload_server),
    "gunicorn, gevent": server_case(*GUNICORN, "-k", "gevent", need="gevent"),
    "gunicorn, gevent, preloaded after a call": server_case(
        *GUNICORN, "-k", "gevent", "--preload", need="gevent", recorded="a b loading",
        files={"wsgi.py": WSGI + "call('loading')\n"}, interact=send_requests("ab"),
    ),
    "uvicorn": server_case(*UVICORN, need="uvicorn", status=-signal.SIGTERM),
    "uvicorn, two workers": server_case(*UVICORN, "--workers", "2", need="uvicorn"),
    "uvicorn, reloaded": server_case(
        *UVICORN, "--reload", need="uvicorn", recorded="a b", interact=edit_program
    ),
    "hypercorn": server_case("hypercorn", "--bind", "unix:sock", "asgi:app", need="hypercorn"),
    "hypercorn, two workers": server_case(
        "hypercorn", "--bind", "unix:sock", "-w", "2", "asgi:app", need="hypercorn"
    ),
    "celery": server_case(
        *CELERY, need="celery", recorded="a b c d e", files={"tasks.py": TASKS, "queue/keep": ""},
        interact=send_tasks, env={"C_FORCE_ROOT": "1"},
    ),
    "celery, workers replaced": server_case(
        *CELERY, "--max-tasks-per-child", "1", need="celery", recorded="a b c d e",
        files={"tasks.py": TASKS, "queue/keep": ""}, interact=send_tasks, env={"C_FORCE_ROOT": "1"},
    ),
    "uWSGI": server_case(
        "uwsgi", "--http-socket", "sock", "--module", "wsgi:app", "--master", "--die-on-term",
        "--enable-threads", need="uwsgidecorators",
    ),
    "pytest": Case(
        ["pytest", "-p", "no:randomly", "-q", "test_calls.py"], "a b c d e f failing",
        files={"test_calls.py": TESTS}, status=1, varying=VARYING,
    ),
    "pytest with warnings as errors": Case(
        ["pytest", "-p", "no:randomly", "-q", "-W", "error", "test_calls.py"],
        "a b c d e f failing", files={"test_calls.py": TESTS}, status=1, varying=VARYING,
    ),
    "pytest-xdist": Case(
        ["pytest", "-p", "no:randomly", "-n", "2", "-q", "test_calls.py"], "a b c d e f failing",
        files={"test_calls.py": TESTS}, status=1, needs=["xdist"], unordered=True,
        varying=rf"^[.F]+ +\[ *\d+%\]$|{VARYING}",  # either worker may be the first
    ),
    "a notebook": Case(
        ["{python}", "book.py"], "a b c", files={"book.py": NOTEBOOK},
        needs=["nbclient", "ipykernel"], varying=VARYING, env={"LUPIS_SUMMARY": "false"},
    ),
}  # fmt: skip
FAST_CASES = ("pytest",)
"""The cases that stand for the others in `make test`."""


@pytest.mark.parametrize("name", list_cases(CASES, FAST_CASES))
def test_servers_behave_the_same(name, run_pair):
    """Responses, log, status and files are the same."""
    check_same_behaviour(CASES[name], run_pair(name))


@pytest.mark.parametrize("name", list_calling_cases(CASES, FAST_CASES))
def test_the_collector_receives_each_call_once(name, run_pair):
    """Calls of all workers are received."""
    check_recorded_calls(CASES[name], run_pair(name))
