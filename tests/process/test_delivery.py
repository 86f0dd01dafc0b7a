"""Spans arrive once and in time at collectors that work, fail and hang."""

import os
import socket
import sqlite3
import subprocess
from time import monotonic

import pytest
from servers.caller import MARGIN_SECONDS, count_states, find_free_port, list_marks
from servers.slow import slow_except

from lupis_instrument._export.store.database import FILE_NAME
from lupis_instrument._export.store.schema import KEPT, WAITING


def test_spans_arrive_compressed_and_with_the_configured_headers(run_caller, sink):
    """The exporter's own requests have no spans."""
    env = {"LUPIS_API_KEY": "k1", "LUPIS_PROJECT_ID": "shop", "LUPIS_OTLP_HEADERS": "x-more=a%20b"}
    done = run_caller("call('one'); call('two')", env=env)
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


@pytest.mark.slow
def test_the_resource_names_service_project_run_and_process(run_caller, sink):
    """It also has the attributes of OTEL_RESOURCE_ATTRIBUTES."""
    env = {
        "OTEL_SERVICE_NAME": "till",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
        "LUPIS_RUN_ID": "",
    }
    done = run_caller("call(); print(os.getpid(), os.environ['LUPIS_RUN_ID'])", env=env)
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


@pytest.mark.slow
def test_a_standard_variable_switches_compression_off(run_caller, sink):
    """The variable is OTEL_EXPORTER_OTLP_COMPRESSION."""
    run_caller("call()", env={"OTEL_EXPORTER_OTLP_COMPRESSION": "none"})
    assert (1, False) == (len(sink.spans), "content-encoding" in sink.requests[0].headers)


def test_batches_are_sent_while_the_program_runs(run_caller, sink):
    """They are sent after the schedule delay, or when a batch is full."""
    text = "for n in range(5): call(str(n))\nsys.stdin.read()\n"
    env = {"OTEL_BSP_SCHEDULE_DELAY": "300", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "3"}
    with run_caller.start(text, env, stdin=subprocess.PIPE) as process:
        sink.wait_for(5)
        assert process.poll() is None
        process.stdin.close()
    assert list("01234") == list_marks(sink)


def test_requests_to_a_loopback_endpoint_use_no_proxy(run_caller, sink):
    """A proxy cannot reach this machine's loopback addresses."""
    dead_proxy = f"http://127.0.0.1:{find_free_port()}"
    env = {"HTTP_PROXY": dead_proxy, "http_proxy": dead_proxy, "NO_PROXY": "", "no_proxy": ""}
    text = "call('one'); import lupislabs; lupislabs.LupisSDK.get_instance().track_event('e')"
    done = run_caller(text, env=env)
    assert (["one"], ["e"], "") == (list_marks(sink), [e["name"] for e in sink.events], done.stderr)


COLLECTOR_FAULTS = {
    "refusing": lambda sink: None,
    "hanging": lambda sink: sink.hang(),
    "closing connections": lambda sink: sink.drop(),
    "busy": lambda sink: sink.fail(503),
    "busy for long": lambda sink: sink.fail(429, retry_after="60"),
    "broken": lambda sink: sink.fail(500),
    "unauthorised": lambda sink: sink.fail(401),
}


@pytest.mark.parametrize("fault", slow_except({"hanging", "busy"}, COLLECTOR_FAULTS))
def test_a_failing_collector_causes_one_line_and_no_more_delay_than_the_timeout(
    fault, run_caller, sink
):
    """Output and exit status are the program's."""
    COLLECTOR_FAULTS[fault](sink)
    endpoint = sink.traces_url
    if fault == "refusing":
        endpoint = f"http://127.0.0.1:{find_free_port()}/v1/traces"
    text = "call(); print('err', file=sys.stderr); print(time.monotonic()); sys.exit(7)"
    done = run_caller(text, env={"LUPIS_OTLP_ENDPOINT": endpoint, "LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    assert monotonic() - float(done.stdout) < 0.5 + MARGIN_SECONDS
    assert 7 == done.returncode
    lines = done.stderr.splitlines()
    assert "err" in lines
    (warning,) = [line for line in lines if line != "err"]
    assert warning.startswith("lupis: warning: ")
    assert endpoint in warning


@pytest.mark.slow
def test_a_slow_collector_receives_all_spans(run_caller, sink):
    """It answers within the timeout."""
    sink.slow(0.5)
    done = run_caller("call('one')")
    assert (["one"], "") == (list_marks(sink), done.stderr)


def test_requests_to_a_busy_collector_are_repeated(run_caller, sink):
    """They are repeated after the time in Retry-After."""
    sink.fail(503, times=2, retry_after="0")
    done = run_caller("call('one')")
    assert (["one"], "") == (list_marks(sink), done.stderr)
    assert [503, 503, 200] == [request.status for request in sink.requests]


def test_without_a_collector_at_the_default_endpoint_spans_are_stored(run_caller, run):
    """The program ends without delay or warning."""
    port = 9009
    with socket.socket() as probe:
        if not probe.connect_ex(("127.0.0.1", port)):
            pytest.skip("a collector listens at the default endpoint")
    text = "for _ in range(3): call()\nprint(time.monotonic())"
    done = run_caller(text, env={"LUPIS_OTLP_ENDPOINT": "", "LUPIS_SHUTDOWN_TIMEOUT": "100"})
    assert monotonic() - float(done.stdout) < MARGIN_SECONDS
    assert (0, "", [(KEPT, 3)]) == (done.returncode, done.stderr, count_states(run))


@pytest.mark.slow
def test_failed_requests_are_not_in_the_programs_log(run_caller, sink, tmp_path):
    """OpenTelemetry's log messages about them are hidden."""
    sink.fail(503, times=1, retry_after="0")
    done = run_caller(
        """
        import logging
        logging.basicConfig(level=logging.DEBUG, format="%(name)s %(message)s")
        logging.getLogger("program").info("logged")
        call()
        """
    )
    assert "program logged\n" == done.stderr


@pytest.mark.slow
def test_calls_of_many_threads_arrive_once(run_caller, sink):
    """There are 120 calls by 12 threads."""
    done = run_caller(
        """
        def work(start):
            for n in range(start, start + 10):
                call(f"{n:03}")
        threads = [threading.Thread(target=work, args=(start * 10,)) for start in range(12)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
        """
    )
    assert ([f"{n:03}" for n in range(120)], "") == (list_marks(sink), done.stderr)


@pytest.mark.slow
def test_a_small_queue_holds_the_program_up_and_loses_nothing(run_caller, sink):
    """The program ends spans faster than the background thread can start."""
    env = {"OTEL_BSP_MAX_QUEUE_SIZE": "2", "LUPIS_SUMMARY": "true"}
    text = """
        from lupislabs import LupisSDK
        tracer = LupisSDK.get_instance().get_tracer()
        for n in range(50): tracer.start_span(str(n)).end()
    """
    done = run_caller(text, env=env)
    assert sorted(str(n) for n in range(50)) == sorted(span["name"] for span in sink.spans)
    assert f"50 spans -> {sink.traces_url}" in " ".join(done.stderr.split())


@pytest.mark.slow
def test_a_full_queue_drops_spans_and_reports_their_number(run_caller, sink):
    """A delivery hangs, so that the queue never has room; the summary's numbers add up."""
    env = {
        "OTEL_BSP_MAX_QUEUE_SIZE": "2",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1",
        "LUPIS_SUMMARY": "true",
        "LUPIS_SHUTDOWN_TIMEOUT": "1",
    }
    text = """
        from lupislabs import LupisSDK
        tracer = LupisSDK.get_instance().get_tracer()
        call()
        assert LupisSDK.get_instance().flush(10)
        from lupis_instrument._runtime import current as _runtime
        hanging = threading.Event()
        _runtime.get_runtime().spans._deliver = lambda _: hanging.set() or threading.Event().wait(600)
        tracer.start_span("hangs").end()
        hanging.wait(60)
        for n in range(50): tracer.start_span(str(n)).end()
    """
    done = run_caller(text, env=env)
    assert "48 spans and events were lost: queue full" in done.stderr
    lost = "48 dropped: queue full, 3 dropped: not ready in time"
    assert f"52 spans: 1 -> {sink.traces_url}, {lost}" in " ".join(done.stderr.split())


def test_spans_for_a_hanging_collector_are_stored(run_caller, sink, run):
    """A line on stderr reports it."""
    sink.hang()
    done = run_caller("for _ in range(5): call()", env={"LUPIS_SHUTDOWN_TIMEOUT": "0.3"})
    assert [(WAITING, 5)] == count_states(run)
    assert "wait in the store" in done.stderr


def test_the_exporter_none_sends_nothing(run_caller, sink):
    """The setting is LUPIS_EXPORTER=none."""
    done = run_caller("call()", env={"LUPIS_EXPORTER": "none"})
    assert ([], "", "") == (sink.requests, done.stdout, done.stderr)


@pytest.fixture
def default_variables(run, sink):
    """Variables for programs in which the collector is at the address of the desktop app."""
    site = run.folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "from lupis_instrument._config import settings as _settings\n"
        f"_settings.BY_NAME['otlp_endpoint'].default = {sink.traces_url!r}\n"
    )
    return {"LUPIS_OTLP_ENDPOINT": "", "PYTHONPATH": str(site)}


def test_a_later_collector_receives_later_calls(run_caller, sink, run, default_variables):
    """The exporter `auto` looks for it again; stored calls stay in the store."""
    text = """
        from lupis_instrument._export.otlp import probe
        connect = probe._connect
        answers = iter([False])
        def connect_later(*arguments):
            if not next(answers, True):
                raise ConnectionRefusedError
            return connect(*arguments)
        probe._connect = connect_later
        probe._CACHE_SECONDS = 0
        from lupislabs import LupisSDK
        sdk = LupisSDK.get_instance()
        call("early"); sdk.flush(5)
        call("late"); sdk.flush(5)
    """
    done = run_caller(text, env=default_variables)
    assert "" == done.stderr
    assert (["late"], [(KEPT, 1)]) == (list_marks(sink), count_states(run))


@pytest.fixture
def open_folder(tmp_path):
    """A data folder that every user can write to, with a known key and an empty store."""
    if not hasattr(os, "geteuid"):
        pytest.skip("rights are of POSIX")
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "chat-id.key").write_bytes(b"0" * 32)
    sqlite3.connect(folder / FILE_NAME).close()
    return folder


@pytest.mark.slow
def test_spans_are_not_stored_in_a_folder_that_others_can_change(run_caller, open_folder):
    """They are counted as lost; one line says why the folder is refused."""
    before = {path: path.read_bytes() for path in open_folder.iterdir()}
    env = {"LUPIS_EXPORTER": "local", "LUPIS_DATA_DIR": str(open_folder)}
    done = run_caller("call(); print('out')", env=env)
    lines = done.stderr.splitlines()
    assert (0, "out\n", 2) == (done.returncode, done.stdout, len(lines))
    assert f"no store: {open_folder} can be changed by every user; " in lines[0]
    assert lines[1].endswith("1 spans and events were lost: no store")
    assert before == {path: path.read_bytes() for path in open_folder.iterdir()}


def test_spans_are_sent_without_a_folder_that_others_can_change(run_caller, sink, open_folder):
    """Nothing is written to stderr, and the known key makes no chat id."""
    ids = []
    for folder in (open_folder, open_folder / "lupis"):
        done = run_caller("call('one')", env={"LUPIS_DATA_DIR": str(folder)})
        assert (0, "") == (done.returncode, done.stderr)
        ids.append(sink.spans[-1]["attributes"]["lupis.chat.id"])
    assert (["one"] * 2, 2) == (list_marks(sink), len(set(ids)))
    assert [] == list((open_folder / "lupis").glob("*.db"))


def test_a_stranger_at_the_default_endpoint_receives_nothing(
    run_caller, sink, run, default_variables
):
    """Spans stay in the store and wait for nobody."""
    sink.health = None
    done = run_caller("for _ in range(3): call()", env=default_variables)
    assert (0, "", [(KEPT, 3)]) == (done.returncode, done.stderr, count_states(run))
    assert [] == sink.requests
