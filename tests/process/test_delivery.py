"""Programs lose no span and are not delayed by collectors that work, fail and hang."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from time import monotonic, sleep

import pytest
from servers.program import ManagedProcess

from lupis_instrument._export.store.database import FILE_NAME
from lupis_instrument._export.store.schema import KEPT, WAITING

# http.client uses no proxy, so proxies in these tests affect the exporter alone.
PRELUDE = """
import http.client, json, os, sys, threading
from urllib.parse import urlsplit

LLM = urlsplit(sys.argv[1])

def call(mark="", model="gpt-4o-mini"):
    connection = http.client.HTTPConnection(LLM.hostname, LLM.port, timeout=10)
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]})
    headers = {"content-type": "application/json", "x-mark": mark}
    connection.request("POST", "/v1/chat/completions", body, headers)
    data = connection.getresponse().read()
    connection.close()
    return data
"""
MARGIN_SECONDS = 6.0
"""The time that a process may take beyond its timeout, on a busy machine."""


@pytest.fixture
def run_program(run, llm):
    """Runs a program that can use the function `call`."""

    def run_program(text, **options):
        return run(PRELUDE + dedent(text), llm.url, **options)

    run_program.run, run_program.llm = run, llm
    return run_program


def list_marks(sink):
    """Returns the marks of the calls that the collector received, sorted."""
    return sorted(span["attributes"]["http.request.header.x-mark"][0] for span in sink.spans)


def count_states(run):
    """Returns the number of items in the store in each state."""
    with closing(sqlite3.connect(run.folder / "data" / "lupis" / FILE_NAME)) as store:
        return store.execute("SELECT state, count(*) FROM item GROUP BY state").fetchall()


def find_free_port():
    """Returns a port without a server."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


# The content of requests


def test_spans_arrive_compressed_and_with_the_configured_headers(run_program, sink):
    """The exporter's own requests have no spans."""
    env = {"LUPIS_API_KEY": "k1", "LUPIS_PROJECT_ID": "shop", "LUPIS_OTLP_HEADERS": "x-more=a%20b"}
    done = run_program("call('one'); call('two')", env=env)
    assert (["one", "two"], "", "") == (list_marks(sink), done.stdout, done.stderr)
    (request,) = sink.requests
    expected = {
        "content-encoding": "gzip",
        "x-api-key": "k1",
        "x-project-id": "shop",
        "x-more": "a b",
    }
    assert expected.items() <= request.headers.items()
    assert not {"traceparent", "baggage"} & set(request.headers)


def test_the_resource_names_service_project_run_and_process(run_program, sink):
    """It also has the attributes of OTEL_RESOURCE_ATTRIBUTES."""
    env = {
        "OTEL_SERVICE_NAME": "till",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
        "LUPIS_RUN_ID": "",
    }
    done = run_program("call(); print(os.getpid(), os.environ['LUPIS_RUN_ID'])", env=env)
    pid, run_id = done.stdout.split()
    resource = sink.spans[0]["resource"]
    assert {
        "service.name": "till",
        "service.version": "1.0.0",
        "deployment.environment": "test",
        "lupis.project.id": "default",
        "lupis.run.id": run_id,
        "process.pid": int(pid),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
    }.items() <= resource.items()


def test_a_standard_variable_switches_compression_off(run_program, sink):
    """The variable is OTEL_EXPORTER_OTLP_COMPRESSION."""
    run_program("call()", env={"OTEL_EXPORTER_OTLP_COMPRESSION": "none"})
    assert (1, False) == (len(sink.spans), "content-encoding" in sink.requests[0].headers)


def test_batches_are_sent_while_the_program_runs(run, sink, llm):
    """They are sent after the schedule delay, or when a batch is full."""
    text = PRELUDE + "for n in range(5): call(str(n))\nsys.stdin.read()\n"
    env = {"OTEL_BSP_SCHEDULE_DELAY": "300", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "3"}
    running = ManagedProcess(
        run.build_command(text, [llm.url]),
        env=run.build_environment(env),
        cwd=run.folder,
        stdin=subprocess.PIPE,
    )
    with running:
        sink.wait_for(5)
        assert running.poll() is None
        running.stdin.close()
    assert list("01234") == list_marks(sink)


def test_requests_to_a_loopback_endpoint_use_no_proxy(run_program, sink):
    """A proxy cannot reach this machine's loopback addresses."""
    dead_proxy = f"http://127.0.0.1:{find_free_port()}"
    env = {"HTTP_PROXY": dead_proxy, "http_proxy": dead_proxy, "NO_PROXY": "", "no_proxy": ""}
    text = "call('one'); import lupislabs; lupislabs.LupisSDK.get_instance().track_event('e')"
    done = run_program(text, env=env)
    assert (["one"], ["e"], "") == (list_marks(sink), [e["name"] for e in sink.events], done.stderr)


def test_warnings_as_errors_do_not_affect_delivery(run_program, sink):
    """A deprecation in a library of this package does not reach the program."""
    done = run_program("call('one')", env={"PYTHONWARNINGS": "error"})
    assert (0, ["one"], "") == (done.returncode, list_marks(sink), done.stderr)


# Failing collectors

COLLECTOR_FAULTS = {
    "refusing": lambda sink: None,
    "hanging": lambda sink: sink.hang(),
    "closing connections": lambda sink: sink.drop(),
    "busy": lambda sink: sink.fail(503),
    "busy for long": lambda sink: sink.fail(429, retry_after="60"),
    "broken": lambda sink: sink.fail(500),
    "unauthorised": lambda sink: sink.fail(401),
}


@pytest.mark.parametrize("fault", COLLECTOR_FAULTS)
def test_a_failing_collector_causes_one_line_and_no_more_delay_than_the_timeout(
    fault, run_program, sink
):
    """Output and exit status are the program's."""
    COLLECTOR_FAULTS[fault](sink)
    endpoint = sink.traces_url
    if fault == "refusing":
        endpoint = f"http://127.0.0.1:{find_free_port()}/v1/traces"
    text = "call(); print('out'); print('err', file=sys.stderr); sys.exit(7)"
    began = monotonic()
    done = run_program(text, env={"LUPIS_OTLP_ENDPOINT": endpoint, "LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    assert monotonic() - began < 0.5 + MARGIN_SECONDS
    assert (7, "out\n") == (done.returncode, done.stdout)
    lines = done.stderr.splitlines()
    assert "err" in lines
    (warning,) = [line for line in lines if line != "err"]
    assert warning.startswith("lupis: warning: ")
    assert endpoint in warning


def test_a_slow_collector_receives_all_spans(run_program, sink):
    """It answers within the timeout."""
    sink.slow(0.5)
    done = run_program("call('one')")
    assert (["one"], "") == (list_marks(sink), done.stderr)


def test_requests_to_a_busy_collector_are_repeated(run_program, sink):
    """They are repeated after the time in Retry-After."""
    sink.fail(503, times=2, retry_after="0")
    done = run_program("call('one')")
    assert (["one"], "") == (list_marks(sink), done.stderr)
    assert [503, 503, 200] == [request.status for request in sink.requests]


def test_without_a_collector_at_the_default_endpoint_spans_are_stored(run_program, run):
    """The program ends without delay or warning."""
    port = 9009
    with socket.socket() as probe:
        if not probe.connect_ex(("127.0.0.1", port)):
            pytest.skip("a collector listens at the default endpoint")
    began = monotonic()
    done = run_program("for _ in range(3): call()", env={"LUPIS_OTLP_ENDPOINT": ""})
    assert monotonic() - began < MARGIN_SECONDS
    assert (0, "", [(KEPT, 3)]) == (done.returncode, done.stderr, count_states(run))


def test_failed_requests_are_not_in_the_programs_log(run_program, sink, tmp_path):
    """OpenTelemetry's log messages about them are hidden."""
    sink.fail(503, times=1, retry_after="0")
    done = run_program(
        """
        import logging
        logging.basicConfig(level=logging.DEBUG, format="%(name)s %(message)s")
        logging.getLogger("program").info("logged")
        call()
        """
    )
    assert "program logged\n" == done.stderr


# The end of a program


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise SystemExit('message')", 1),
        ("raise KeyError", 1),
        ("threading.Thread(target=__import__('time').sleep, args=(60,), daemon=True).start()", 0),
    ],
)
def test_each_end_of_a_program_delivers_its_spans(end, status, run_program, sink):
    """Status and output are the same as without lupis-run."""
    done = run_program(f"call('one')\n{end}\n")
    plain = run_program(f"call('one')\n{end}\n", launched=False)
    assert (status, ["one"]) == (done.returncode, list_marks(sink))
    assert (plain.returncode, plain.stdout, plain.stderr) == (
        done.returncode,
        done.stdout,
        done.stderr,
    )


def test_calls_of_exit_handlers_are_delivered(run_program, sink):
    """The program registers them before or after its first call."""
    done = run_program(
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


def test_spans_are_delivered_if_no_thread_can_start(run_program, sink):
    """Python 3.12 starts no thread after the main thread has ended."""
    sink.fail(503, times=1, retry_after="0")
    done = run_program(THREADS_REFUSED)
    assert (["one"], "") == (list_marks(sink), done.stderr)
    assert [503, 200] == [request.status for request in sink.requests]


def test_spans_are_stored_if_no_thread_can_start_and_the_collector_hangs(run_program, sink, run):
    """The end takes no longer than the timeout."""
    sink.hang()
    began = monotonic()
    done = run_program(THREADS_REFUSED, env={"LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    assert [(WAITING, 1)] == count_states(run)
    assert "wait in the store" in done.stderr
    assert monotonic() - began < 0.5 + MARGIN_SECONDS


def test_calls_of_a_thread_during_the_end_are_stored(run_program, sink, run):
    """The thread runs until the interpreter stops it."""
    sink.hang()
    done = run_program(
        """
        def serve():
            while True:
                call()
                os.write(1, b"1")
        threading.Thread(target=serve, daemon=True).start()
        call()
        """,
        env={"LUPIS_SHUTDOWN_TIMEOUT": "0.5"},
    )
    made = len(done.stdout)
    assert 2 <= made
    ((state, stored),) = count_states(run)
    assert (WAITING, True) == (state, made + 1 <= stored)


def test_a_first_call_in_an_exit_handler_is_delivered(run_program, sink):
    """This package has no thread before that."""
    done = run_program("import atexit; atexit.register(call, 'last')")
    assert (["last"], "") == (list_marks(sink), done.stderr)


def test_a_call_with_an_unread_body_is_delivered(run_program, sink):
    """Its outcome is "dropped" or "closed"."""
    run_program(
        """
        connection = http.client.HTTPConnection(LLM.hostname, LLM.port, timeout=10)
        connection.request("POST", "/v1/chat/completions", '{"model": "gpt-4o-mini"}')
        kept = connection.getresponse()
        """
    )
    (span,) = sink.spans
    assert span["attributes"]["lupis.response.outcome"] in {"dropped", "closed"}


def test_a_program_without_calls_sends_nothing(run_program, sink):
    """It does not load the runtime."""
    done = run_program("print('lupis_instrument._runtime.runtime' in sys.modules)")
    assert ("False\n", "", []) == (done.stdout, done.stderr, sink.requests)


def test_calls_of_many_threads_arrive_once(run_program, sink):
    """There are 120 calls by 12 threads."""
    done = run_program(
        """
        def work(start):
            for n in range(start, start + 10):
                call(f"{n:03}")
        threads = [threading.Thread(target=work, args=(start * 10,)) for start in range(12)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
        """
    )
    assert ([f"{n:03}" for n in range(120)], "") == (list_marks(sink), done.stderr)


def test_a_full_queue_drops_spans_and_reports_their_number(run_program, sink):
    """The summary's numbers add up."""
    env = {"OTEL_BSP_MAX_QUEUE_SIZE": "2", "LUPIS_SUMMARY": "true"}
    text = """
        from lupislabs import LupisSDK
        tracer = LupisSDK.get_instance().get_tracer()
        sys.setswitchinterval(10)
        for n in range(50): tracer.start_span(str(n)).end()
    """
    done = run_program(text, env=env)
    lost = 50 - len(sink.spans)
    assert lost
    assert f"{lost} spans and events were lost: queue full" in done.stderr
    assert f"{len(sink.spans)} -> {sink.traces_url}, {lost} dropped: queue full" in done.stderr


def test_spans_that_are_not_ready_in_time_are_reported(run_program, sink):
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
    done = run_program(text, env=env)
    assert "2 spans and events were lost: not ready in time" in done.stderr
    fates = f"1 -> {sink.traces_url}, 2 dropped: not ready in time"
    assert f"  1 span: {fates}" == done.stderr.splitlines()[-1]


def test_spans_for_a_hanging_collector_are_stored(run_program, sink, run):
    """A line on stderr reports it."""
    sink.hang()
    done = run_program("for _ in range(5): call()", env={"LUPIS_SHUTDOWN_TIMEOUT": "0.3"})
    assert [(WAITING, 5)] == count_states(run)
    assert "wait in the store" in done.stderr


# Forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_parent_and_children_deliver_their_own_calls(run_program, sink):
    """Each call arrives once, with the process id of its process."""
    done = run_program(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from lupislabs import LupisSDK
        sdk = LupisSDK.get_instance()
        call("0 sent before"); sdk.flush(5)
        call("0 waiting")
        for n in (1, 2):
            if not os.fork():
                call(f"{n} child"); call(f"{n} again")
                sdk.track_event(str(n))
                sys.exit(0)
        for _ in (1, 2):
            assert os.wait()[1] == 0
        call("0 after")
        """
    )
    assert "" == done.stderr
    pids = {}
    for span in sink.spans:
        process = span["attributes"]["http.request.header.x-mark"][0].split()[0]
        pids.setdefault(process, set()).add(span["resource"]["process.pid"])
    assert [
        "0 after", "0 sent before", "0 waiting", "1 again", "1 child", "2 again", "2 child",
    ] == list_marks(sink)  # fmt: skip
    assert [1, 1, 1] == [len(process_ids) for process_ids in pids.values()]
    assert 3 == len(set.union(*pids.values()))
    assert ["1", "2"] == sorted(event["name"] for event in sink.events)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_child_that_is_forked_during_calls_of_threads_works(run_program, sink):
    """The parent's threads and their locks do not exist in the child."""
    done = run_program(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        call("first")
        going = True
        def work():
            while going:
                call("parent")
        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        children = []
        for n in range(10):
            child = os.fork()
            if not child:
                call("child")
                sys.exit(0)
            children.append(child)
        statuses = [os.waitpid(child, 0)[1] for child in children]
        going = False
        [thread.join() for thread in threads]
        print(statuses)
        """
    )
    assert f"{[0] * 10}\n" == done.stdout
    assert 10 == list_marks(sink).count("child")


# The console and the summary


def test_the_console_shows_calls_on_stderr(run_program, sink):
    """Stdout has the program's output alone."""
    done = run_program(
        "call(); print('out')", env={"LUPIS_EXPORTER": "console", "LUPIS_CHAT_ID": "trip"}
    )
    assert ("out\n", []) == (done.stdout, sink.requests)
    (line,) = done.stderr.splitlines()
    assert "chat gpt-4o-mini" in line
    assert line.endswith("  chat trip")


def test_the_exporter_none_sends_nothing(run_program, sink):
    """The setting is LUPIS_EXPORTER=none."""
    done = run_program("call()", env={"LUPIS_EXPORTER": "none"})
    assert ([], "", "") == (sink.requests, done.stdout, done.stderr)


def test_the_summary_shows_calls_errors_tokens_and_destination(run_program, sink):
    """Its numbers add up."""
    done = run_program("call(); call(); call(model='always-busy')", env={"LUPIS_SUMMARY": "true"})
    first, busy, mini, last = done.stderr.splitlines()
    assert first.startswith("lupis: 3 LLM calls, 1 error, ")
    assert busy.startswith("  openai always-busy  1 LLM call, 1 error, 0 tokens in, ")
    assert mini.startswith("  openai gpt-4o-mini  2 LLM calls, ")
    assert f"  3 spans -> {sink.traces_url}" == last


def test_there_is_no_summary_without_a_terminal(run_program):
    """This is the default of LUPIS_SUMMARY."""
    assert "" == run_program("call()").stderr


POOL_PROGRAM = """
if __name__ == "__main__":
    import multiprocessing
    with multiprocessing.Pool(2) as pool:
        pool.map(call, ["a", "b", "c"])
    print("end")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
@pytest.mark.parametrize("first", ["", "    call('parent')\n"])
def test_one_summary_covers_all_processes(first, run_program, sink):
    """The first process writes it, even if it made no call itself."""
    done = run_program(
        POOL_PROGRAM.replace("    import", f"{first}    import", 1), env={"LUPIS_SUMMARY": "true"}
    )
    calls = 4 if first else 3
    lines = done.stderr.splitlines()
    assert 1 == sum(line.startswith("lupis: ") for line in lines)
    assert lines[0].startswith(f"lupis: {calls} LLM calls, ")
    assert f"  {calls} spans -> {sink.traces_url}" == lines[-1]


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_the_summary_covers_programs_before_exec(run_program, sink):
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
    lines = run_program(text, env={"LUPIS_SUMMARY": "true"}).stderr.splitlines()
    assert 1 == sum(line.startswith("lupis: ") for line in lines)
    assert lines[0].startswith("lupis: 5 LLM calls, ")
    assert f"  5 spans -> {sink.traces_url}" == lines[-1]


def test_the_summary_follows_the_programs_last_output(run_program):
    """Both streams go to the same pipe."""
    text = PRELUDE + "call()\nprint('last words', end='')"
    command = run_program.run.build_command(text, [run_program.llm.url])
    done = subprocess.run(
        command,
        env=run_program.run.build_environment({"LUPIS_SUMMARY": "true"}),
        cwd=run_program.run.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.startswith("last wordslupis: 1 LLM call, ")


def test_a_later_collector_receives_later_calls(run_program, sink, run):
    """The exporter `auto` looks for it again; stored calls stay in the store."""
    port = int(sink.url.rpartition(":")[2])
    text = """
        from lupis_instrument._export.otlp import probe
        answers = iter([False, True])
        probe._can_connect = lambda url: next(answers, True)
        probe._CACHE_SECONDS = 0
        from lupislabs import LupisSDK
        sdk = LupisSDK.get_instance()
        call("early"); sdk.flush(5)
        call("late"); sdk.flush(5)
    """
    site = run.folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "from lupis_instrument._config import settings as _settings\n"
        f"_settings.BY_NAME['otlp_endpoint'].default = 'http://127.0.0.1:{port}/api/traces'\n"
    )
    done = run_program(text, env={"LUPIS_OTLP_ENDPOINT": "", "PYTHONPATH": str(site)})
    assert "" == done.stderr
    assert (["late"], [(KEPT, 1)]) == (list_marks(sink), count_states(run))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_fork_finds_no_thread_of_this_package(run_program, sink):
    """Python 3.12 warns of a fork in a process with threads."""
    done = run_program(
        """
        import warnings
        warnings.simplefilter("error")
        from lupislabs import LupisSDK
        sdk = LupisSDK.get_instance()
        call("before"); sdk.flush(5); call("waiting")
        sdk.track_event("e")
        if not os.fork():
            sys.exit(0)
        os.wait()
        call("after")
        """
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert ["after", "before", "waiting"] == list_marks(sink)


FORK_COUNT = 1000 if os.environ.get("LUPIS_TEST_ALL") else 30
FORKS_AMONG_THREADS = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    call("first")  # a fork during its imports would leave their locks held in a child
    going, counts = True, [0] * 4
    def work(number):
        while going:
            call(f"thread {number} {counts[number]}")
            counts[number] += 1
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    [thread.start() for thread in threads]
    statuses = set()
    for n in range(int(sys.argv[2])):
        child = os.fork()
        if not child:
            if n % 2:
                os.execv("/bin/true", ["true"])
            call(f"child {n}")
            sys.exit(0)
        statuses.add(os.waitpid(child, 0)[1])
    going = False
    [thread.join() for thread in threads]
    print(*statuses, *counts)
"""


@pytest.mark.timeout(240 + FORK_COUNT)
@pytest.mark.skipif(not Path("/bin/true").exists(), reason="POSIX only")
def test_forks_during_calls_of_threads_lose_and_double_no_call(run, sink, llm):
    """Half of the children call, the others become another program."""
    text = PRELUDE + dedent(FORKS_AMONG_THREADS)
    env = {"LUPIS_SHUTDOWN_TIMEOUT": "20"}
    done = run(text, llm.url, str(FORK_COUNT), env=env, timeout=60 + FORK_COUNT)
    status, *counts = map(int, done.stdout.split())
    called = [f"child {n}" for n in range(0, FORK_COUNT, 2)]
    called += ["first"]
    called += [f"thread {number} {n}" for number, count in enumerate(counts) for n in range(count)]
    assert (0, 0, "") == (done.returncode, status, done.stderr)
    assert sorted(called) == list_marks(sink)


# Critical moments at the end


def read_account(run):
    """Returns the process's numbers of spans: created, delivered, stored, and lost by reason."""
    with closing(sqlite3.connect(run.folder / "data" / "lupis" / FILE_NAME)) as store:
        (row,) = store.execute("SELECT created, delivered, stored, dropped FROM process").fetchall()
    return (*row[:3], json.loads(row[3]))


def test_the_account_of_a_large_backlog_adds_up(run_program, sink):
    """Spans that are not ready in time count as lost."""
    sink.hang()
    env = {"LUPIS_SHUTDOWN_TIMEOUT": "1", "LUPIS_SUMMARY": "true"}
    text = """
        from lupislabs import LupisSDK
        tracer = LupisSDK.get_instance().get_tracer()
        attributes = {f"k{n}": f"some text, john@example.com {n}" * 8 for n in range(12)}
        for n in range(20_000): tracer.start_span(str(n), attributes=attributes).end()
    """
    run_program(text, env=env, timeout=120)
    created, delivered, stored, lost = read_account(run_program.run)
    assert (20_000, 20_000) == (created, delivered + stored + sum(lost.values()))
    assert [(WAITING, stored)] == count_states(run_program.run)
    assert lost["not ready in time"]


DURABLE = {"LUPIS_DURABLE": "true", "LUPIS_SUMMARY": "true"}


@pytest.mark.parametrize("exporter", ["console", "otlp"])
@pytest.mark.parametrize("data", ["data", "file/is/no/folder"])
def test_a_durable_call_is_counted_once(run_program, exporter, data, tmp_path, sink):
    """This holds if it cannot be stored at once."""
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / data)
    env = {**DURABLE, "LUPIS_EXPORTER": exporter, "LUPIS_DATA_DIR": folder}
    done = run_program("for n in range(3): call(str(n))", env=env)
    assert "lupis: 3 LLM calls, " in done.stderr
    assert "3 conversations" in done.stderr
    assert "fault" not in done.stderr
    assert exporter == "console" or ["0", "1", "2"] == list_marks(sink)


def test_durable_calls_of_many_threads_are_separate_conversations(run_program):
    """The totals are exact."""
    text = """
        sys.setswitchinterval(1e-5)
        def work():
            for _ in range(25): call()
        threads = [threading.Thread(target=work) for _ in range(8)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
    """
    done = run_program(text, env={**DURABLE, "LUPIS_EXPORTER": "local"}, timeout=120)
    with closing(sqlite3.connect(run_program.run.folder / "data" / "lupis" / FILE_NAME)) as store:
        select = "SELECT count(*), count(DISTINCT chat), sum(input_tokens) FROM item"
        calls, conversations, tokens = store.execute(select).fetchone()
    assert (200, 200) == (calls, conversations)
    assert f"lupis: 200 LLM calls, {tokens:,} tokens in" in done.stderr


def test_a_durable_span_survives_an_interrupt(run_program, sink):
    """The interrupt arrives while the program's thread prepares the span."""
    text = """
        import signal
        from lupis_instrument._runtime import current as _runtime
        call("a")
        runtime = _runtime.get_runtime()
        prepare = runtime._run_pipeline
        def interrupted(record):
            runtime._run_pipeline = prepare
            signal.raise_signal(signal.SIGINT)
        runtime._run_pipeline = interrupted
        try:
            call("b")
        except KeyboardInterrupt:
            print("interrupted")
        call("c")
    """
    done = run_program(text, env=DURABLE)
    assert ("interrupted\n", ["a", "b", "c"]) == (done.stdout, list_marks(sink))


SPAN_IN_FLIGHT = """
from lupislabs import LupisSDK
import time
call("a")
LupisSDK.get_instance().flush(0.3)
"""


@pytest.mark.parametrize("name", ["true", "no-such-program"])
def test_exec_waits_once_for_the_whole_path(run_program, sink, run, name):
    """`os.execvp` tries each folder of PATH."""
    sink.hang()
    text = f"""
        os.environ["PATH"] = "/nowhere/1:/nowhere/2:/nowhere/3:/nowhere/4:" + os.environ["PATH"]
        began = time.monotonic()
        try:
            os.execvp("{name}", ["{name}"])
        except FileNotFoundError:
            print(time.monotonic() - began)
    """
    began = monotonic()
    run_program(SPAN_IN_FLIGHT + dedent(text), env={"LUPIS_SHUTDOWN_TIMEOUT": "1"})
    assert monotonic() - began < 3 + MARGIN_SECONDS / 2  # four times the timeout would be too much
    assert [(WAITING, 1)] == count_states(run)


def test_the_end_does_not_wait_again_after_a_shutdown(run_program, sink, run):
    """The shutdown has waited for the same request."""
    sink.hang()
    text = "LupisSDK.get_instance().shutdown_sync(); print(time.monotonic())"
    done = run_program(
        SPAN_IN_FLIGHT + text + "; import atexit\n"
        "atexit.register(lambda: print(time.monotonic()))\n"
        "from lupis_instrument._runtime import launch\n"
        "atexit.register(launch.finish)",
        env={"LUPIS_SHUTDOWN_TIMEOUT": "3"},
    )
    first, second = map(float, done.stdout.split())
    assert second - first < 2
    assert [(WAITING, 1)] == count_states(run)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_second_signal_during_the_end_loses_no_span(run_program, sink, run):
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
    command = run.build_command(PRELUDE + SPAN_IN_FLIGHT + dedent(text), [run_program.llm.url])
    env = run.build_environment({"LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    with ManagedProcess(command, env=env, cwd=run.folder, stdout=subprocess.PIPE) as program:
        program.stdout.readline()
        program.send_signal(signal.SIGHUP)
        program.communicate(timeout=30)
    assert program.returncode in (-signal.SIGTERM, -signal.SIGHUP)
    assert [(WAITING, 2)] == count_states(run)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_signal_during_a_write_ends_the_program(run_program, sink, run):
    """The program writes to a full pipe; the summary appears all the same."""
    text = 'call("a"); print("go", flush=True)\nwhile True: print("x" * 5000)\n'
    command = run.build_command(PRELUDE + text, [run_program.llm.url])
    env = run.build_environment({"LUPIS_SUMMARY": "true"})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    with ManagedProcess(command, env=env, cwd=run.folder, **pipes) as program:
        program.stdout.readline()
        sleep(1)  # until the pipe is full
        program.send_signal(signal.SIGTERM)
        stderr = program.stderr.read()
        program.communicate(timeout=30)
    assert -signal.SIGTERM == program.returncode
    assert "lupis: 1 LLM call" in stderr
    assert ["a"] == list_marks(sink)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_forks_do_not_wait_for_a_slow_collector(run_program, sink):
    """Each fork waits for a moment at most."""
    sink.hang()
    text = """
        began = time.monotonic()
        for _ in range(40):
            pid = os.fork()
            if not pid: os._exit(0)
            os.waitpid(pid, 0)
        print(time.monotonic() - began)
    """
    done = run_program(SPAN_IN_FLIGHT + dedent(text), env={"LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    assert float(done.stdout) < 6  # 0.2 s each would be 8


def test_spans_before_a_late_init_are_flushed(run_program, sink):
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
    run_program(text)
    assert ["a"] == list_marks(sink)
