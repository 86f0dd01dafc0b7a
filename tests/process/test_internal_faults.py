"""When a function of this package fails, the program behaves as without lupis-run."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from servers import otlp, wire
from servers.program import Runner
from servers.slow import slow_except

PROGRAM = Path(__file__).parent / "clients" / "fault_injection.py"
REQUESTS = ("requests",)
URLLIB = ("urllib",)
HTTPX = ("httpx", "async_httpx")
AIOHTTP = ("aiohttp",)
ALL = ("requests", "urllib", "httpx", "async_httpx", "aiohttp")
LASTING_FAULTS = {
    # While the program imports clients.
    "_runtime.import_callbacks:ImportCallbacks._wrap_client": ALL,
    "_runtime.conflicts:find_hidden_module": ALL,
    "_instrumentation.import_hook:_watch_loader": REQUESTS,
    "_instrumentation.wrapping:wrap_method": ALL,
    "_instrumentation.clients.httpx:wrap_client": HTTPX,
    "_instrumentation.clients.httpx:_make_stream_class": HTTPX,
    "_instrumentation.clients.aiohttp:_make_reader_class": AIOHTTP,
    "_instrumentation.provider_observer:observe_providers": REQUESTS,
    # With the first request.
    "_instrumentation.activation:Activation._activate_once": ALL,
    "_instrumentation.activation:load_context_keys": ALL,
    "_instrumentation.upstream:switch_on": ALL,
    "_instrumentation.upstream:unwrapped": ALL,
    "_instrumentation.clients.aiohttp:make_marker": AIOHTTP,
    "_instrumentation.clients.aiohttp:take_config": AIOHTTP,
    "_instrumentation.clients.aiohttp:add_receivers": AIOHTTP,
    "_runtime.current:start_runtime": REQUESTS,
    "_runtime.current:read_settings": REQUESTS,
    "_runtime.import_callbacks:_activate_client": REQUESTS,
    "_tracing.resource:build_resource": REQUESTS,
    "_instrumentation.selection:report_missing": REQUESTS,
    "_runtime.runtime:Runtime.__init__": REQUESTS,
    "_export.delivery:Delivery.__init__": REQUESTS,
    "_process.shutdown_hooks:watch_signals": ALL,
    "_tracing.processor:CallSpanProcessor.current_http_call": ALL,
    "_tracing.processor:CallSpanProcessor.context_with_span": REQUESTS,
    "_tracing.processor:CallSpanProcessor.client_context": REQUESTS,
    "_tracing.stages:build_pipeline": REQUESTS,
    "_export.batch_worker:BatchWorker._start_thread": URLLIB,
    "_export.batch_worker:BatchWorker._prepare_item": URLLIB,
    "_export.batch_worker:BatchWorker._deliver_batch": URLLIB,
    "_export.otlp.sending:Sender._connect": URLLIB,
    "_export.export_worker:ExportWorker._work_once": URLLIB,
    "_export.export_worker:ExportWorker.put_batch": URLLIB,
    "_export.retry_manager:RetryManager.deliver_items": URLLIB,
    # At the end.
    "_runtime.current:finish": URLLIB,
    "_runtime.runtime:Runtime.shutdown": URLLIB,
    "_runtime.process_tree:report": URLLIB,
    "_tracing.processor:CallSpanProcessor.end_open_bodies": URLLIB,
    "_export.export_worker:ExportWorker.stop": URLLIB,
    "_export.summary_text:SummaryText.format_lines": URLLIB,
    # In the report of another fault.
    "_redaction:Redactor.redact_text": URLLIB,
    # In methods of LupisSDK that wait.
    "_runtime.runtime:Runtime.flush": ("urllib", "flush"),
}
"""The functions that fail from start to end of a program, and the program's clients."""
FAST_FAULTS = (
    "_runtime.import_callbacks:ImportCallbacks._wrap_client",
    "_instrumentation.wrapping:wrap_method",
    "_instrumentation.activation:Activation._activate_once",
    "_instrumentation.upstream:switch_on",
    "_runtime.current:start_runtime",
    "_runtime.runtime:Runtime.__init__",
    "_export.export_worker:ExportWorker.put_batch",
    "_runtime.runtime:Runtime.shutdown",
    "_redaction:Redactor.redact_text",
)
"""The lasting faults that `make test` includes; the others are slow."""
TEMPORARY_FAULTS = (
    # In each request.
    "_tracing.processor:CallSpanProcessor._track_start",
    "_tracing.processor:CallSpanProcessor._is_excluded",
    "_tracing.processor:CallSpanProcessor.find_state",
    "_tracing.processor:CallSpanProcessor._queue_state",
    "_tracing.processor:find_llm_ancestor",
    "_tracing.span_state:SpanState.keep_open",
    "_tracing.span_state:SpanState.end_span",
    "_tracing.span_state:SpanState._queue_once",
    "_tracing.propagation:SelectivePropagator._add_headers",
    "_tracing.context:current_conversation",
    "_tracing.span_tree:SpanTree.add_span",
    "_tracing.span_tree:SpanTree.end_span",
    "_tracing.http_call:HttpCall.__init__",
    "_tracing.http_call:HttpCall.begin_attempt",
    "_tracing.http_call:HttpCall.add_request_data",
    "_tracing.http_call:HttpCall.begin_response",
    "_tracing.http_call:HttpCall.on_body_end",
    "_tracing.http_call:HttpCall.has_open_body",
    "_tracing.http_call:ResponseBody.__init__",
    "_tracing.http_call:identify_endpoint",
    "_tracing.http_call:parse_url",
    "_tracing.http_call:BodyReader.__init__",
    "_llm.body.body_reader:perf_counter_ns",
    "_instrumentation.clients.http_client:WireRequest.__init__",
    "_instrumentation.clients.http_client:WireRequest.add_data",
    "_instrumentation.clients.http_client:_watch_response",
    "_instrumentation.clients.http_client:read_request_line",
    "_instrumentation.clients.http_client_urls:base_url",
    "_instrumentation.clients.client_span:start_span",
    "_instrumentation.clients.http_client_spans:_ConnectionSpans._start_span",
    "_instrumentation.clients.http_client_spans:_ConnectionSpans._end_span",
    "_instrumentation.clients.http_client_spans:_add_trace_headers",
    "_instrumentation.clients.http_client_spans:_is_call_span",
    "_instrumentation.clients.tapped_file:TappedFile._end_body",
    "_instrumentation.clients.tapped_file:Tap.feed_body",
    "_instrumentation.clients.tapped_file:Tap.end_early",
    "_instrumentation.clients.tapped_file:_is_collected",
    "_instrumentation.clients.httpx:_read_request",
    "_instrumentation.clients.httpx:_watch_response",
    "_instrumentation.clients.aiohttp_signals:TracedRequest.lift_suppression",
    "_instrumentation.clients.aiohttp_signals:TracedRequest.enter_client_context",
    "_instrumentation.clients.aiohttp_signals:TracedRequest.keep_context",
    "_instrumentation.clients.aiohttp_signals:TracedRequest.restore_context",
    "_instrumentation.clients.aiohttp_signals:TracedRequest.record_head",
    "_instrumentation.clients.aiohttp_signals:TracedRequest.record_chunk",
    "_instrumentation.clients.aiohttp:_watch_response",
    # On this package's own threads.
    "_llm.body.body_reader:BodyReader.finish",
    "_tracing.span_state:SpanState.end_sdk_span",
    "_tracing.pipeline:Draft.__init__",
    "_tracing.pipeline:Draft.build_span",
    "_tracing.stages.enrich:Enrich.__call__",
    "_tracing.stages.enrich:digest_call",
    "_tracing.stages.redact:SpanRedactor.__call__",
    "_tracing.stages.redact:SpanRedactor._redact_draft",
    "_tracing.pipeline:Pipeline.run",
    "_redaction:Redactor.redact_attributes",
    "_export.batch_worker:BatchWorker.put_item",
    "_export.summary:Summary.add_span",
    "_export.otlp.encoded_items:ItemEncoder.encode_spans",
    "_export.exporters:OtlpExporter.export_spans",
    "_export.export_worker:ExportWorker._deliver_batch",
    "_export.retry_manager:RetryManager._record_response",
    # In methods of LupisSDK.
    "sdk:LupisSDK._track_event",
    "_tracing.events:make_event",
    "_export.exporters:OtlpExporter.export_events",
)
"""The functions that fail one after the other in one program, which calls with all clients."""
WITH_EVENTS = (*ALL, "sdk")
MAX_LINES = 2
"""The number of lines on stderr for each client; each fault is reported once."""


@pytest.fixture(scope="module")
def server():
    """The server that all programs call."""
    with wire.serving() as running:
        yield running


@pytest.fixture(scope="module")
def bare_output(server, tmp_path_factory):
    """Returns the output of a run without lupis-run, for clients and targets."""
    outputs = {}

    def run_once(clients, targets=("none:",)):
        key = (clients, targets)
        if key not in outputs:
            with otlp.serving() as sink:
                runner = Runner(sink, tmp_path_factory.mktemp("bare"))
                arguments = ",".join(targets), ",".join(clients)
                env = {"WIRE_URL": server.url}
                outputs[key] = runner(PROGRAM, *arguments, env=env, launched=False).stdout
        return outputs[key]

    return run_once


@pytest.mark.parametrize("target", slow_except(FAST_FAULTS, LASTING_FAULTS))
def test_a_lasting_fault_does_not_affect_the_program(run, server, bare_output, target):
    """Output and status are the same, and stderr has at most two lines for each client."""
    clients = LASTING_FAULTS[target]
    env = {"WIRE_URL": server.url, "LUPIS_SHUTDOWN_TIMEOUT": "0.5", "LUPIS_SUMMARY": "true"}
    done = run(PROGRAM, f"lupis_instrument.{target}", ",".join(clients), env=env)
    assert (7, bare_output(clients)) == (done.returncode, done.stdout)
    check_stderr(done.stderr, clients)


def check_stderr(stderr, clients):
    """Fails unless all lines are this package's, few, and name the fault."""
    lines = [line for line in stderr.splitlines() if not is_summary_line(line)]
    assert [] == [line for line in lines if not line.startswith("lupis: ")]
    assert len(lines) <= MAX_LINES * len(clients), stderr
    assert "ZeroDivisionError" in stderr


class TemporaryFaults(NamedTuple):
    """The results of the program with temporary faults; the outputs are by target."""

    returncode: int
    stdout: dict
    stderr: dict
    bare: dict


@pytest.fixture(scope="module")
def temporary_faults(server, bare_output, tmp_path_factory):
    """Runs the program with temporary faults."""
    targets = tuple(f"lupis_instrument.{target}" for target in TEMPORARY_FAULTS)
    env = {"WIRE_URL": server.url}
    with otlp.serving() as sink:
        runner = Runner(sink, tmp_path_factory.mktemp("together"))
        done = runner(PROGRAM, ",".join(targets), ",".join(WITH_EVENTS), env=env)
    return TemporaryFaults(
        done.returncode,
        split_by_target(done.stdout),
        split_by_target(done.stderr),
        split_by_target(bare_output(WITH_EVENTS, targets)),
    )


def split_by_target(text):
    """Returns the part of an output after each target's mark."""
    parts = text.partition("== lupis_instrument.")[2].split("== lupis_instrument.")
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


@pytest.mark.parametrize("target", TEMPORARY_FAULTS)
def test_a_temporary_fault_does_not_affect_the_program(temporary_faults, target):
    """Output is the same, and stderr has at most two lines for each client."""
    assert temporary_faults.bare[target] == temporary_faults.stdout[target]
    check_stderr(temporary_faults.stderr[target], ALL)


def test_the_program_with_temporary_faults_ends_with_its_status(temporary_faults):
    """It is the status that the program chose."""
    assert 7 == temporary_faults.returncode


def is_summary_line(line):
    """Returns whether a line belongs to the summary at the end."""
    return line.startswith("  ") or "LLM call" in line


COLLECTOR_FAULTS = {
    "the collector refuses": lambda sink: sink.fail(400),
    "the collector hangs": lambda sink: sink.hang(),
    "the collector hangs up": lambda sink: sink.drop(),
}


@pytest.mark.parametrize("name", slow_except({"the collector hangs up"}, COLLECTOR_FAULTS))
def test_a_failing_collector_does_not_affect_the_program(run, server, bare_output, name):
    """One or two lines report the fate of the spans."""
    COLLECTOR_FAULTS[name](run.sink)
    env = {"WIRE_URL": server.url, "LUPIS_SHUTDOWN_TIMEOUT": "0.5"}
    done = run(PROGRAM, "none:", ",".join(URLLIB), env=env)
    assert (7, bare_output(URLLIB)) == (done.returncode, done.stdout)
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) <= MAX_LINES
    assert all(line.startswith("lupis: ") for line in lines)


@pytest.mark.skipif(os.name == "nt", reason="closes file descriptor 2")
@pytest.mark.parametrize(
    "target", ["_tracing.http_call:HttpCall.begin_attempt", "_runtime.runtime:Runtime.__init__"]
)
def test_a_fault_with_a_closed_stderr_does_not_affect_the_program(run, server, bare_output, target):
    """This package cannot report the fault then."""
    environ = run.build_environment({"WIRE_URL": server.url})
    command = run.build_command(PROGRAM, [f"lupis_instrument.{target}", *URLLIB])
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" 2>&-', "sh", *command],
        env=environ,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (7, bare_output(URLLIB)) == (done.returncode, done.stdout)


UNKNOWN_HTTPX = {
    "httpx/__init__.py": "def post(url, json): return 'posted'\n",
    "httpx-1.0.dev6.dist-info/METADATA": "Metadata-Version: 2.1\nName: httpx\nVersion: 1.0.dev6\n",
}


def test_an_unknown_client_causes_a_warning(run, server):
    """The line names its version; the other clients are instrumented."""
    for name, text in UNKNOWN_HTTPX.items():
        path = run.folder / "unknown" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program = """
        import os, sys
        sys.path.insert(0, "unknown")
        import httpx, urllib.request
        print(httpx.post("http://nowhere", json=1), httpx.__spec__.origin.endswith("unknown/httpx/__init__.py"))
        url = os.environ["WIRE_URL"] + "/v1/chat/completions"
        print(urllib.request.urlopen(urllib.request.Request(url, b"{}")).status)
    """
    done = run(program, env={"WIRE_URL": server.url})
    assert (0, "posted True\n200\n") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert line.startswith("lupis: warning: httpx 1.0.dev6 is not instrumented: ")
    assert 1 == len(done.spans)


def test_an_unknown_client_in_the_setting_causes_an_error(run):
    """LUPIS_INSTRUMENT names the client."""
    (run.folder / "httpx.py").write_text("")
    done = run("import httpx", env={"LUPIS_INSTRUMENT": "httpx"})
    (line,) = done.stderr.splitlines()
    assert line.startswith("lupis: error: httpx ")


def test_an_unknown_client_that_is_disabled_causes_no_line(run):
    """LUPIS_DISABLED_INSTRUMENTATIONS names the client."""
    (run.folder / "httpx.py").write_text("")
    done = run("import httpx", env={"LUPIS_DISABLED_INSTRUMENTATIONS": "httpx"})
    assert (0, "") == (done.returncode, done.stderr)
