"""Whatever function of ours fails, the program does what it does without us."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from servers import otlp, wire
from servers.program import Runner

PROGRAM = Path(__file__).parent / "clients" / "faulty.py"
REQUESTS = ("requests",)
URLLIB = ("urllib",)
HTTPX = ("httpx", "async_httpx")
AIOHTTP = ("aiohttp",)
ALL = ("requests", "urllib", "httpx", "async_httpx", "aiohttp")
ALONE = {
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
    "_instrumentation.activation:find_suppression": ALL,
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
    "_export.summary:Summary.format_lines": URLLIB,
    # Where another fault is reported.
    "_redaction:Redactor.redact_text": URLLIB,
    # In calls of the API that wait.
    "_runtime.runtime:Runtime.flush": ("urllib", "flush"),
}
"""What fails from the start of a program to its end, and the clients that it calls with."""
TOGETHER = (
    # In each request.
    "_tracing.processor:CallSpanProcessor._track_start",
    "_tracing.processor:CallSpanProcessor._find_outer_state",
    "_tracing.processor:CallSpanProcessor.find_state",
    "_tracing.processor:CallSpanProcessor._queue_state",
    "_tracing.processor:find_llm_ancestor",
    "_tracing.propagation:SelectivePropagator._keep_outer_headers",
    "_tracing.span_state:SpanState.keep_open",
    "_tracing.span_state:SpanState.end_span",
    "_tracing.span_state:SpanState._queue_once",
    "_tracing.propagation:SelectivePropagator._allowed_context",
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
    "_tracing.http_call:BodyReader.feed",
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
    # On our own threads.
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
    # Of the API.
    "sdk:LupisSDK._track_event",
    "_tracing.events:make_event",
    "_export.exporters:OtlpExporter.export_events",
)
"""What fails for a while, each in its turn, in one program that calls with all clients."""
WITH_EVENTS = (*ALL, "sdk")
MOST_LINES = 2
"""For each client: a place of ours that fails is named once."""


@pytest.fixture(scope="module")
def server():
    """The server that all programs call."""
    with wire.serving() as each:
        yield each


@pytest.fixture(scope="module")
def bare(server, tmp_path_factory):
    """Gives what the program prints without us; once for each choice of clients."""
    done = {}

    def run_once(clients, targets=("none:",)):
        key = (clients, targets)
        if key not in done:
            with otlp.serving() as sink:
                runner = Runner(sink, tmp_path_factory.mktemp("bare"))
                arguments = ",".join(targets), ",".join(clients)
                env = {"WIRE_URL": server.url}
                done[key] = runner(PROGRAM, *arguments, env=env, launched=False).stdout
        return done[key]

    return run_once


def targets_alone():
    """Test parameters: what fails to the end."""
    yield from ALONE


@pytest.mark.parametrize("target", list(targets_alone()))
def test_a_fault_of_ours_stays_ours(run, server, bare, target):
    """Same output, same status, and no more than a line or two a client on stderr."""
    clients = ALONE[target]
    env = {"WIRE_URL": server.url, "LUPIS_SHUTDOWN_TIMEOUT": "0.5", "LUPIS_SUMMARY": "true"}
    done = run(PROGRAM, f"lupis_instrument.{target}", ",".join(clients), env=env)
    assert (7, bare(clients)) == (done.returncode, done.stdout)
    check(done.stderr, clients)


def check(stderr, clients):
    """Only lines of ours, and few, that name the fault."""
    lines = [line for line in stderr.splitlines() if not is_summary(line)]
    assert [] == [line for line in lines if not line.startswith("lupis: ")]
    assert len(lines) <= MOST_LINES * len(clients), stderr
    assert "ZeroDivisionError" in stderr


class Together(NamedTuple):
    """What the program that has each target fail in its turn left behind, by target."""

    returncode: int
    stdout: dict
    stderr: dict
    bare: dict


@pytest.fixture(scope="module")
def together(server, bare, tmp_path_factory):
    """Runs that program."""
    targets = tuple(f"lupis_instrument.{target}" for target in TOGETHER)
    env = {"WIRE_URL": server.url}
    with otlp.serving() as sink:
        runner = Runner(sink, tmp_path_factory.mktemp("together"))
        done = runner(PROGRAM, ",".join(targets), ",".join(WITH_EVENTS), env=env)
    return Together(
        done.returncode,
        parts_of(done.stdout),
        parts_of(done.stderr),
        parts_of(bare(WITH_EVENTS, targets)),
    )


def parts_of(text):
    """What follows each mark, by its target."""
    parts = text.partition("== lupis_instrument.")[2].split("== lupis_instrument.")
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


@pytest.mark.parametrize("target", TOGETHER)
def test_a_fault_for_a_while_stays_ours(together, target):
    """Same output, and no more than a line or two a client on stderr."""
    assert together.bare[target] == together.stdout[target]
    check(together.stderr[target], ALL)


def test_after_all_those_faults_the_program_ends_the_same(together):
    """With the status it chose."""
    assert 7 == together.returncode


def is_summary(line):
    """Whether a line is of the totals at the end."""
    return line.startswith("  ") or "LLM call" in line


EXPORTS = {
    "the collector refuses": lambda sink: sink.fail(400),
    "the collector hangs": lambda sink: sink.hang(),
    "the collector hangs up": lambda sink: sink.drop(),
}


@pytest.mark.parametrize("how", EXPORTS)
def test_a_bad_collector_is_not_the_programs_trouble(run, server, bare, how):
    """It ends as it would, and one line says what became of the spans."""
    EXPORTS[how](run.sink)
    env = {"WIRE_URL": server.url, "LUPIS_SHUTDOWN_TIMEOUT": "0.5"}
    done = run(PROGRAM, "none:", ",".join(URLLIB), env=env)
    assert (7, bare(URLLIB)) == (done.returncode, done.stdout)
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) <= MOST_LINES
    assert all(line.startswith("lupis: ") for line in lines)


@pytest.mark.skipif(os.name == "nt", reason="closes file descriptor 2")
@pytest.mark.parametrize(
    "target", ["_tracing.http_call:HttpCall.begin_attempt", "_runtime.runtime:Runtime.__init__"]
)
def test_a_closed_stderr_is_no_trouble(run, server, bare, target):
    """There is nowhere to say so then."""
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
    assert (7, bare(URLLIB)) == (done.returncode, done.stdout)


ODD_HTTPX = {
    "httpx/__init__.py": "def post(url, json): return 'posted'\n",
    "httpx-1.0.dev6.dist-info/METADATA": "Metadata-Version: 2.1\nName: httpx\nVersion: 1.0.dev6\n",
}


def test_a_client_of_unknown_build_is_named_once(run, server):
    """With its version; the other clients are instrumented all the same."""
    for name, text in ODD_HTTPX.items():
        path = run.folder / "odd" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program = """
        import os, sys
        sys.path.insert(0, "odd")
        import httpx, urllib.request
        print(httpx.post("http://nowhere", json=1), httpx.__spec__.origin.endswith("odd/httpx/__init__.py"))
        url = os.environ["WIRE_URL"] + "/v1/chat/completions"
        print(urllib.request.urlopen(urllib.request.Request(url, b"{}")).status)
    """
    done = run(program, env={"WIRE_URL": server.url})
    assert (0, "posted True\n200\n") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert line.startswith("lupis: warning: httpx 1.0.dev6 is not instrumented: ")
    assert 1 == len(done.spans)


def test_a_named_client_of_unknown_build_is_an_error(run):
    """LUPIS_INSTRUMENT asks for it."""
    (run.folder / "httpx.py").write_text("")
    done = run("import httpx", env={"LUPIS_INSTRUMENT": "httpx"})
    (line,) = done.stderr.splitlines()
    assert line.startswith("lupis: error: httpx ")


def test_a_disabled_client_of_unknown_build_is_no_news(run):
    """Nobody asked for it."""
    (run.folder / "httpx.py").write_text("")
    done = run("import httpx", env={"LUPIS_DISABLED_INSTRUMENTATIONS": "httpx"})
    assert (0, "") == (done.returncode, done.stderr)
