"""Nothing lost, nobody held up: whole programs against collectors that work, fail and hang."""

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

# http.client asks for no proxy, so proxies in these tests are our own exporter's alone.
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
MARGIN = 6.0
"""Seconds that a process may take beyond its waiting, on a busy machine."""


@pytest.fixture
def play(run, llm):
    """Runs a program that has `call`."""

    def play(text, **options):
        return run(PRELUDE + dedent(text), llm.url, **options)

    play.run, play.llm = run, llm
    return play


def marks(sink):
    """The marks of the calls that arrived, sorted."""
    return sorted(span["attributes"]["http.request.header.x-mark"][0] for span in sink.spans)


def states(run):
    """How many items the store has in each state."""
    with closing(sqlite3.connect(run.folder / "data" / "lupis" / FILE_NAME)) as store:
        return store.execute("SELECT state, count(*) FROM item GROUP BY state").fetchall()


def free_port():
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


# what is sent


def test_spans_arrive_packed_and_with_their_headers(play, sink):
    """Our own requests are none of them."""
    env = {"LUPIS_API_KEY": "k1", "LUPIS_PROJECT_ID": "shop", "LUPIS_OTLP_HEADERS": "x-more=a%20b"}
    done = play("call('one'); call('two')", env=env)
    assert (["one", "two"], "", "") == (marks(sink), done.stdout, done.stderr)
    (request,) = sink.requests
    wanted = {
        "content-encoding": "gzip",
        "x-api-key": "k1",
        "x-project-id": "shop",
        "x-more": "a b",
    }
    assert wanted.items() <= request.headers.items()
    assert not {"traceparent", "baggage"} & set(request.headers)


def test_the_resource_says_whose_spans_they_are(play, sink):
    """Service, project, launch and process."""
    env = {
        "OTEL_SERVICE_NAME": "till",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
        "LUPIS_RUN_ID": "",
    }
    done = play("call(); print(os.getpid(), os.environ['LUPIS_RUN_ID'])", env=env)
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


def test_compression_can_be_chosen(play, sink):
    """By the standard variable."""
    play("call()", env={"OTEL_EXPORTER_OTLP_COMPRESSION": "none"})
    assert (1, False) == (len(sink.spans), "content-encoding" in sink.requests[0].headers)


def test_batches_leave_while_the_program_runs(run, sink, llm):
    """After OTEL_BSP_SCHEDULE_DELAY, or when OTEL_BSP_MAX_EXPORT_BATCH_SIZE are there."""
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
    assert list("01234") == marks(sink)


def test_a_loopback_endpoint_is_reached_past_a_proxy(play, sink):
    """No proxy has a way to this machine's own addresses."""
    dead = f"http://127.0.0.1:{free_port()}"
    env = {"HTTP_PROXY": dead, "http_proxy": dead, "NO_PROXY": "", "no_proxy": ""}
    text = "call('one'); import lupislabs; lupislabs.LupisSDK.get_instance().track_event('e')"
    done = play(text, env=env)
    assert (["one"], ["e"], "") == (marks(sink), [e["name"] for e in sink.events], done.stderr)


def test_warnings_as_errors_change_nothing(play, sink):
    """A deprecation in a library of ours is not the program's."""
    done = play("call('one')", env={"PYTHONWARNINGS": "error"})
    assert (0, ["one"], "") == (done.returncode, marks(sink), done.stderr)


# collectors that fail

FAULTS = {
    "refusing": lambda sink: None,
    "hanging": lambda sink: sink.hang(),
    "hanging up": lambda sink: sink.drop(),
    "busy": lambda sink: sink.fail(503),
    "busy for long": lambda sink: sink.fail(429, retry_after="60"),
    "broken": lambda sink: sink.fail(500),
    "unauthorised": lambda sink: sink.fail(401),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_collector_costs_one_line_and_no_more_than_the_timeout(fault, play, sink):
    """Output and exit status are the program's, and its end is bounded."""
    FAULTS[fault](sink)
    endpoint = sink.traces_url
    if fault == "refusing":
        endpoint = f"http://127.0.0.1:{free_port()}/v1/traces"
    text = "call(); print('out'); print('err', file=sys.stderr); sys.exit(7)"
    began = monotonic()
    done = play(text, env={"LUPIS_OTLP_ENDPOINT": endpoint, "LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    assert monotonic() - began < 0.5 + MARGIN
    assert (7, "out\n") == (done.returncode, done.stdout)
    lines = done.stderr.splitlines()
    assert "err" in lines
    (ours,) = [line for line in lines if line != "err"]
    assert ours.startswith("lupis: warning: ")
    assert endpoint in ours


def test_a_slow_collector_gets_everything(play, sink):
    """As long as it answers within the timeout."""
    sink.slow(0.5)
    done = play("call('one')")
    assert (["one"], "") == (marks(sink), done.stderr)


def test_a_busy_collector_is_asked_again(play, sink):
    """After as long as it says."""
    sink.fail(503, times=2, retry_after="0")
    done = play("call('one')")
    assert (["one"], "") == (marks(sink), done.stderr)
    assert [503, 503, 200] == [request.status for request in sink.requests]


def test_nobody_at_the_default_endpoint_is_no_trouble(play, run):
    """It is all in the store, and nobody waits."""
    port = 9009
    with socket.socket() as probe:
        if not probe.connect_ex(("127.0.0.1", port)):
            pytest.skip("a collector listens at the default endpoint")
    began = monotonic()
    done = play("for _ in range(3): call()", env={"LUPIS_OTLP_ENDPOINT": ""})
    assert monotonic() - began < MARGIN
    assert (0, "", [(KEPT, 3)]) == (done.returncode, done.stderr, states(run))


def test_failures_are_not_in_the_programs_log(play, sink, tmp_path):
    """Upstream's lines are about something the program has no part in."""
    sink.fail(503, times=1, retry_after="0")
    done = play(
        """
        import logging
        logging.basicConfig(level=logging.DEBUG, format="%(name)s %(message)s")
        logging.getLogger("theirs").info("heard")
        call()
        """
    )
    assert "theirs heard\n" == done.stderr


# ends of a program


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
def test_every_end_delivers_and_stays_the_programs(end, status, play, sink):
    """Statuses and tracebacks are those without us."""
    done = play(f"call('one')\n{end}\n")
    plain = play(f"call('one')\n{end}\n", launched=False)
    assert (status, ["one"]) == (done.returncode, marks(sink))
    assert (plain.returncode, plain.stdout, plain.stderr) == (
        done.returncode,
        done.stdout,
        done.stderr,
    )


def test_exit_handlers_of_the_program_may_call(play, sink):
    """Those it registered before its first call, and after."""
    done = play(
        """
        import atexit
        atexit.register(call, "early")
        call("body")
        atexit.register(call, "late")
        """
    )
    assert (["body", "early", "late"], "") == (marks(sink), done.stderr)


NO_THREAD = """
def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")
call("one")
threading.Thread.start = refuse
"""


def test_where_no_thread_can_be_had_at_the_end_all_is_delivered(play, sink):
    """Python 3.12 lets none start once the main thread has ended."""
    sink.fail(503, times=1, retry_after="0")
    done = play(NO_THREAD)
    assert (["one"], "") == (marks(sink), done.stderr)
    assert [503, 200] == [request.status for request in sink.requests]


def test_where_no_thread_can_be_had_a_hanging_collector_loses_nothing(play, sink, run):
    """Nor does it take longer."""
    sink.hang()
    began = monotonic()
    done = play(NO_THREAD, env={"LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    assert [(WAITING, 1)] == states(run)
    assert "wait in the store" in done.stderr
    assert monotonic() - began < 0.5 + MARGIN


def test_a_thread_that_calls_while_the_program_ends_loses_nothing(play, sink, run):
    """It goes on until the interpreter stops it, after all has been delivered or stored."""
    sink.hang()
    done = play(
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
    ((state, stored),) = states(run)
    assert (WAITING, True) == (state, made + 1 <= stored)


def test_a_first_call_at_the_very_end_is_delivered(play, sink):
    """No thread of ours was there until then."""
    done = play("import atexit; atexit.register(call, 'last')")
    assert (["last"], "") == (marks(sink), done.stderr)


def test_a_body_that_is_never_read_is_delivered(play, sink):
    """As dropped."""
    play(
        """
        connection = http.client.HTTPConnection(LLM.hostname, LLM.port, timeout=10)
        connection.request("POST", "/v1/chat/completions", '{"model": "gpt-4o-mini"}')
        kept = connection.getresponse()
        """
    )
    (span,) = sink.spans
    assert span["attributes"]["lupis.response.outcome"] in {"dropped", "closed"}


def test_an_idle_program_ends_at_once(play, sink):
    """Nothing is sent, nothing is waited for."""
    done = play("print('lupis_instrument._runtime.runtime' in sys.modules)")
    assert ("False\n", "", []) == (done.stdout, done.stderr, sink.requests)


def test_many_threads_lose_no_span(play, sink):
    """Each call arrives once."""
    done = play(
        """
        def work(start):
            for n in range(start, start + 10):
                call(f"{n:03}")
        threads = [threading.Thread(target=work, args=(start * 10,)) for start in range(12)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
        """
    )
    assert ([f"{n:03}" for n in range(120)], "") == (marks(sink), done.stderr)


def test_a_bounded_queue_drops_and_says_how_many(play, sink):
    """The account adds up all the same."""
    env = {"OTEL_BSP_MAX_QUEUE_SIZE": "2", "LUPIS_SUMMARY": "true"}
    text = """
        from lupislabs import LupisSDK
        tracer = LupisSDK.get_instance().get_tracer()
        sys.setswitchinterval(10)
        for n in range(50): tracer.start_span(str(n)).end()
    """
    done = play(text, env=env)
    lost = 50 - len(sink.spans)
    assert lost
    assert f"{lost} spans and events were lost: queue full" in done.stderr
    assert f"{len(sink.spans)} -> {sink.traces_url}, {lost} dropped: queue full" in done.stderr


def test_what_was_not_ready_in_time_is_said(play, sink):
    """The end waits no longer, and the account adds up."""
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
    done = play(text, env=env)
    assert "2 spans and events were lost: not ready in time" in done.stderr
    fates = f"1 -> {sink.traces_url}, 2 dropped: not ready in time"
    assert f"  1 span: {fates}" == done.stderr.splitlines()[-1]


def test_a_hanging_collector_loses_nothing(play, sink, run):
    """What it has not taken is in the store."""
    sink.hang()
    done = play("for _ in range(5): call()", env={"LUPIS_SHUTDOWN_TIMEOUT": "0.3"})
    assert [(WAITING, 5)] == states(run)
    assert "wait in the store" in done.stderr


# forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_parent_and_children_each_deliver_their_own(play, sink):
    """Once each, under their own process id, whatever was under way before the fork."""
    done = play(
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
        who = span["attributes"]["http.request.header.x-mark"][0].split()[0]
        pids.setdefault(who, set()).add(span["resource"]["process.pid"])
    assert [
        "0 after", "0 sent before", "0 waiting", "1 again", "1 child", "2 again", "2 child",
    ] == marks(sink)  # fmt: skip
    assert [1, 1, 1] == [len(found) for found in pids.values()]
    assert 3 == len(set.union(*pids.values()))
    assert ["1", "2"] == sorted(event["name"] for event in sink.events)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_child_forked_while_others_call_is_not_stuck(play, sink):
    """Threads of the parent don't exist in the child, and neither do their locks."""
    done = play(
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
    assert 10 == marks(sink).count("child")


# what the user sees


def test_the_console_shows_calls_on_stderr(play, sink):
    """And nothing on stdout, which is the program's."""
    done = play("call(); print('out')", env={"LUPIS_EXPORTER": "console", "LUPIS_CHAT_ID": "trip"})
    assert ("out\n", []) == (done.stdout, sink.requests)
    (line,) = done.stderr.splitlines()
    assert "chat gpt-4o-mini" in line
    assert line.endswith("  chat trip")


def test_nowhere_sends_nothing(play, sink):
    """LUPIS_EXPORTER=none."""
    done = play("call()", env={"LUPIS_EXPORTER": "none"})
    assert ([], "", "") == (sink.requests, done.stdout, done.stderr)


def test_the_summary_adds_up(play, sink):
    """LUPIS_SUMMARY=true: calls, errors, tokens, and where the data went."""
    done = play("call(); call(); call(model='always-busy')", env={"LUPIS_SUMMARY": "true"})
    first, busy, mini, last = done.stderr.splitlines()
    assert first.startswith("lupis: 3 LLM calls, 1 error, ")
    assert busy.startswith("  openai always-busy  1 LLM call, 1 error, 0 tokens in, ")
    assert mini.startswith("  openai gpt-4o-mini  2 LLM calls, ")
    assert f"  3 spans -> {sink.traces_url}" == last


def test_the_summary_is_silent_where_no_one_looks(play):
    """By default it is for terminals."""
    assert "" == play("call()").stderr


POOL = """
if __name__ == "__main__":
    import multiprocessing
    with multiprocessing.Pool(2) as pool:
        pool.map(call, ["a", "b", "c"])
    print("end")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
@pytest.mark.parametrize("first", ["", "    call('mine')\n"])
def test_one_summary_tells_of_all_processes(first, play, sink):
    """The first process says it, whether or not it made a call itself."""
    done = play(POOL.replace("    import", f"{first}    import", 1), env={"LUPIS_SUMMARY": "true"})
    calls = 4 if first else 3
    lines = done.stderr.splitlines()
    assert 1 == sum(line.startswith("lupis: ") for line in lines)
    assert lines[0].startswith(f"lupis: {calls} LLM calls, ")
    assert f"  {calls} spans -> {sink.traces_url}" == lines[-1]


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_the_summary_tells_what_a_process_was_before(play, sink):
    """It became another program, twice, and once tried to in vain."""
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
    lines = play(text, env={"LUPIS_SUMMARY": "true"}).stderr.splitlines()
    assert 1 == sum(line.startswith("lupis: ") for line in lines)
    assert lines[0].startswith("lupis: 5 LLM calls, ")
    assert f"  5 spans -> {sink.traces_url}" == lines[-1]


def test_the_summary_comes_behind_the_programs_last_words(play):
    """Where both go to one place."""
    text = PRELUDE + "call()\nprint('last words', end='')"
    command = play.run.build_command(text, [play.llm.url])
    done = subprocess.run(
        command,
        env=play.run.build_environment({"LUPIS_SUMMARY": "true"}),
        cwd=play.run.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.startswith("last wordslupis: 1 LLM call, ")


def test_a_collector_that_comes_later_gets_what_comes_later(play, sink, run):
    """`auto` decides anew while the program runs; what was stored before stays there."""
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
    done = play(text, env={"LUPIS_OTLP_ENDPOINT": "", "PYTHONPATH": str(site)})
    assert "" == done.stderr
    assert (["late"], [(KEPT, 1)]) == (marks(sink), states(run))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_fork_meets_no_thread_of_ours(play, sink):
    """Python 3.12 and newer warn of a fork in a process with threads."""
    done = play(
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
    assert ["after", "before", "waiting"] == marks(sink)


ROUNDS = 1000 if os.environ.get("LUPIS_TEST_ALL") else 30
FORKS = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    call("first")  # what Python imports with it would be locked in a child for ever
    going, counts = True, [0] * 4
    def work(who):
        while going:
            call(f"thread {who} {counts[who]}")
            counts[who] += 1
    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
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


@pytest.mark.timeout(240 + ROUNDS)
@pytest.mark.skipif(not Path("/bin/true").exists(), reason="POSIX only")
def test_forks_among_threads_that_call_lose_and_double_nothing(run, sink, llm):
    """Half of the children call, half of them become another program."""
    text = PRELUDE + dedent(FORKS)
    env = {"LUPIS_SHUTDOWN_TIMEOUT": "20"}
    done = run(text, llm.url, str(ROUNDS), env=env, timeout=60 + ROUNDS)
    status, *counts = map(int, done.stdout.split())
    called = [f"child {n}" for n in range(0, ROUNDS, 2)]
    called += ["first"]
    called += [f"thread {who} {n}" for who, count in enumerate(counts) for n in range(count)]
    assert (0, 0, "") == (done.returncode, status, done.stderr)
    assert sorted(called) == marks(sink)


# windows at the end


def account(run):
    """What the process says became of its spans: created, delivered, stored, and lost by reason."""
    with closing(sqlite3.connect(run.folder / "data" / "lupis" / FILE_NAME)) as store:
        (row,) = store.execute("SELECT created, delivered, stored, dropped FROM process").fetchall()
    return (*row[:3], json.loads(row[3]))


def test_a_backlog_at_the_end_adds_up(play, sink):
    """More than can be prepared in time: the rest is counted as lost."""
    sink.hang()
    env = {"LUPIS_SHUTDOWN_TIMEOUT": "1", "LUPIS_SUMMARY": "true"}
    text = """
        from lupislabs import LupisSDK
        tracer = LupisSDK.get_instance().get_tracer()
        attributes = {f"k{n}": f"some text, john@example.com {n}" * 8 for n in range(12)}
        for n in range(20_000): tracer.start_span(str(n), attributes=attributes).end()
    """
    play(text, env=env, timeout=120)
    created, delivered, stored, lost = account(play.run)
    assert (20_000, 20_000) == (created, delivered + stored + sum(lost.values()))
    assert [(WAITING, stored)] == states(play.run)
    assert lost["not ready in time"]


DURABLE = {"LUPIS_DURABLE": "true", "LUPIS_SUMMARY": "true"}


@pytest.mark.parametrize("exporter", ["console", "otlp"])
@pytest.mark.parametrize("data", ["data", "file/in/the/way"])
def test_durable_or_not_a_call_counts_once(play, exporter, data, tmp_path, sink):
    """Also where it cannot be stored at once."""
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / data)
    env = {**DURABLE, "LUPIS_EXPORTER": exporter, "LUPIS_DATA_DIR": folder}
    done = play("for n in range(3): call(str(n))", env=env)
    assert "lupis: 3 LLM calls, " in done.stderr
    assert "3 conversations" in done.stderr
    assert "fault" not in done.stderr
    assert exporter == "console" or ["0", "1", "2"] == marks(sink)


def test_durable_calls_of_many_threads_are_told_apart(play):
    """Each is a conversation of its own, and the totals are exact."""
    text = """
        sys.setswitchinterval(1e-5)
        def work():
            for _ in range(25): call()
        threads = [threading.Thread(target=work) for _ in range(8)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
    """
    done = play(text, env={**DURABLE, "LUPIS_EXPORTER": "local"}, timeout=120)
    with closing(sqlite3.connect(play.run.folder / "data" / "lupis" / FILE_NAME)) as store:
        select = "SELECT count(*), count(DISTINCT chat), sum(input_tokens) FROM item"
        calls, conversations, tokens = store.execute(select).fetchone()
    assert (200, 200) == (calls, conversations)
    assert f"lupis: 200 LLM calls, {tokens:,} tokens in" in done.stderr


def test_a_durable_span_outlives_an_interrupt(play, sink):
    """Which comes while the span is prepared, on the program's thread."""
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
    done = play(text, env=DURABLE)
    assert ("interrupted\n", ["a", "b", "c"]) == (done.stdout, marks(sink))


HUNG = """
from lupislabs import LupisSDK
import time
call("a")
LupisSDK.get_instance().flush(0.3)
"""


@pytest.mark.parametrize("name", ["true", "no-such-program"])
def test_a_program_is_looked_for_without_waiting_anew(play, sink, run, name):
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
    play(HUNG + dedent(text), env={"LUPIS_SHUTDOWN_TIMEOUT": "1"})
    assert monotonic() - began < 3 + MARGIN / 2  # four times the timeout would be too much
    assert [(WAITING, 1)] == states(run)


def test_who_shuts_down_does_not_wait_again_at_the_end(play, sink, run):
    """For the same request."""
    sink.hang()
    text = "LupisSDK.get_instance().shutdown_sync(); print(time.monotonic())"
    done = play(
        HUNG + text + "; import atexit\n"
        "atexit.register(lambda: print(time.monotonic()))\n"
        "from lupis_instrument._runtime import launch\n"
        "atexit.register(launch.finish)",
        env={"LUPIS_SHUTDOWN_TIMEOUT": "3"},
    )
    first, second = map(float, done.stdout.split())
    assert second - first < 2
    assert [(WAITING, 1)] == states(run)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_second_signal_while_the_end_stores_loses_nothing(play, sink, run):
    """It has to wait for what the first has in hand."""
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
    command = run.build_command(PRELUDE + HUNG + dedent(text), [play.llm.url])
    env = run.build_environment({"LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    with ManagedProcess(command, env=env, cwd=run.folder, stdout=subprocess.PIPE) as program:
        program.stdout.readline()
        program.send_signal(signal.SIGHUP)
        program.communicate(timeout=30)
    assert program.returncode in (-signal.SIGTERM, -signal.SIGHUP)
    assert [(WAITING, 2)] == states(run)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_signal_that_finds_the_program_writing(play, sink, run):
    """To a full pipe: nobody else may write there meanwhile; the totals are told all the same."""
    text = 'call("a"); print("go", flush=True)\nwhile True: print("x" * 5000)\n'
    command = run.build_command(PRELUDE + text, [play.llm.url])
    env = run.build_environment({"LUPIS_SUMMARY": "true"})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    with ManagedProcess(command, env=env, cwd=run.folder, **pipes) as program:
        program.stdout.readline()
        sleep(1)  # until the pipe is full
        program.send_signal(signal.SIGTERM)
        said = program.stderr.read()
        program.communicate(timeout=30)
    assert -signal.SIGTERM == program.returncode
    assert "lupis: 1 LLM call" in said
    assert ["a"] == marks(sink)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_forks_do_not_wait_for_a_slow_collector(play, sink):
    """Each for a moment at most."""
    sink.hang()
    text = """
        began = time.monotonic()
        for _ in range(40):
            pid = os.fork()
            if not pid: os._exit(0)
            os.waitpid(pid, 0)
        print(time.monotonic() - began)
    """
    done = play(HUNG + dedent(text), env={"LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    assert float(done.stdout) < 6  # 0.2 s each would be 8


def test_what_was_made_before_a_late_init_is_flushed_too(play, sink):
    """It goes the way of the settings that were in force."""
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
    play(text)
    assert ["a"] == marks(sink)
