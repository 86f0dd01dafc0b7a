"""HTTP calls as the clients' adapters fill them, and the bodies of their responses."""

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._llm.api.endpoints import identify_endpoint
from lupis_instrument._llm.body.body_reader import BodyReader
from lupis_instrument._tracing import http_call as http_call_module
from lupis_instrument._tracing.http_call import (
    HttpCall,
    ParsedUrl,
    ResponseBody,
    decode_headers,
    join_header,
    parse_headers,
    parse_url,
)

OPENAI_CHAT = identify_endpoint("POST", "api.openai.com", 443, "/v1/chat/completions")
CHAT = "http://127.0.0.1:8000/v1/chat/completions"
JSON = [("Content-Type", "application/json")]


class SpanCounter:
    """Counts how often a call kept its span open and let it end."""

    def __init__(self):
        self.kept_open = self.ended = 0

    def keep_open(self):
        self.kept_open += 1

    def end_span(self):
        self.ended += 1


@pytest.fixture
def span():
    """The span of the call."""
    return SpanCounter()


@pytest.fixture
def http_call(span):
    """A call without custom provider hosts."""
    return HttpCall((), span.keep_open, span.end_span)


@pytest.fixture
def body(http_call):
    """The body of a response to an LLM call."""
    http_call.begin_attempt("POST", CHAT)
    return http_call.begin_response(200, JSON, "1.1")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "https://Api.Example.com/v1/x?y=1",
            ParsedUrl("https", "api.example.com", 443, "/v1/x?y=1"),
        ),
        ("http://example.com:8080", ParsedUrl("http", "example.com", 8080, "")),
        ("http://user:pw@[::1]:9/a", ParsedUrl("http", "::1", 9, "/a")),
        ("http://example.com:99999/a", ParsedUrl("", "", None, "")),
        ("http://[::1/a", ParsedUrl("", "", None, "")),
        ("https://a@b:c@example.com/@d", ParsedUrl("https", "example.com", 443, "/@d")),
        ("ws://example.com/a#b", ParsedUrl("ws", "example.com", 80, "/a")),
        ("", ParsedUrl("", "", None, "")),
    ],
)
def test_a_url_is_split_into_its_parts(url, expected):
    """All parts of a malformed URL are empty."""
    assert expected == parse_url(url)


@pytest.mark.parametrize(
    ("url", "is_llm"), [(CHAT, True), ("http://127.0.0.1:8000/data", False), ("nonsense", False)]
)
def test_the_url_tells_whether_a_request_goes_to_an_llm_api(http_call, url, is_llm):
    """Only then the call has an endpoint."""
    http_call.begin_attempt("POST", url)
    assert is_llm == (http_call.endpoint is not None)


def test_a_setting_adds_hosts(span):
    """LUPIS_PROVIDER_HOSTS names the provider of a host."""
    http_call = HttpCall((("llm.corp.example", "anthropic"),), span.keep_open, span.end_span)
    http_call.begin_attempt("POST", "https://llm.corp.example/v1/messages")
    assert "anthropic" == http_call.endpoint.provider


def test_the_pieces_of_a_request_body_are_kept(http_call):
    """As copies that the program can't change afterwards."""
    data = bytearray(b"two")
    http_call.begin_attempt("POST", CHAT)
    http_call.add_request_data(b"one")
    http_call.add_request_data(data)
    data[:] = b"xxx"
    assert [b"one", b"two"] == http_call.request_body


@pytest.mark.parametrize("data", ["text", None, object(), [b"a"]])
def test_request_data_other_than_bytes_is_not_kept(http_call, data):
    """The pipeline could not read it."""
    http_call.begin_attempt("POST", CHAT)
    http_call.add_request_data(data)
    assert [] == http_call.request_body


def test_another_hosts_request_body_is_not_kept(http_call):
    """Only LLM requests are read."""
    http_call.begin_attempt("POST", "http://127.0.0.1/data")
    http_call.add_request_data(b"one")
    assert [] == http_call.request_body


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_the_two_ends_of_a_long_request_body_are_kept(http_call, monkeypatch, size):
    """In whichever pieces it comes; the memory for it has a bound."""
    monkeypatch.setattr(http_call_module, "MAX_REQUEST_BYTES", 10)
    monkeypatch.setattr(http_call_module, "MAX_END_BYTES", 4)
    text = bytes(range(100))
    http_call.begin_attempt("POST", CHAT)
    for start in range(0, len(text), size):
        http_call.add_request_data(text[start : start + size])
        assert sum(map(len, http_call.request_body)) <= 10
    start, *end = http_call.request_body
    assert (True, text[:4]) == (http_call.is_request_cut, start)
    assert text.endswith(b"".join(end)[-4:])


def test_a_request_body_of_the_largest_size_is_kept_whole(http_call, monkeypatch):
    """It is not cut."""
    monkeypatch.setattr(http_call_module, "MAX_REQUEST_BYTES", 6)
    http_call.begin_attempt("POST", CHAT)
    http_call.add_request_data(b"one")
    http_call.add_request_data(b"two")
    assert (False, [b"one", b"two"]) == (http_call.is_request_cut, http_call.request_body)


def test_a_request_body_is_taken_once(http_call):
    """The call lives on without it."""
    http_call.begin_attempt("POST", CHAT)
    http_call.add_request_data(b"one")
    assert ([b"one"], []) == (http_call.take_request_body(), http_call.take_request_body())


def test_the_body_of_an_llm_response_is_observed(http_call, span, body):
    """The call keeps its span open from then on."""
    assert (body, 1, True) == (http_call.body, span.kept_open, http_call.has_open_body)


@pytest.mark.parametrize("status", [300, 307, 399])
def test_the_body_of_a_redirect_is_not_observed(http_call, span, status):
    """It has no usage."""
    http_call.begin_attempt("POST", CHAT)
    assert (None, 0) == (http_call.begin_response(status, JSON, "1.1"), span.kept_open)


@pytest.mark.parametrize(
    ("method", "url"), [("POST", "http://127.0.0.1/data"), ("GET", CHAT), ("HEAD", CHAT)]
)
def test_the_body_of_another_response_is_not_observed(http_call, span, method, url):
    """The call's span ends when its instrumentor ends it."""
    http_call.begin_attempt(method, url)
    assert (None, 0) == (http_call.begin_response(200, JSON, "1.1"), span.kept_open)


def test_the_responses_head_is_kept(http_call):
    """For every host, not only for LLM APIs."""
    http_call.begin_attempt("POST", "http://127.0.0.1/data")
    http_call.begin_response(404, JSON, "1.0")
    assert (404, JSON, "1.0") == (http_call.status, http_call.response_headers, http_call.version)


def test_the_end_of_a_body_lets_the_span_end(http_call, span, body):
    """A second end changes nothing."""
    body.end("complete")
    body.end("closed")
    assert (1, "complete", False) == (span.ended, body.outcome, http_call.has_open_body)


def test_the_end_of_an_earlier_body_does_not_let_the_span_end(http_call, span, body):
    """The call has begun another attempt."""
    http_call.begin_attempt("POST", CHAT)
    body.end("closed")
    assert 0 == span.ended


def test_a_new_attempt_replaces_the_data_of_the_last_one(http_call, body):
    """Only the number of attempts is kept."""
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


def test_the_type_of_an_error_is_kept(body):
    """Its message is not, for it may quote a body."""
    body.end("error", ConnectionResetError("secret"))
    assert ("error", "ConnectionResetError") == (body.outcome, body.error_type)


def test_chunks_are_counted(body):
    """The first one sets the time of the first chunk."""
    body.feed(b"one")
    first = body.first_chunk
    body.feed(b"two")
    assert (2, first) == (body.chunk_count, body.first_chunk)


def test_a_body_ends_after_it_began(http_call, body):
    """All times are from the same clock."""
    body.feed(b"one")
    body.end("complete")
    assert http_call.started <= body.first_chunk <= body.ended


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"a", "a"), ("é".encode(), "é"), ("é".encode("latin-1"), "é")],
)
def test_header_lines_of_bytes_are_decoded(value, expected):
    """As UTF-8, or as ISO-8859-1 if they are not valid UTF-8."""
    assert [("x", expected)] == decode_headers([(b"x", value)])


class FailingCall:
    """Fails when its body ends."""

    def on_body_end(self, body):
        raise ZeroDivisionError


def test_a_fault_does_not_reach_the_program(capsys):
    """It is reported in one line on stderr."""
    diagnostics.reset()
    ResponseBody(FailingCall(), BodyReader(OPENAI_CHAT, None, None)).end("complete")
    assert 1 == capsys.readouterr().err.count("failed (ZeroDivisionError")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("Via", "a"), ("x", "c"), ("VIA", "b")], "a, b"),
        ([("via", "")], ""),
        ([("x", "c")], None),
        ([], None),
    ],
)
def test_the_values_of_a_header_are_joined(headers, expected):
    """RFC 9110 section 5.2 allows it; a missing header is None."""
    assert expected == join_header(headers, "via")


def test_the_headers_of_a_raw_head_are_parsed():
    """Names keep their case; the request line and folded lines are left out."""
    head = b"POST / HTTP/1.1\r\nHost: a:1\r\nX-Two:  b \r\n folded: c\r\n\r\n"
    assert [("Host", "a:1"), ("X-Two", "b")] == parse_headers(head)


def test_the_raw_head_wins_over_header_lines(http_call):
    """An adapter sets either the one or the other."""
    http_call.request_headers = [("a", "1")]
    before = http_call.read_request_headers()
    http_call.request_head = b"POST / HTTP/1.1\r\nb: 2\r\n\r\n"
    assert ([("a", "1")], [("b", "2")]) == (before, http_call.read_request_headers())


def test_no_cache_keeps_the_query_or_the_password_of_a_url():
    """Both may be a key: URLs that differ in them alone are one entry of each cache."""
    caches = (http_call_module._parse_bare_url, identify_endpoint)
    for cache in caches:
        cache.cache_clear()
    for key in ("secret-1", "secret-2"):
        url = f"https://me:{key}@api.example.com/v1/chat/completions?key={key}#top"
        http_call = HttpCall((), lambda: None, lambda: None)
        http_call.begin_attempt("POST", url)
        assert f"/v1/chat/completions?key={key}" == parse_url(url).path == http_call.path
    assert [1, 1] == [cache.cache_info().currsize for cache in caches]
