"""Exchanges: what a client's wire shows of one call."""

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._tracing import http_call as _http_call
from lupis_instrument._tracing.http_call import (
    HttpCall,
    ParsedUrl,
    ResponseBody,
    join_header,
    parse_headers,
    parse_url,
)

CHAT = "http://127.0.0.1:8000/v1/chat/completions"
JSON = [("Content-Type", "application/json")]


class Span:
    """Counts how often an exchange had its span held and settled."""

    def __init__(self):
        self.held = self.settled = 0

    def hold(self):
        self.held += 1

    def settle(self):
        self.settled += 1


@pytest.fixture
def span():
    """What an exchange holds open."""
    return Span()


@pytest.fixture
def http_call(span):
    """An exchange without hosts of its own."""
    return HttpCall({}, span.hold, span.settle)


@pytest.fixture
def body(http_call):
    """The body of an LLM call's response."""
    http_call.begin_attempt("POST", CHAT)
    return http_call.begin_response(200, JSON, "1.1")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (
            "https://Api.Example.com/v1/x?y=1",
            ParsedUrl("https", "api.example.com", 443, "/v1/x?y=1"),
        ),
        ("http://example.com:8080", ParsedUrl("http", "example.com", 8080, "")),
        ("http://user:pw@[::1]:9/a", ParsedUrl("http", "::1", 9, "/a")),
        ("http://example.com:99999/a", ParsedUrl("", "", None, "")),
        ("http://[::1/a", ParsedUrl("", "", None, "")),
        ("ws://example.com/a#b", ParsedUrl("ws", "example.com", None, "/a")),
        ("", ParsedUrl("", "", None, "")),
    ],
)
def test_a_url_is_taken_apart(url, place):
    """What can't be read is left empty."""
    assert place == parse_url(url)


@pytest.mark.parametrize(
    ("url", "named"), [(CHAT, True), ("http://127.0.0.1:8000/data", False), ("nonsense", False)]
)
def test_a_request_is_known_by_its_url(http_call, url, named):
    """Whether it goes to an LLM API."""
    http_call.begin_attempt("POST", url)
    assert named == (http_call.endpoint is not None)


def test_a_host_may_be_named(span):
    """By LUPIS_PROVIDER_HOSTS."""
    http_call = HttpCall({"llm.corp.example": "anthropic"}, span.hold, span.settle)
    http_call.begin_attempt("POST", "https://llm.corp.example/v1/messages")
    assert "anthropic" == http_call.endpoint.provider


def test_the_requests_body_is_kept_piece_by_piece(http_call):
    """As bytes that the program can't change afterwards."""
    data = bytearray(b"two")
    http_call.begin_attempt("POST", CHAT)
    http_call.add_request_data(b"one")
    http_call.add_request_data(data)
    data[:] = b"xxx"
    assert [b"one", b"two"] == http_call.request_body


@pytest.mark.parametrize("data", ["text", None, object(), [b"a"]])
def test_what_is_not_bytes_is_not_kept(http_call, data):
    """It couldn't be read."""
    http_call.begin_attempt("POST", CHAT)
    http_call.add_request_data(data)
    assert [] == http_call.request_body


def test_another_hosts_request_body_is_not_kept(http_call):
    """Nobody would read it."""
    http_call.begin_attempt("POST", "http://127.0.0.1/data")
    http_call.add_request_data(b"one")
    assert [] == http_call.request_body


def test_no_more_of_a_request_is_kept_than_is_read(http_call, monkeypatch):
    """The piece that passes the bound is the last."""
    monkeypatch.setattr(_http_call, "MAX_REQUEST_BYTES", 5)
    http_call.begin_attempt("POST", CHAT)
    for _ in range(4):
        http_call.add_request_data(b"123")
    assert [b"123", b"123"] == http_call.request_body


def test_a_response_of_an_llm_is_watched(http_call, span, body):
    """And its span is held from then on."""
    assert (body, 1, True) == (http_call.body, span.held, http_call.has_open_body)


@pytest.mark.parametrize("status", [300, 307, 399])
def test_a_redirect_is_not_watched(http_call, span, status):
    """Its body says nothing of the call."""
    http_call.begin_attempt("POST", CHAT)
    assert (None, 0) == (http_call.begin_response(status, JSON, "1.1"), span.held)


@pytest.mark.parametrize(
    ("method", "url"), [("POST", "http://127.0.0.1/data"), ("GET", CHAT), ("HEAD", CHAT)]
)
def test_other_responses_are_not_watched(http_call, span, method, url):
    """Their spans end as upstream's do."""
    http_call.begin_attempt(method, url)
    assert (None, 0) == (http_call.begin_response(200, JSON, "1.1"), span.held)


def test_the_responses_head_is_kept(http_call):
    """Of any host."""
    http_call.begin_attempt("POST", "http://127.0.0.1/data")
    http_call.begin_response(404, JSON, "1.0")
    assert (404, JSON, "1.0") == (http_call.status, http_call.response_headers, http_call.version)


def test_a_body_that_ended_settles_the_span(http_call, span, body):
    """Once, however often it is said."""
    body.end("complete")
    body.end("closed")
    assert (1, "complete", False) == (span.settled, body.outcome, http_call.has_open_body)


def test_an_earlier_attempts_body_settles_nothing(http_call, span, body):
    """The call goes on."""
    http_call.begin_attempt("POST", CHAT)
    body.end("closed")
    assert 0 == span.settled


def test_a_new_attempt_begins_anew(http_call, body):
    """Nothing of the last one is left."""
    http_call.add_request_data(b"one")
    http_call.request_head = b"POST"
    http_call.begin_attempt("POST", "http://127.0.0.1/data")
    assert (2, None, None, None, [], []) == (
        http_call.attempts,
        http_call.body,
        http_call.status,
        http_call.request_head,
        http_call.request_body,
        http_call.response_headers,
    )


def test_an_errors_type_is_kept(body):
    """Not its message, which may quote a body."""
    body.end("error", ConnectionResetError("secret"))
    assert ("error", "ConnectionResetError") == (body.outcome, body.error_type)


def test_chunks_are_counted(body):
    """And the time of the first is taken."""
    body.feed(b"one")
    first = body.first_chunk
    body.feed(b"two")
    assert (2, first) == (body.chunk_count, body.first_chunk)


def test_a_body_ends_after_it_began(http_call, body):
    """All times are of one clock."""
    body.feed(b"one")
    body.end("complete")
    assert http_call.started <= body.first_chunk <= body.ended


class Faulty:
    """Fails in each of its methods."""

    def feed(self, data):
        raise ZeroDivisionError

    def on_body_end(self, body):
        raise ZeroDivisionError


@pytest.mark.parametrize("act", [lambda body: body.feed(b""), lambda body: body.end("complete")])
def test_a_fault_does_not_reach_the_program(capsys, act):
    """It is one line on stderr."""
    diagnostics.forget()
    act(ResponseBody(Faulty(), Faulty()))
    assert 1 == capsys.readouterr().err.count("failed (ZeroDivisionError")


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([("Via", "a"), ("x", "c"), ("VIA", "b")], "a, b"),
        ([("via", "")], ""),
        ([("x", "c")], None),
        ([], None),
    ],
)
def test_a_headers_values_are_joined(headers, value):
    """As RFC 9110 section 5.2 allows; None where there is none."""
    assert value == join_header(headers, "via")


def test_a_head_is_read():
    """Names as they were sent; the request line and folded lines are no headers."""
    head = b"POST / HTTP/1.1\r\nHost: a:1\r\nX-Two:  b \r\n folded: c\r\n\r\n"
    assert [("Host", "a:1"), ("X-Two", "b")] == parse_headers(head)


def test_headers_come_from_the_head_if_there_is_one(http_call):
    """Clients that hand their headers over have none."""
    http_call.request_headers = [("a", "1")]
    handed = http_call.read_request_headers()
    http_call.request_head = b"POST / HTTP/1.1\r\nb: 2\r\n\r\n"
    assert ([("a", "1")], [("b", "2")]) == (handed, http_call.read_request_headers())
