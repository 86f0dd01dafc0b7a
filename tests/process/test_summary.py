"""The console exporter shows each call, and the summary covers all processes."""

import os
import re
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
    first, *others = done.stderr.splitlines()
    assert first.startswith("lupis: 3 LLM calls, 1 error, ")
    assert any(line.split()[:4] == ["openai", "always-busy", "1", "1"] for line in others)
    assert any(line.split()[:4] == ["openai", "gpt-4o-mini", "2", "0"] for line in others)
    assert f"  3 spans -> {sink.traces_url}" in others


def run_auto(run_caller, text, **env):
    """Returns the lines on stderr, a pipe, with the default of LUPIS_SUMMARY."""
    return run_caller(text, env={"LUPIS_SUMMARY": "auto", **env}).stderr.splitlines()


def test_a_pipe_gets_one_line(run_caller):
    """It has the id of the launch and the next command."""
    (line,) = run_auto(run_caller, "call(); call()", LUPIS_EXPORTER="local")
    assert line.startswith("lupis: 2 LLM calls, ")
    assert re.search("; run [0-9a-f]{8}, see: lupis show --last$", line)


@pytest.mark.slow
def test_a_file_gets_no_line(run_caller, tmp_path):
    """A program's log is its own."""
    log = tmp_path / "log"
    with log.open("w") as stderr:
        env = {"LUPIS_SUMMARY": "auto", "CI": ""}
        with run_caller.start("call()", env, stderr=stderr) as process:
            process.wait(60)
    assert "" == log.read_text()


def test_ci_gets_one_line_in_its_file(run_caller, tmp_path):
    """CI services set the variable CI."""
    log = tmp_path / "log"
    with log.open("w") as stderr, run_caller.start(
        "call()", {"LUPIS_SUMMARY": "auto", "CI": "1"}, stderr=stderr
    ) as done:
        done.wait(60)
    (line,) = log.read_text().splitlines()
    assert line.startswith("lupis: 1 LLM call, ")


@pytest.mark.parametrize("text", ["", "import subprocess, http.client"])
def test_a_program_without_calls_prints_no_line(text, run_caller):
    """Nobody asked for it."""
    assert [] == run_auto(run_caller, text)


def test_the_summary_answers_when_nothing_was_called(run_caller):
    """`--summary` always answers."""
    lines = run_caller("", env={"LUPIS_SUMMARY": "true"}).stderr.splitlines()
    assert "lupis: no LLM calls and no HTTP calls: `lupis doctor` looks for the reason" == lines[0]


@pytest.mark.slow
def test_the_summary_asks_for_a_gateway(run_caller):
    """A call to an unknown path of an unknown host is no LLM call."""
    text = """
        connection = http.client.HTTPConnection(LLM.hostname, LLM.port, timeout=60)
        connection.request("GET", "/status")
        connection.getresponse().read()
    """
    lines = run_caller(text, env={"LUPIS_SUMMARY": "true"}).stderr.splitlines()
    assert lines[0].startswith("lupis: no LLM calls; 1 HTTP call to 127.0.0.1:")
    assert re.search(r"--provider-hosts 127\.0\.0\.1:\d+=openai", "".join(lines[:2]))


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
    assert f"  {calls} spans -> {sink.traces_url}" in lines


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert f"  5 spans -> {sink.traces_url}" in lines


def test_the_summary_follows_the_programs_last_output(run_caller):
    """Both streams go to the same pipe."""
    text = "call()\nprint('last words', end='')"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    with run_caller.start(text, {"LUPIS_SUMMARY": "true"}, **pipes) as process:
        output, _ = process.communicate(timeout=60)
    assert 0 == process.returncode
    assert output.startswith("last wordslupis: 1 LLM call, ")
