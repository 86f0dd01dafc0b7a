"""The console exporter shows each call, and the summary covers all processes."""

import os
import subprocess

import pytest


def test_the_console_shows_calls_on_stderr(run_caller, sink):
    """Stdout has the program's output alone."""
    done = run_caller(
        "call(); print('out')", env={"LUPIS_EXPORTER": "console", "LUPIS_CHAT_ID": "trip"}
    )
    assert ("out\n", []) == (done.stdout, sink.requests)
    (line,) = done.stderr.splitlines()
    assert "chat gpt-4o-mini" in line
    assert line.endswith("  chat trip")


def test_the_summary_shows_calls_errors_tokens_and_destination(run_caller, sink):
    """Its numbers add up."""
    done = run_caller("call(); call(); call(model='always-busy')", env={"LUPIS_SUMMARY": "true"})
    first, busy, mini, last = done.stderr.splitlines()
    assert first.startswith("lupis: 3 LLM calls, 1 error, ")
    assert busy.startswith("  openai always-busy  1 LLM call, 1 error, 0 tokens in, ")
    assert mini.startswith("  openai gpt-4o-mini  2 LLM calls, ")
    assert f"  3 spans -> {sink.traces_url}" == last


def test_there_is_no_summary_without_a_terminal(run_caller):
    """This is the default of LUPIS_SUMMARY."""
    assert "" == run_caller("call()").stderr


POOL_PROGRAM = """
if __name__ == "__main__":
    import multiprocessing
    with multiprocessing.Pool(2) as pool:
        pool.map(call, ["a", "b", "c"])
    print("end")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
@pytest.mark.parametrize("first", ["", "    call('parent')\n"])
def test_one_summary_covers_all_processes(first, run_caller, sink):
    """The first process writes it, even if it made no call itself."""
    done = run_caller(
        POOL_PROGRAM.replace("    import", f"{first}    import", 1), env={"LUPIS_SUMMARY": "true"}
    )
    calls = 4 if first else 3
    lines = done.stderr.splitlines()
    assert 1 == sum(line.startswith("lupis: ") for line in lines)
    assert lines[0].startswith(f"lupis: {calls} LLM calls, ")
    assert f"  {calls} spans -> {sink.traces_url}" == lines[-1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
@pytest.mark.parametrize("exporter", ["local", "otlp"])
def test_the_summary_covers_killed_children(exporter, run_caller, sink):
    """With LUPIS_DURABLE, each of their spans is stored before the kill."""
    sink.fail(503)
    done = run_caller(
        """
        import signal
        call()
        if not os.fork():
            call()
            call()
            os.kill(os.getpid(), signal.SIGKILL)
        os.wait()
        """,
        env={
            "LUPIS_SUMMARY": "true",
            "LUPIS_DURABLE": "true",
            "LUPIS_EXPORTER": exporter,
            "LUPIS_SHUTDOWN_TIMEOUT": "0.5",
        },
    )
    assert "lupis: 3 LLM calls," in done.stderr
    assert "3 spans -> " in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_the_summary_covers_programs_before_exec(run_caller, sink):
    """The process becomes another program twice, after a failed attempt."""
    text = """
        stage = int(sys.argv[2]) if sys.argv[2:] else 0
        call()
        if stage < 2:
            try:
                os.execv("nowhere", ["nowhere"])
            except FileNotFoundError:
                call()
            os.execv(sys.executable, [sys.executable, __file__, sys.argv[1], str(stage + 1)])
        """
    lines = run_caller(text, env={"LUPIS_SUMMARY": "true"}).stderr.splitlines()
    assert 1 == sum(line.startswith("lupis: ") for line in lines)
    assert lines[0].startswith("lupis: 5 LLM calls, ")
    assert f"  5 spans -> {sink.traces_url}" == lines[-1]


def test_the_summary_follows_the_programs_last_output(run_caller):
    """Both streams go to the same pipe."""
    text = "call()\nprint('last words', end='')"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    with run_caller.start(text, {"LUPIS_SUMMARY": "true"}, **pipes) as process:
        output, _ = process.communicate(timeout=60)
    assert 0 == process.returncode
    assert output.startswith("last wordslupis: 1 LLM call, ")
