"""Each HTTP client behaves the same, and each call has one span with its outcome."""

import contextlib
import functools
import importlib.util
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from servers import otlp, wire
from servers.program import Runner
from servers.rows import check_rows
from servers.slow import slow_except

PROGRAMS = Path(__file__).parent / "clients"


class Expected(NamedTuple):
    """The expected spans of a case."""

    outcome: str = None
    error: tuple = (None,)
    """The possible error types, which depend on the version of Python."""
    spans: int = 1
    counted: bool = False
    """Whether the last span has the model and tokens."""


READ = Expected("complete", counted=True)
CLOSED = Expected("closed")
DROPPED = Expected("dropped")
NOT_AN_LLM_CALL = Expected()
EMPTY_RESPONSE = Expected("complete")
CUT = Expected("error", ("IncompleteRead",))
TIMED_OUT = Expected("error", ("TimeoutError", "timeout"))


def expect(names, expected):
    """Returns the same expectation for several cases."""
    return dict.fromkeys(names.split(), expected)


HTTPX = {
    **expect("json_body stream_lines stream_raw stream_text until_close gzipped read_twice", READ),
    **expect("transport_retries subclassed uploaded", READ),
    **expect("async_json_body async_stream_lines async_gzipped", READ),
    **expect("early_break unread async_early_break async_cancelled", CLOSED),
    **expect("kept_alive async_kept_alive", READ._replace(spans=3)),
    **expect("cut cut_chunked async_cut", Expected("error", ("RemoteProtocolError",))),
    **expect("timed_out async_timed_out", Expected("error", ("ReadTimeout",))),
    **expect("head no_llm", NOT_AN_LLM_CALL),
    "async_gathered": READ._replace(spans=4),
    "dropped": DROPPED,
    "mocked": Expected(spans=0),
    "nothing": EMPTY_RESPONSE,
    "redirect": READ._replace(spans=2),
    "refused": Expected(error=("ConnectError",)),
}
CLIENTS = {
    "requests": {
        **expect("json_body stream_lines stream_content stream_length stream_until_close", READ),
        **expect("gzipped raw_types redirect retried prepared", READ),
        **expect("cut cut_chunked garbled", CUT),
        **expect("head no_llm", NOT_AN_LLM_CALL),
        **expect("nothing empty", EMPTY_RESPONSE),
        **expect("refused hung_up", Expected(error=("ConnectionError",))),
        "early_break": CLOSED,
        "dropped": DROPPED,
        "failed_status": Expected("complete", ("500",)),
        "kept_alive": READ._replace(spans=3),
        "threads": READ._replace(spans=4),
        "timed_out": TIMED_OUT,
    },
    "urllib3": {
        **expect("json_body stream_chunks read_chunked read_pieces read1 readinto iterated", READ),
        **expect("until_close gzipped gzipped_stream drained retried", READ),
        **expect("cut cut_chunked", CUT),
        **expect("head no_llm", NOT_AN_LLM_CALL),
        "dropped": DROPPED,
        "early_close": CLOSED,
        "kept_alive": READ._replace(spans=3),
        "nothing": EMPTY_RESPONSE,
        "out_of_retries": Expected("complete", ("503",)),
        "redirect": READ._replace(spans=2),
        "refused": Expected(error=("urllib3.exceptions.NewConnectionError", "NewConnectionError")),
        "timed_out": TIMED_OUT,
    },
    "http_client": {
        **expect("json_body chunked trailer until_close until_close_pieces readline_length", READ),
        **expect("readline_chunked readline_until_close iterated pieces read1 read1_length", READ),
        **expect("peeked peeked_length readinto readinto_chunked buffered text by_hand", READ),
        **expect("file_number refused_first", READ),
        **expect("early_close connection_closed", CLOSED),
        **expect("cut cut_pieces cut_chunked cut_readinto garbled", CUT),
        **expect("nothing empty", EMPTY_RESPONSE),
        **expect("head no_llm", NOT_AN_LLM_CALL),
        "answer_unread": Expected(spans=2),
        "dropped": DROPPED,
        "hung_up": Expected(error=("RemoteDisconnected",)),
        "kept_alive": READ._replace(spans=3),
        "refused": Expected(error=("ConnectionRefusedError",)),
        "timed_out": TIMED_OUT,
        "too_early": Expected(error=("ResponseNotReady",)),
    },
    "urllib": {
        **expect("json_body stream_lines copied", READ),
        "cut": CUT,
        "dropped": DROPPED,
        "early_close": CLOSED,
        "failed_status": Expected("complete", ("500",)),
        "no_llm": NOT_AN_LLM_CALL,
        "nothing": EMPTY_RESPONSE,
        "refused": Expected(error=("ConnectionRefusedError",)),
        "timed_out": TIMED_OUT,
    },
    "httpx": HTTPX,
    "httpx2": HTTPX,
    "aiohttp": {
        **expect("json_body text stream_lines stream_any stream_chunked stream_chunks", READ),
        **expect("readchunk read_pieces read_some too_short read_nowait polled until_close", READ),
        **expect("gzipped not_decompressed redirect subclassed traced traced_later", READ),
        **expect("early_break released cancelled", CLOSED),
        **expect("cut cut_lines", Expected("error", ("ClientPayloadError",))),
        **expect("head no_llm", NOT_AN_LLM_CALL),
        "dropped": DROPPED,
        "gathered": READ._replace(spans=4),
        "kept_alive": READ._replace(spans=3),
        "nothing": EMPTY_RESPONSE,
        "raised_status": Expected("closed", ("ClientResponseError",)),
        "refused": Expected(error=("ClientConnectorError",)),
        "timed_out": Expected("error", ("SocketTimeoutError", "ServerTimeoutError")),
    },
}
COUNTED_CASES = {
    client: [case for case, expected in rows.items() if expected.counted]
    for client, rows in CLIENTS.items()
}
SLOW_CASES = {
    "requests": ["stream_content"],
    "urllib3": ["stream_chunks"],
    "http_client": ["chunked"],
    "urllib": ["stream_lines"],
    "httpx": ["stream_lines", "async_stream_lines"],
    "httpx2": ["stream_lines", "async_stream_lines"],
    "aiohttp": ["stream_lines"],
}
"""The cases in which the server waits 0.05 s before each of the stream's six events."""
SCOPES = {
    "requests": "opentelemetry.instrumentation.requests",
    "urllib3": "opentelemetry.instrumentation.urllib3",
    "http_client": "lupis_instrument",
    "urllib": "lupis_instrument",
    "httpx": "opentelemetry.instrumentation.httpx",
    "httpx2": "opentelemetry.instrumentation.httpx",
    "aiohttp": "opentelemetry.instrumentation.aiohttp_client",
}
MODULES = {"http_client": "http.client"}


def find_program(client):
    """Returns the program of a client, and the arguments before the cases."""
    name = "httpx" if client == "httpx2" else client
    return PROGRAMS / f"use_{name}.py", [client] if name == "httpx" else []


def skip_unless_installed(client):
    """Returns a mark that skips the tests of a client that is not installed."""
    spec = importlib.util.find_spec(MODULES.get(client, client))
    return pytest.mark.skipif(spec is None, reason=f"{client} is not installed")


def list_clients():
    """Returns parameters of a test: all clients."""
    return [pytest.param(client, marks=skip_unless_installed(client)) for client in CLIENTS]


class ClientRuns(NamedTuple):
    """The runs of a client's program with and without lupis-run."""

    launched: object
    bare: object
    spans: dict
    """The spans of the launched run by case."""

    @staticmethod
    def read_results(finished):
        """Returns the printed result of each case."""
        return dict(map(json.loads, finished.stdout.splitlines()))

    def last_attributes(self, case):
        """Returns the attributes of the last span of a case."""
        spans = self.spans.get(case, [{"start": 0, "attributes": {}}])
        return max(spans, key=lambda span: span["start"])["attributes"]


def find_case(span):
    """Returns the name of the case that made a span."""
    query = urlsplit(span["attributes"].get("url.full", "")).query
    return parse_qs(query).get("case", ["none"])[0]


@pytest.fixture(scope="module")
def client_runs(tmp_path_factory):
    """Returns the runs of a client's program; each program runs once for all tests."""
    runs = {}

    def run_once(client):
        if client not in runs:
            runs[client] = run_both(client, tmp_path_factory.mktemp(client))
        return runs[client]

    return run_once


def run_both(client, folder):
    """Runs a client's program with and without lupis-run, at the same time."""
    program, before = find_program(client)
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(otlp.serving())
        runner = Runner(sink, folder)

        def run(launched):
            server = stack.enter_context(wire.serving())
            return runner(program, *before, env={"WIRE_URL": server.url}, launched=launched)

        with ThreadPoolExecutor(2) as pool:
            launched, bare = pool.map(run, (True, False))
    by_case = {}
    for span in sink.spans:
        by_case.setdefault(find_case(span), []).append(span)
    return ClientRuns(launched, bare, by_case)


@pytest.mark.parametrize("client", list_clients())
def test_each_case_has_the_same_result(client_runs, client):
    """Values, types and exceptions are the same as without lupis-run."""
    runs = client_runs(client)
    assert ClientRuns.read_results(runs.bare) == ClientRuns.read_results(runs.launched)


@pytest.mark.parametrize("client", list_clients())
def test_the_program_ends_with_the_same_status(client_runs, client):
    """Its stderr is the same too, except addresses of objects."""
    runs = client_runs(client)
    bare, launched = (re.sub("0x[0-9a-f]+", "0x", run.stderr) for run in (runs.bare, runs.launched))
    assert (0, bare) == (runs.launched.returncode, launched)


@pytest.mark.parametrize("client", list_clients())
def test_the_table_has_all_cases(client_runs, client):
    """There are no spans of other cases."""
    runs = client_runs(client)
    assert set(CLIENTS[client]) == set(ClientRuns.read_results(runs.bare))
    assert set(runs.spans) <= set(CLIENTS[client])


@pytest.mark.parametrize("client", list_clients())
def test_a_call_has_one_span(client_runs, client):
    """Clients that the called client uses add no span."""
    spans = client_runs(client).spans
    expected = {case: row.spans for case, row in CLIENTS[client].items()}
    assert expected == {case: len(spans.get(case, ())) for case in expected}
    assert {"CLIENT"} == {span["kind"] for rows in spans.values() for span in rows}


@pytest.mark.parametrize("client", list_clients())
def test_the_outermost_client_makes_the_span(client_runs, client):
    """The scope of the span names it."""
    spans = client_runs(client).spans
    scopes = {span["scope"]["name"] for rows in spans.values() for span in rows}
    # Where upstream's httpx instrumentor does not support httpx2, this package's does.
    assert {SCOPES[client], "lupis_instrument" if client == "httpx2" else ""} >= scopes


@pytest.mark.parametrize("client", list_clients())
def test_a_span_has_the_outcome_of_the_body(client_runs, client):
    """The body is read to its end, closed early, collected unread, or broken off."""
    runs = client_runs(client)
    expected = {case: row.outcome for case, row in CLIENTS[client].items()}
    outcomes = {case: runs.last_attributes(case).get("lupis.response.outcome") for case in expected}
    assert expected == outcomes


@pytest.mark.parametrize("client", list_clients())
def test_only_a_failed_call_has_an_error(client_runs, client):
    """The span has the error type and the status ERROR."""
    runs = client_runs(client)

    def check(case):
        spans = runs.spans.get(case, [])
        expected = CLIENTS[client][case].error
        assert all(span["attributes"].get("error.type") in expected for span in spans)
        assert all((span["status"] == "ERROR") == (expected != (None,)) for span in spans)

    check_rows(check, CLIENTS[client])


@pytest.mark.parametrize("client", list_clients())
def test_a_span_has_model_and_tokens_of_a_body_that_was_read(client_runs, client):
    """They are the values in the response."""
    runs = client_runs(client)

    def check(case):
        last = runs.last_attributes(case)
        tokens = [last.get(f"gen_ai.usage.{side}_tokens") for side in ("input", "output")]
        assert [wire.MODEL, *wire.TOKENS] == [last.get("gen_ai.response.model"), *tokens]

    check_rows(check, COUNTED_CASES[client])


@pytest.mark.parametrize("client", list_clients())
def test_the_span_of_a_stream_ends_with_its_body(client_runs, client):
    """It does not end with the headers."""
    for case in SLOW_CASES[client]:
        (span,) = client_runs(client).spans[case]
        assert (span["end"] - span["start"]) / 1e9 >= 6 * 0.05


@pytest.mark.parametrize("client", list_clients())
def test_a_span_of_another_api_has_only_http_attributes(client_runs, client):
    """It is the span of upstream's instrumentor."""
    (span,) = client_runs(client).spans["no_llm"]
    names = sorted(span["attributes"])
    assert [] == [name for name in names if name.startswith(("gen_ai.", "lupis.response."))]
    assert "POST" == span["name"]
    assert 200 == span["attributes"]["http.response.status_code"]


@pytest.mark.parametrize("client", list_clients())
def test_a_span_has_model_and_headers_of_the_request(client_runs, client):
    """Its name has the operation and the model."""
    (span,) = client_runs(client).spans["json_body"]
    attributes = span["attributes"]
    assert ("chat test-model", "test-model", "POST") == (
        span["name"],
        attributes["gen_ai.request.model"],
        attributes["http.request.method"],
    )
    assert ["application/json"] == attributes["http.request.header.content-type"]


@pytest.mark.parametrize("client", list_clients())
def test_a_refused_call_has_the_operation_of_its_path(client_runs, client):
    """This holds although nothing was sent."""
    (span,) = client_runs(client).spans["refused"]
    assert "chat" == span["attributes"].get("gen_ai.operation.name")


@pytest.fixture
def call(run):
    """Runs one case of a client's program under lupis-run, and returns its spans."""

    def call(client, case="json_body", **env):
        program, before = find_program(client)
        with wire.serving() as server:
            finished = run(program, *before, case, env={"WIRE_URL": server.url, **env})
        assert (0, "") == (finished.returncode, finished.stderr)
        assert "raised" not in finished.stdout
        return finished.spans

    return call


def test_excluded_urls_have_no_span(call):
    """The regular expression may match any part of the URL."""
    assert [] == call("requests", LUPIS_EXCLUDED_URLS=r"other,case=json\w+$")


@pytest.mark.parametrize(
    ("disabled", "scopes"),
    [
        ("requests", ["opentelemetry.instrumentation.urllib3"]),
        pytest.param("requests,urllib3", ["lupis_instrument"], marks=pytest.mark.slow),
        pytest.param("requests,urllib3,http.client", [], marks=pytest.mark.slow),
        ("urllib3,http.client", ["opentelemetry.instrumentation.requests"]),
    ],
)
def test_the_client_below_a_disabled_client_makes_the_span(call, disabled, scopes):
    """The span has the tokens too."""
    spans = call("requests", LUPIS_DISABLED_INSTRUMENTATIONS=disabled)
    assert scopes == [span["scope"]["name"] for span in spans]
    assert [11] * len(scopes) == [span["attributes"]["gen_ai.usage.input_tokens"] for span in spans]


@pytest.mark.parametrize(
    ("named", "count"), [("httpx", 0), ("urllib3", 1), ("requests,aiohttp", 1)]
)
def test_only_named_clients_are_instrumented(call, named, count):
    """The outermost of them makes the span."""
    assert count == len(call("requests", LUPIS_INSTRUMENT=named))


@pytest.mark.parametrize("variable", ["LUPIS_ENABLED", "LUPIS_SDK_ENABLED"])
def test_a_variable_switches_instrumentation_off(call, variable):
    """Both variables do so."""
    assert [] == call("requests", **{variable: "false"})


SELF_TRACING_PROGRAM = PROGRAMS / "traces_itself.py"
SELF_TRACING_CLIENTS = ("requests", "urllib3", "httpx", "aiohttp")


@pytest.fixture(scope="module")
def run_self_tracing(tmp_path_factory):
    """Returns the run of a client's program that traces itself; each runs once for all tests."""

    @functools.lru_cache(maxsize=None)
    def run_once(client, when):
        with otlp.serving() as sink, wire.serving() as server:
            runner = Runner(sink, tmp_path_factory.mktemp("traces_itself"))
            return runner(SELF_TRACING_PROGRAM, client, when, env={"WIRE_URL": server.url})

    return run_once


@pytest.mark.parametrize("when", slow_except({"later"}, ("first", "later")))
@pytest.mark.parametrize(
    "client",
    [pytest.param(name, marks=skip_unless_installed(name)) for name in SELF_TRACING_CLIENTS],
)
class TestSelfTracingProgram:
    """A program that switches on upstream's instrumentor before its first call, or later."""

    @pytest.fixture
    def finished(self, run_self_tracing, client, when):
        """The program; it calls with its own instrumentor and then without."""
        finished = run_self_tracing(client, when)
        assert (0, "") == (finished.returncode, finished.stderr)
        return finished

    def test_its_exporter_receives_its_spans(self, finished):
        """The call is below the span in which it was made; there is none after the instrumentor is off."""
        assert [["POST", True], ["work", False]] == json.loads(finished.stdout)[1]

    def test_the_collector_receives_a_span_for_each_call(self, finished, client, when):
        """The spans have the tokens."""
        expected = (when == "later") + 2
        assert expected == len(finished.spans)
        assert {11} == {span["attributes"]["gen_ai.usage.input_tokens"] for span in finished.spans}


def test_another_agents_wrapper_runs_once_for_each_call(run):
    """The agent wrapped a function of the client before the first call."""
    program = """
        import http.client, os
        from urllib.parse import urlsplit
        calls = []
        original = http.client.HTTPConnection.putrequest
        def putrequest(self, *arguments, **options):
            calls.append(arguments[0])
            return original(self, *arguments, **options)
        http.client.HTTPConnection.putrequest = putrequest
        for _ in range(2):
            connection = http.client.HTTPConnection(urlsplit(os.environ["WIRE_URL"]).netloc)
            connection.request("POST", "/v1/chat/completions", b"{}")
            connection.getresponse().read()
        print(calls, http.client.HTTPConnection.putrequest is putrequest)
    """
    with wire.serving() as server:
        done = run(program, env={"WIRE_URL": server.url})
    assert ("['POST', 'POST'] True\n", "") == (done.stdout, done.stderr)
    assert 2 == len(done.spans)
