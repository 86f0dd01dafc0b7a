"""The end of a program delivers or stores its spans, within the timeout."""

import os
import re
import signal
import subprocess
from textwrap import dedent
from time import monotonic, sleep

import pytest
from servers.caller import (
    MARGIN_SECONDS,
    SPAN_IN_FLIGHT,
    count_states,
    find_free_port,
    list_marks,
    read_account,
)
from servers.slow import slow_except

from lupis_instrument._export.store.schema import WAITING


def test_a_thread_that_sleeps_does_not_hold_the_end(run_caller, sink):
    """The spans are delivered, and status and output are the same as without lupis-run."""
    text = """
        call("one")
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    """
    done, plain = (run_caller(text, launched=launched) for launched in (True, False))
    assert ["one"] == list_marks(sink)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert (0, "", "") == (plain.returncode, plain.stdout, plain.stderr)


def test_calls_of_exit_handlers_are_delivered(run_caller, sink):
    """The program registers them before or after its first call."""
    done = run_caller(
        """
        import atexit
        atexit.register(call, "early")
        call("body")
        atexit.register(call, "late")
        """
    )
    assert (["body", "early", "late"], "") == (list_marks(sink), done.stderr)


THREADS_REFUSED = """
def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")
call("one")
threading.Thread.start = refuse
"""


def test_spans_are_delivered_if_no_thread_can_start(run_caller, sink):
    """Python 3.12 starts no thread after the main thread has ended."""
    sink.fail(503, times=1, retry_after="0")
    done = run_caller(THREADS_REFUSED)
    assert (["one"], "") == (list_marks(sink), done.stderr)
    assert [503, 200] == [request.status for request in sink.requests]


def test_spans_are_stored_if_no_thread_can_start_and_the_collector_hangs(run_caller, sink, run):
    """The end takes no longer than the timeout."""
    sink.hang()
    text = THREADS_REFUSED + "print(time.monotonic())"
    done = run_caller(text, env={"LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    assert [(WAITING, 1)] == count_states(run)
    assert "wait in the store" in done.stderr
    assert monotonic() - float(done.stdout) < 0.5 + MARGIN_SECONDS


@pytest.mark.slow
def test_calls_of_a_thread_during_the_end_are_stored(run_caller, sink, run):
    """The thread runs until the interpreter stops it."""
    sink.hang()
    done = run_caller(
        """
        def serve():
            while True:
                call()
                os.write(1, b"1")
        threading.Thread(target=serve, daemon=True).start()
        call()
        """,
        env={"LUPIS_SHUTDOWN_TIMEOUT": "2"},
    )
    made = len(done.stdout)
    assert 2 <= made
    ((state, stored),) = count_states(run)
    assert (WAITING, True) == (state, made + 1 <= stored)


def test_a_first_call_in_an_exit_handler_is_delivered(run_caller, sink):
    """This package has no thread before that."""
    done = run_caller("import atexit; atexit.register(call, 'last')")
    assert (["last"], "") == (list_marks(sink), done.stderr)


def test_a_call_with_an_unread_body_is_delivered(run_caller, sink):
    """Its outcome is "dropped" or "closed"."""
    run_caller(
        """
        connection = http.client.HTTPConnection(LLM.hostname, LLM.port, timeout=60)
        connection.request("POST", "/v1/chat/completions", '{"model": "gpt-4o-mini"}')
        kept = connection.getresponse()
        """
    )
    (span,) = sink.spans
    assert span["attributes"]["lupis.response.outcome"] in {"dropped", "closed"}


def test_a_program_without_calls_sends_nothing(run_caller, sink):
    """It does not load the runtime."""
    done = run_caller("print('lupis_instrument._runtime.runtime' in sys.modules)")
    assert ("False\n", "", []) == (done.stdout, done.stderr, sink.requests)


@pytest.mark.slow
def test_spans_that_are_not_ready_in_time_are_reported(run_caller, sink):
    """The end does not wait longer, and the summary's numbers add up."""
    env = {"LUPIS_SUMMARY": "true", "LUPIS_SHUTDOWN_TIMEOUT": "1"}
    text = """
        from lupislabs import LupisSDK
        call("a")
        assert LupisSDK.get_instance().flush(10)
        from lupis_instrument._runtime import current as _runtime
        _runtime.get_runtime().spans._prepare = lambda _: threading.Event().wait(600)
        call("b")
        call("c")
    """
    done = run_caller(text, env=env)
    assert "2 spans and events were lost: not ready in time" in done.stderr
    fates = f"1 -> {sink.traces_url}, 2 dropped: not ready in time"
    assert f"3 spans: {fates}" in " ".join(done.stderr.split())


@pytest.mark.slow
def test_the_account_of_a_large_backlog_adds_up(run_caller, sink, run):
    """None is lost: when too many spans wait, the program itself prepares some of them."""
    sink.hang()
    env = {"LUPIS_SHUTDOWN_TIMEOUT": "1", "LUPIS_SUMMARY": "true"}
    text = """
        from lupislabs import LupisSDK
        from lupis_instrument._runtime import current as _runtime
        tracer = LupisSDK.get_instance().get_tracer()
        attributes = {f"k{n}": f"some text, john@example.com {n}" * 8 for n in range(12)}
        tracer.start_span("first").end()
        runtime = _runtime.get_runtime()
        runtime.drain(5)  # otherwise the end waits longer, while modules are loaded
        for n in range(19_999): tracer.start_span(str(n), attributes=attributes).end()
        prepare = runtime.spans._prepare
        def prepare_slowly(span):
            time.sleep(0.001)  # also on a slow machine, the end has time for the backlog
            return prepare(span)
        runtime.spans._prepare = prepare_slowly
    """
    run_caller(text, env=env, timeout=220)
    created, delivered, stored, lost = read_account(run)
    assert (20_000, 20_000, {}) == (created, delivered + stored, lost)
    assert [(WAITING, stored)] == count_states(run)


@pytest.mark.parametrize("name", slow_except({"true"}, ("true", "no-such-program")))
def test_exec_waits_once_for_the_whole_path(run_caller, sink, run, name):
    """`os.execvp` tries each folder of PATH."""
    sink.hang()
    text = f"""
        os.environ["PATH"] = "/nowhere:" * 30 + os.environ["PATH"]
        print(time.monotonic(), flush=True)  # of the machine, not of the process
        try:
            os.execvp("{name}", ["{name}"])
        except FileNotFoundError:
            pass
    """
    done = run_caller(SPAN_IN_FLIGHT + dedent(text), env={"LUPIS_SHUTDOWN_TIMEOUT": "2"})
    # Each folder of PATH would take the timeout: a minute together.
    assert monotonic() - float(done.stdout) < 2 + MARGIN_SECONDS
    assert [(WAITING, 1)] == count_states(run)


@pytest.mark.slow
def test_the_end_does_not_wait_again_after_a_shutdown(run_caller, sink, run):
    """The shutdown has waited for the same request."""
    sink.hang()
    text = "LupisSDK.get_instance().shutdown_sync(); print(time.monotonic())"
    done = run_caller(
        SPAN_IN_FLIGHT + text + "; import atexit\n"
        "atexit.register(lambda: print(time.monotonic()))\n"
        "from lupis_instrument._runtime import launch\n"
        "atexit.register(launch.finish)",
        env={"LUPIS_SHUTDOWN_TIMEOUT": "6"},
    )
    first, second = map(float, done.stdout.split())
    assert second - first < 5
    assert [(WAITING, 1)] == count_states(run)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_second_signal_during_the_end_loses_no_span(run_caller, sink, run):
    """It waits until the first signal's handler has stored the spans."""
    sink.hang()
    text = """
        import signal
        from lupis_instrument._export.store.store import Store
        add = Store.add_items
        def slowly(*args, **options):
            print("storing", flush=True)
            time.sleep(1)
            return add(*args, **options)
        Store.add_items = slowly
        call("b")
        os.kill(os.getpid(), signal.SIGTERM)
    """
    text = SPAN_IN_FLIGHT + dedent(text)
    env = {"LUPIS_SHUTDOWN_TIMEOUT": "0.5"}
    with run_caller.start(text, env, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=30)
    assert process.returncode in (-signal.SIGTERM, -signal.SIGHUP)
    assert [(WAITING, 2)] == count_states(run)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_signal_during_a_write_ends_the_program(run_caller, sink):
    """The program writes to a full pipe; the summary appears all the same."""
    text = 'call("a"); print("go", flush=True)\nwhile True: print("x" * 5000)\n'
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    with run_caller.start(text, {"LUPIS_SUMMARY": "true"}, **pipes) as process:
        process.stdout.readline()
        sleep(1)  # until the pipe is full
        process.send_signal(signal.SIGTERM)
        stderr = process.stderr.read()
        process.communicate(timeout=30)
    assert -signal.SIGTERM == process.returncode
    assert "lupis: 1 LLM call" in stderr
    assert ["a"] == list_marks(sink)


def test_spans_before_a_late_init_are_flushed(run_caller, sink):
    """They are sent with the settings of their time."""
    sink.slow(0.5)
    text = """
        import signal
        from lupislabs import LupisConfig, LupisSDK
        from lupis_instrument._runtime import current as _runtime
        call("a")
        _runtime.get_runtime().drain(5)
        assert LupisSDK.init(LupisConfig(project_id="late")).flush(10)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run_caller(text)
    assert ["a"] == list_marks(sink)


# A store that cannot be used


FLAKY_COLLECTORS = {
    "busy": lambda sink: sink.fail(503, times=3),
    "closing connections": lambda sink: sink.drop(times=3),
}


@pytest.fixture
def without_store(tmp_path):
    """Variables for a program whose data folder cannot be made, and that has time to deliver."""
    (tmp_path / "file").write_text("")
    return {
        "LUPIS_DATA_DIR": str(tmp_path / "file" / "folder"),
        "LUPIS_SHUTDOWN_TIMEOUT": "20",
        "LUPIS_SUMMARY": "true",
    }


@pytest.mark.parametrize(
    "flushed",
    [
        pytest.param("", id="at the end"),
        pytest.param(SPAN_IN_FLIGHT, id="before", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("fault", FLAKY_COLLECTORS)
def test_without_a_store_requests_are_repeated(fault, flushed, run_caller, sink, without_store):
    """As long as there is time, because the spans would be lost."""
    FLAKY_COLLECTORS[fault](sink)
    done = run_caller(flushed or "call('a')", env=without_store)
    assert (["a"], 4) == (list_marks(sink), len(sink.requests))
    assert "lost" not in done.stderr


@pytest.mark.slow
def test_without_a_store_calls_of_threads_at_the_end_are_delivered(run_caller, sink, without_store):
    """The calls end while spans of earlier calls are sent."""
    sink.slow(0.1)
    done = run_caller(
        """
        def work():
            for _ in range(10):
                call("thread")
                time.sleep(0.02)
        call("main")
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.05)
        """,
        env=without_store,
    )
    assert "lost" not in done.stderr
    assert "dropped" not in done.stderr


CALLING_THREADS = """
def work():
    while True:
        call()
        os.write(1, b"1")
call()
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
os.write(1, b"1")
"""
"""Threads that call until the interpreter stops them. Each finished call writes a character."""


def count_spans(stderr, fate):
    """Returns the number of all spans in the summary; they must have one single fate."""
    (number,) = re.findall(rf"^ *(\d+) spans(?:: \1)? {fate} [^,]*$", stderr, re.MULTILINE)
    return int(number)


def test_without_a_store_all_calls_of_threads_are_delivered(run_caller, sink, without_store):
    """A call that would end after the totals were reported does not end at all."""
    done = run_caller(CALLING_THREADS, env=without_store)
    delivered = count_spans(done.stderr, "->")
    # The interpreter may stop a thread between the end of its call and its character.
    assert len(done.stdout) <= delivered <= len(done.stdout) + 3
    assert len(sink.spans) == delivered


@pytest.mark.slow
def test_without_a_store_and_an_endpoint_all_calls_of_threads_are_counted(
    run_caller, without_store
):
    """One line says that they are lost."""
    env = {"LUPIS_OTLP_ENDPOINT": f"http://127.0.0.1:{find_free_port()}/v1/traces"}
    env["LUPIS_SHUTDOWN_TIMEOUT"] = "1"
    done = run_caller(CALLING_THREADS, env={**without_store, **env})
    lost = count_spans(done.stderr, "dropped:")
    assert len(done.stdout) <= lost <= len(done.stdout) + 3
    assert f"{lost} spans and events were lost: no store" in done.stderr
