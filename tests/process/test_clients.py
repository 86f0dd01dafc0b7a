"""Each HTTP client works as it does without us, and each call is one span that says how it went."""

import contextlib
import importlib.util
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from servers import otlp, wire
from servers.program import Runner

PROGRAMS = Path(__file__).parent / "clients"


class Expected(NamedTuple):
    """What the spans of a case say."""

    outcome: str = None
    error: tuple = (None,)
    """The types that may be named: they differ between Python versions."""
    spans: int = 1
    counted: bool = False
    """Whether model and tokens are known."""


READ = Expected("complete", counted=True)
CLOSED = Expected("closed")
DROPPED = Expected("dropped")
NO_MODEL_CALL = Expected()
NOTHING_SENT = Expected("complete")
CUT = Expected("error", ("IncompleteRead",))
TIMED_OUT = Expected("error", ("TimeoutError", "timeout"))


def each(names, expected):
    """The same for several cases."""
    return dict.fromkeys(names.split(), expected)


HTTPX = {
    **each("json_body stream_lines stream_raw stream_text until_close gzipped read_twice", READ),
    **each("transport_retries subclassed uploaded", READ),
    **each("async_json_body async_stream_lines async_gzipped", READ),
    **each("early_break unread async_early_break async_cancelled", CLOSED),
    **each("kept_alive async_kept_alive", READ._replace(spans=3)),
    **each("cut cut_chunked async_cut", Expected("error", ("RemoteProtocolError",))),
    **each("timed_out async_timed_out", Expected("error", ("ReadTimeout",))),
    **each("head no_llm", NO_MODEL_CALL),
    "async_gathered": READ._replace(spans=4),
    "dropped": DROPPED,
    "mocked": Expected(spans=0),
    "nothing": NOTHING_SENT,
    "redirect": READ._replace(spans=2),
    "refused": Expected(error=("ConnectError",)),
}
CLIENTS = {
    "requests": {
        **each("json_body stream_lines stream_content stream_length stream_until_close", READ),
        **each("gzipped raw_types redirect retried prepared", READ),
        **each("cut cut_chunked garbled", CUT),
        **each("head no_llm", NO_MODEL_CALL),
        **each("nothing empty", NOTHING_SENT),
        **each("refused hung_up", Expected(error=("ConnectionError",))),
        "early_break": CLOSED,
        "dropped": DROPPED,
        "failed_status": Expected("complete", ("500",)),
        "kept_alive": READ._replace(spans=3),
        "threads": READ._replace(spans=4),
        "timed_out": TIMED_OUT,
    },
    "urllib3": {
        **each("json_body stream_chunks read_chunked read_pieces read1 readinto iterated", READ),
        **each("until_close gzipped gzipped_stream drained retried", READ),
        **each("cut cut_chunked", CUT),
        **each("head no_llm", NO_MODEL_CALL),
        "dropped": DROPPED,
        "early_close": CLOSED,
        "kept_alive": READ._replace(spans=3),
        "nothing": NOTHING_SENT,
        "out_of_retries": Expected("complete", ("503",)),
        "redirect": READ._replace(spans=2),
        "refused": Expected(error=("urllib3.exceptions.NewConnectionError", "NewConnectionError")),
        "timed_out": TIMED_OUT,
    },
    "http_client": {
        **each("json_body chunked trailer until_close until_close_pieces readline_length", READ),
        **each("readline_chunked readline_until_close iterated pieces read1 read1_length", READ),
        **each("peeked peeked_length readinto readinto_chunked buffered text by_hand", READ),
        **each("file_number", READ),
        **each("early_close connection_closed", CLOSED),
        **each("cut cut_pieces cut_chunked cut_readinto garbled", CUT),
        **each("nothing empty", NOTHING_SENT),
        **each("head no_llm", NO_MODEL_CALL),
        "dropped": DROPPED,
        "hung_up": Expected(error=("RemoteDisconnected",)),
        "kept_alive": READ._replace(spans=3),
        "refused": Expected(error=("ConnectionRefusedError",)),
        "timed_out": TIMED_OUT,
        "too_early": Expected(error=("ResponseNotReady",)),
    },
    "urllib": {
        **each("json_body stream_lines copied", READ),
        "cut": CUT,
        "dropped": DROPPED,
        "early_close": CLOSED,
        "failed_status": Expected("complete", ("500",)),
        "no_llm": NO_MODEL_CALL,
        "nothing": NOTHING_SENT,
        "refused": Expected(error=("ConnectionRefusedError",)),
        "timed_out": TIMED_OUT,
    },
    "httpx": HTTPX,
    "httpx2": HTTPX,
    "aiohttp": {
        **each("json_body text stream_lines stream_any stream_chunked stream_chunks", READ),
        **each("readchunk read_pieces read_some too_short read_nowait polled until_close", READ),
        **each("gzipped not_decompressed redirect subclassed traced", READ),
        **each("early_break released cancelled", CLOSED),
        **each("cut cut_lines", Expected("error", ("ClientPayloadError",))),
        **each("head no_llm", NO_MODEL_CALL),
        "dropped": DROPPED,
        "gathered": READ._replace(spans=4),
        "kept_alive": READ._replace(spans=3),
        "nothing": NOTHING_SENT,
        "raised_status": Expected("closed", ("ClientResponseError",)),
        "refused": Expected(error=("ClientConnectorError",)),
        "timed_out": Expected("error", ("SocketTimeoutError", "ServerTimeoutError")),
    },
}
COUNTED = {
    client: [case for case, expected in rows.items() if expected.counted]
    for client, rows in CLIENTS.items()
}
SLOW = {
    "requests": ["stream_content"],
    "urllib3": ["stream_chunks"],
    "http_client": ["chunked"],
    "urllib": ["stream_lines"],
    "httpx": ["stream_lines", "async_stream_lines"],
    "httpx2": ["stream_lines", "async_stream_lines"],
    "aiohttp": ["stream_lines"],
}
"""Cases whose server waits 0.05 s before each of the stream's six events."""
SCOPES = {
    "requests": "opentelemetry.instrumentation.requests",
    "urllib3": "opentelemetry.instrumentation.urllib3",
    "http_client": "lupis_instrument",
    "urllib": "lupis_instrument",
    "httpx": "opentelemetry.instrumentation.httpx",
    "httpx2": "opentelemetry.instrumentation.httpx",
    "aiohttp": "opentelemetry.instrumentation.aiohttp_client",
}
INSTALLED = {"http_client": "http.client"}


def program_of(client):
    """The file of a client's program, and what stands before the cases on its command line."""
    name = "httpx" if client == "httpx2" else client
    return PROGRAMS / f"use_{name}.py", [client] if name == "httpx" else []


def mark_of(client):
    """Skips the tests of a client that isn't installed."""
    there = importlib.util.find_spec(INSTALLED.get(client, client))
    return pytest.mark.skipif(there is None, reason=f"{client} is not installed")


def cases(table=CLIENTS):
    """Test parameters: client and case."""
    return [
        pytest.param(client, name, marks=mark_of(client))
        for client, names in table.items()
        for name in names
    ]


def clients():
    """Test parameters: all clients."""
    return [pytest.param(client, marks=mark_of(client)) for client in CLIENTS]


class Ran(NamedTuple):
    """What a client's program did, with and without us."""

    launched: object
    bare: object
    spans: dict
    """By case."""

    @staticmethod
    def seen(finished):
        """What each case printed."""
        return dict(map(json.loads, finished.stdout.splitlines()))


def case_of(span):
    """The case that a span belongs to."""
    query = urlsplit(span["attributes"].get("url.full", "")).query
    return parse_qs(query).get("case", ["none"])[0]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Gives what a client's program did; each runs once for all tests."""
    done = {}

    def run_once(client):
        if client not in done:
            done[client] = run_both(client, tmp_path_factory.mktemp(client))
        return done[client]

    return run_once


def run_both(client, folder):
    """Runs a client's program with and without us."""
    program, before = program_of(client)
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
        by_case.setdefault(case_of(span), []).append(span)
    return Ran(launched, bare, by_case)


@pytest.mark.parametrize(("client", "case"), cases())
def test_the_program_sees_the_same(ran, client, case):
    """Values, types and exceptions are those of a run without us."""
    run = ran(client)
    assert Ran.seen(run.bare)[case] == Ran.seen(run.launched)[case]


@pytest.mark.parametrize("client", clients())
def test_the_program_ends_the_same(ran, client):
    """Exit status and stderr too."""
    run = ran(client)
    assert (0, run.bare.stderr) == (run.launched.returncode, run.launched.stderr)


@pytest.mark.parametrize("client", clients())
def test_all_cases_are_tested(ran, client):
    """Each of a program's cases has its row here, and there are no other spans."""
    run = ran(client)
    assert set(CLIENTS[client]) == set(Ran.seen(run.bare))
    assert set(run.spans) <= set(CLIENTS[client])


@pytest.mark.parametrize(("client", "case"), cases())
def test_a_call_is_one_span(ran, client, case):
    """However many clients lie below the one that the program calls."""
    spans = ran(client).spans.get(case, [])
    assert CLIENTS[client][case].spans == len(spans)
    assert {"CLIENT"} >= {span["kind"] for span in spans}


@pytest.mark.parametrize(("client", "case"), cases())
def test_the_outermost_client_makes_the_span(ran, client, case):
    """Its scope tells who made it."""
    scopes = {span["scope"]["name"] for span in ran(client).spans.get(case, [])}
    # Releases of the httpx instrumentor that don't know httpx2 leave it to one of ours.
    assert {SCOPES[client], "lupis_instrument" if client == "httpx2" else ""} >= scopes


@pytest.mark.parametrize(("client", "case"), cases())
def test_a_span_says_how_the_body_ended(ran, client, case):
    """Read to its end, closed before, collected unread, or broken off."""
    last = max(ran(client).spans.get(case, [{"start": 0, "attributes": {}}]), key=start_of)
    assert CLIENTS[client][case].outcome == last["attributes"].get("lupis.response.outcome")


@pytest.mark.parametrize(("client", "case"), cases())
def test_a_span_names_the_error(ran, client, case):
    """Only of a call that failed."""
    spans = ran(client).spans.get(case, [])
    expected = CLIENTS[client][case].error
    assert all(span["attributes"].get("error.type") in expected for span in spans)
    assert all((span["status"] == "ERROR") == (expected != (None,)) for span in spans)


@pytest.mark.parametrize(("client", "case"), cases(COUNTED))
def test_tokens_are_counted(ran, client, case):
    """Where a body was read, once."""
    last = max(ran(client).spans[case], key=start_of)["attributes"]
    tokens = [last.get(f"gen_ai.usage.{side}_tokens") for side in ("input", "output")]
    assert [wire.MODEL, *wire.TOKENS] == [last.get("gen_ai.response.model"), *tokens]


def start_of(span):
    """When a span began."""
    return span["start"]


@pytest.mark.parametrize(("client", "case"), cases(SLOW))
def test_the_span_of_a_stream_lasts_until_its_body_ended(ran, client, case):
    """Not just until the headers came."""
    (span,) = ran(client).spans[case]
    assert (span["end"] - span["start"]) / 1e9 >= 6 * 0.05


@pytest.mark.parametrize("client", clients())
def test_a_span_of_another_host_is_upstreams(ran, client):
    """It has HTTP attributes only."""
    (span,) = ran(client).spans["no_llm"]
    names = sorted(span["attributes"])
    assert [] == [name for name in names if name.startswith(("gen_ai.", "lupis.response."))]
    assert "POST" == span["name"]
    assert 200 == span["attributes"]["http.response.status_code"]


@pytest.mark.parametrize("client", clients())
def test_the_request_is_read(ran, client):
    """The model that was asked for and the way it was asked stand on the span."""
    (span,) = ran(client).spans["json_body"]
    attributes = span["attributes"]
    assert ("chat test-model", "test-model", "POST") == (
        span["name"],
        attributes["gen_ai.request.model"],
        attributes["http.request.method"],
    )
    assert ["application/json"] == attributes["http.request.header.content-type"]


@pytest.mark.parametrize("client", clients())
def test_a_refused_call_is_known_by_its_path(ran, client):
    """Though nothing was sent."""
    (span,) = ran(client).spans["refused"]
    assert "chat" == span["attributes"].get("gen_ai.operation.name")


@pytest.fixture
def call(run):
    """Runs one case of a client's program under us and gives its spans."""

    def call(client, case="json_body", **env):
        program, before = program_of(client)
        with wire.serving() as server:
            finished = run(program, *before, case, env={"WIRE_URL": server.url, **env})
        assert (0, "") == (finished.returncode, finished.stderr)
        assert "raised" not in finished.stdout
        return finished.spans

    return call


def test_excluded_urls_have_no_span(call):
    """The regular expression may find any part of the URL."""
    assert [] == call("requests", LUPIS_EXCLUDED_URLS=r"other,case=json\w+$")


@pytest.mark.parametrize(
    ("disabled", "scopes"),
    [
        ("requests", ["opentelemetry.instrumentation.urllib3"]),
        ("requests,urllib3", ["lupis_instrument"]),
        ("requests,urllib3,http.client", []),
        ("urllib3,http.client", ["opentelemetry.instrumentation.requests"]),
    ],
)
def test_the_client_below_a_disabled_one_makes_the_span(call, disabled, scopes):
    """Whole, with the tokens."""
    spans = call("requests", LUPIS_DISABLED_INSTRUMENTATIONS=disabled)
    assert scopes == [span["scope"]["name"] for span in spans]
    assert [11] * len(scopes) == [span["attributes"]["gen_ai.usage.input_tokens"] for span in spans]


@pytest.mark.parametrize(
    ("named", "count"), [("httpx", 0), ("urllib3", 1), ("requests,aiohttp", 1)]
)
def test_only_named_clients_are_instrumented(call, named, count):
    """The span is that of the outermost among them."""
    assert count == len(call("requests", LUPIS_INSTRUMENT=named))


@pytest.mark.parametrize("variable", ["LUPIS_ENABLED", "LUPIS_SDK_ENABLED"])
def test_nothing_is_instrumented_when_switched_off(call, variable):
    """By either variable."""
    assert [] == call("requests", **{variable: "false"})


OWN = PROGRAMS / "own_tracing.py"
OWN_CLIENTS = ("requests", "urllib3", "httpx", "aiohttp")


@pytest.mark.parametrize("when", ["first", "later"])
@pytest.mark.parametrize(
    "client", [pytest.param(each, marks=mark_of(each)) for each in OWN_CLIENTS]
)
class TestOwnTracing:
    """A program that switches on upstream's instrumentor before its first call, or after it."""

    @pytest.fixture
    def done(self, run, client, when):
        """The program, which calls with its own instrumentor and then without."""
        with wire.serving() as server:
            done = run(OWN, client, when, env={"WIRE_URL": server.url})
        assert (0, "") == (done.returncode, done.stderr)
        return done

    def test_its_spans_arrive_at_its_exporter(self, done):
        """One a call, below the span that it was made in; none after it was switched off."""
        assert [["POST", True], ["work", False]] == json.loads(done.stdout)[1]

    def test_ours_arrive_at_ours(self, done, client, when):
        """One a call, with the tokens."""
        expected = (when == "later") + 2
        assert expected == len(done.spans)
        assert {11} == {span["attributes"]["gen_ai.usage.input_tokens"] for span in done.spans}


def test_another_agents_wrapper_is_called_once_a_call(run):
    """One that was laid around a client's function before our instrumentor was."""
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
