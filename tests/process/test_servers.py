"""Servers, workers and test runners: the same log and answers, and their calls arrive, once."""

import http.client
import os
import signal
import socket

import pytest
from servers.pair import Case, Pairs, arrivals, check_arrived, check_transparent, parameters

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
CHANGING = r"[0-9a-f]{8}-[0-9a-f-]{27}|0x[0-9a-f]+|\d[\d.]*"
"""Identifiers, addresses, times, process ids and durations."""


def ask(running, path):
    """Asks the server for a path, over its socket, as soon as it listens."""
    address = str(running.folder / "sock")

    def answered():
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        seen = None
        try:
            connection.sock.connect(address)
            seen = len(running.provider.seen)
            connection.request("GET", path)
            answer = connection.getresponse()
            return (200, b"29") == (answer.status, answer.read())
        except (OSError, http.client.HTTPException):
            asked = seen is not None and seen < len(running.provider.seen)
            assert not asked, "the call was made, but not answered"
            return False
        finally:
            connection.close()

    running.wait(answered, path)


def ask_all(paths):
    """What is done with a server: asked for these paths, it is stopped."""

    def drive(running):
        for path in paths:
            ask(running, f"/{path}")
        running.interrupt(signal.SIGTERM)

    return drive


def reload_between(running):
    """A graceful reload: workers are replaced, and the new ones serve."""
    ask(running, "/a")
    running.interrupt(signal.SIGHUP)
    running.wait_for_line("Booting worker", 2)
    running.wait_for_line("Worker exiting")
    ask(running, "/b")
    running.interrupt(signal.SIGTERM)


def edit_between(running):
    """The program's text changes while it runs."""
    ask(running, "/a")
    text = running.folder / "asgi.py"

    def noticed():
        if "Reloading" in running.read():
            return True
        text.write_text(text.read_text() + "#")  # an edit before its first look goes unnoticed
        return False

    running.wait(noticed, "Reloading")
    running.wait_for_line("Application startup complete", 2)
    ask(running, "/b")
    text.write_text(ASGI)
    running.interrupt(signal.SIGTERM)


def send_tasks(running):
    """Five tasks for the worker, and its end once it has done them."""
    import subprocess
    import sys

    running.wait_for_line("ready.")
    subprocess.run([sys.executable, "tasks.py"], cwd=running.folder, check=True)
    running.wait_for_calls(5)
    running.wait_for_line("succeeded", 5)
    running.interrupt(signal.SIGTERM)


def server(*command, need, marks="a b c", **more):
    """A case of a server that is asked for the paths that its calls are named by."""
    drive = more.pop("drive", None) or ask_all(marks.split())
    options = {"files": FILES, "unordered": True, "masked": CHANGING, "mask": "~", **more}
    return Case(command, marks, needs=[need], drive=drive, **options)


GUNICORN = ("gunicorn", "--bind", "unix:sock", "wsgi:app")
UVICORN = ("uvicorn", "--uds", "sock", "asgi:app")
CELERY = ("celery", "-A", "tasks", "worker", "-c", "2", "-l", "INFO", "--without-mingle")
CASES = {
    "gunicorn": server(*GUNICORN, need="gunicorn"),
    "gunicorn, two workers": server(*GUNICORN, "-w", "2", need="gunicorn", marks="a b c d e f"),
    "gunicorn, threads": server(*GUNICORN, "-k", "gthread", "--threads", "2", need="gunicorn"),
    "gunicorn, preloaded": server(*GUNICORN, "--preload", "-w", "2", need="gunicorn"),
    "gunicorn, preloaded after a call": server(
        *GUNICORN,
        "--preload",
        need="gunicorn",
        marks="a b loading",
        files={"wsgi.py": WSGI + "call('loading')\n"},
        drive=ask_all("ab"),
    ),
    "gunicorn, workers replaced": server(
        *GUNICORN, "--max-requests", "2", need="gunicorn", marks="a b c d e"
    ),
    "gunicorn, reloaded": server(*GUNICORN, need="gunicorn", marks="a b", drive=reload_between),
    "gunicorn, gevent": server(*GUNICORN, "-k", "gevent", need="gevent"),
    "uvicorn": server(*UVICORN, need="uvicorn", status=-signal.SIGTERM),
    "uvicorn, two workers": server(*UVICORN, "--workers", "2", need="uvicorn"),
    "uvicorn, reloaded": server(
        *UVICORN, "--reload", need="uvicorn", marks="a b", drive=edit_between
    ),
    "hypercorn": server("hypercorn", "--bind", "unix:sock", "asgi:app", need="hypercorn"),
    "hypercorn, two workers": server(
        "hypercorn", "--bind", "unix:sock", "-w", "2", "asgi:app", need="hypercorn"
    ),
    "celery": server(
        *CELERY, need="celery", marks="a b c d e", files={"tasks.py": TASKS, "queue/keep": ""},
        drive=send_tasks, env={"C_FORCE_ROOT": "1"},
    ),
    "celery, workers replaced": server(
        *CELERY, "--max-tasks-per-child", "1", need="celery", marks="a b c d e",
        files={"tasks.py": TASKS, "queue/keep": ""}, drive=send_tasks, env={"C_FORCE_ROOT": "1"},
    ),
    "uWSGI": server(
        "uwsgi", "--http-socket", "sock", "--module", "wsgi:app", "--master", "--die-on-term",
        "--enable-threads", need="uwsgidecorators",
    ),
    "pytest": Case(
        ["pytest", "-p", "no:randomly", "-q", "test_calls.py"], "a b c d e f failing",
        files={"test_calls.py": TESTS}, status=1, masked=CHANGING,
    ),
    "pytest with warnings as errors": Case(
        ["pytest", "-p", "no:randomly", "-q", "-W", "error", "test_calls.py"],
        "a b c d e f failing", files={"test_calls.py": TESTS}, status=1, masked=CHANGING,
    ),
    "pytest-xdist": Case(
        ["pytest", "-p", "no:randomly", "-n", "2", "-q", "test_calls.py"], "a b c d e f failing",
        files={"test_calls.py": TESTS}, status=1, needs=["xdist"], unordered=True,
        masked=rf"^[.F]+ +\[ *\d+%\]$|{CHANGING}",  # which worker is the first is chance
    ),
    "a notebook": Case(
        ["{python}", "book.py"], "a b c", files={"book.py": NOTEBOOK},
        needs=["nbclient", "ipykernel"], masked=CHANGING, env={"LUPIS_SUMMARY": "false"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Runs a case without us and with us."""
    return Pairs(CASES, tmp_path_factory.mktemp("servers") / "run")


@pytest.mark.parametrize("name", parameters(CASES))
def test_servers_do_the_same(name, pair):
    """Same answers, log and status."""
    check_transparent(CASES[name], pair(name))


@pytest.mark.parametrize("name", arrivals(CASES))
def test_their_calls_arrive_once(name, pair):
    """Whichever worker made them."""
    check_arrived(CASES[name], pair(name))
