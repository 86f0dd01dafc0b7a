"""Exchanges: what a client's wire shows of one call."""

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._tracing import http_call as _exchange
from lupis_instrument._tracing.http_call import Body, Exchange, Place, header, headers_of, locate

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
def exchange(span):
    """An exchange without hosts of its own."""
    return Exchange({}, span.hold, span.settle)


@pytest.fixture
def body(exchange):
    """The body of an LLM call's response."""
    exchange.request("POST", CHAT)
    return exchange.response(200, JSON, "1.1")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://Api.Example.com/v1/x?y=1", Place("https", "api.example.com", 443, "/v1/x?y=1")),
        ("http://example.com:8080", Place("http", "example.com", 8080, "")),
        ("http://user:pw@[::1]:9/a", Place("http", "::1", 9, "/a")),
        ("http://example.com:99999/a", Place("", "", None, "")),
        ("http://[::1/a", Place("", "", None, "")),
        ("ws://example.com/a#b", Place("ws", "example.com", None, "/a")),
        ("", Place("", "", None, "")),
    ],
)
def test_a_url_is_taken_apart(url, place):
    """What can't be read is left empty."""
    assert place == locate(url)


@pytest.mark.parametrize(
    ("url", "named"), [(CHAT, True), ("http://127.0.0.1:8000/data", False), ("nonsense", False)]
)
def test_a_request_is_known_by_its_url(exchange, url, named):
    """Whether it goes to an LLM API."""
    exchange.request("POST", url)
    assert named == (exchange.endpoint is not None)


def test_a_host_may_be_named(span):
    """By LUPIS_PROVIDER_HOSTS."""
    exchange = Exchange({"llm.corp.example": "anthropic"}, span.hold, span.settle)
    exchange.request("POST", "https://llm.corp.example/v1/messages")
    assert "anthropic" == exchange.endpoint.provider


def test_the_requests_body_is_kept_piece_by_piece(exchange):
    """As bytes that the program can't change afterwards."""
    data = bytearray(b"two")
    exchange.request("POST", CHAT)
    exchange.sent(b"one")
    exchange.sent(data)
    data[:] = b"xxx"
    assert [b"one", b"two"] == exchange.request_body


@pytest.mark.parametrize("data", ["text", None, object(), [b"a"]])
def test_what_is_not_bytes_is_not_kept(exchange, data):
    """It couldn't be read."""
    exchange.request("POST", CHAT)
    exchange.sent(data)
    assert [] == exchange.request_body


def test_another_hosts_request_body_is_not_kept(exchange):
    """Nobody would read it."""
    exchange.request("POST", "http://127.0.0.1/data")
    exchange.sent(b"one")
    assert [] == exchange.request_body


def test_no_more_of_a_request_is_kept_than_is_read(exchange, monkeypatch):
    """The piece that passes the bound is the last."""
    monkeypatch.setattr(_exchange, "MOST_REQUEST_BYTES", 5)
    exchange.request("POST", CHAT)
    for _ in range(4):
        exchange.sent(b"123")
    assert [b"123", b"123"] == exchange.request_body


def test_a_response_of_an_llm_is_watched(exchange, span, body):
    """And its span is held from then on."""
    assert (body, 1, True) == (exchange.body, span.held, exchange.pending)


@pytest.mark.parametrize("status", [300, 307, 399])
def test_a_redirect_is_not_watched(exchange, span, status):
    """Its body says nothing of the call."""
    exchange.request("POST", CHAT)
    assert (None, 0) == (exchange.response(status, JSON, "1.1"), span.held)


@pytest.mark.parametrize(
    ("method", "url"), [("POST", "http://127.0.0.1/data"), ("GET", CHAT), ("HEAD", CHAT)]
)
def test_other_responses_are_not_watched(exchange, span, method, url):
    """Their spans end as upstream's do."""
    exchange.request(method, url)
    assert (None, 0) == (exchange.response(200, JSON, "1.1"), span.held)


def test_the_responses_head_is_kept(exchange):
    """Of any host."""
    exchange.request("POST", "http://127.0.0.1/data")
    exchange.response(404, JSON, "1.0")
    assert (404, JSON, "1.0") == (exchange.status, exchange.response_headers, exchange.version)


def test_a_body_that_ended_settles_the_span(exchange, span, body):
    """Once, however often it is said."""
    body.end("complete")
    body.end("closed")
    assert (1, "complete", False) == (span.settled, body.outcome, exchange.pending)


def test_an_earlier_attempts_body_settles_nothing(exchange, span, body):
    """The call goes on."""
    exchange.request("POST", CHAT)
    body.end("closed")
    assert 0 == span.settled


def test_a_new_attempt_begins_anew(exchange, body):
    """Nothing of the last one is left."""
    exchange.sent(b"one")
    exchange.head = b"POST"
    exchange.request("POST", "http://127.0.0.1/data")
    assert (2, None, None, None, [], []) == (
        exchange.attempts,
        exchange.body,
        exchange.status,
        exchange.head,
        exchange.request_body,
        exchange.response_headers,
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
    assert (2, first) == (body.chunks, body.first_chunk)


def test_a_body_ends_after_it_began(exchange, body):
    """All times are of one clock."""
    body.feed(b"one")
    body.end("complete")
    assert exchange.started <= body.first_chunk <= body.ended


class Faulty:
    """Fails in each of its methods."""

    def feed(self, data):
        raise ZeroDivisionError

    def body_ended(self, body):
        raise ZeroDivisionError


@pytest.mark.parametrize("act", [lambda body: body.feed(b""), lambda body: body.end("complete")])
def test_a_fault_does_not_reach_the_program(capsys, act):
    """It is one line on stderr."""
    diagnostics.forget()
    act(Body(Faulty(), Faulty()))
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
    assert value == header(headers, "via")


def test_a_head_is_read():
    """Names as they were sent; the request line and folded lines are no headers."""
    head = b"POST / HTTP/1.1\r\nHost: a:1\r\nX-Two:  b \r\n folded: c\r\n\r\n"
    assert [("Host", "a:1"), ("X-Two", "b")] == headers_of(head)


def test_headers_come_from_the_head_if_there_is_one(exchange):
    """Clients that hand their headers over have none."""
    exchange.request_headers = [("a", "1")]
    handed = exchange.sent_headers()
    exchange.head = b"POST / HTTP/1.1\r\nb: 2\r\n\r\n"
    assert ([("a", "1")], [("b", "2")]) == (handed, exchange.sent_headers())
