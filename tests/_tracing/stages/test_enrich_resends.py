"""The resend count and the attempt events that the enrich stage adds."""

import threading

import pytest

from lupis_instrument._tracing.http_call import HttpCall
from lupis_instrument._tracing.stages import enrich
from lupis_instrument._tracing.stages.enrich import make_attempt_events

URL = "https://api.openai.com/v1/chat/completions"


def make_call(*statuses, url=URL, body=b"{}", headers=(), response_headers=()):
    """Returns a call with an attempt for each status; None stands for no response."""
    http_call = HttpCall((), lambda: None, lambda: None)
    for status in statuses:
        http_call.begin_attempt("POST", url)
        http_call.request_headers = list(headers)
        http_call.add_request_data(body)
        if status is not None:
            http_call.begin_response(status, list(response_headers), "1.1")
    return http_call


def read_resend_count(http_call):
    """Returns the resend count of a call by its headers and by the calls before it."""
    return enrich.read_resend_count(http_call, http_call.read_request_headers())


def count(*statuses, **options):
    """Returns the resend count of such a call."""
    return read_resend_count(make_call(*statuses, **options))


def test_a_request_after_a_successful_one_is_no_retry():
    """Both calls are first attempts."""
    assert [0, 0] == [count(200), count(200)]


@pytest.mark.parametrize("status", [None, 401, 408, 409, 429, 500, 503, 529])
def test_the_same_request_after_a_failure_is_a_retry(status):
    """After a status that clients retry, or after no response at all."""
    assert [0, 1, 2, 0] == [count(status), count(status), count(200), count(200)]


@pytest.mark.parametrize("body", [b"{}", b"[]"])
def test_a_retry_is_known_after_the_request_was_read(body):
    """The background thread may have taken the body of the failed call, and then of the retry."""
    failed = make_call(503)
    failed.take_request_body()
    retry = make_call(503, body=body)
    retry_count = read_resend_count(retry)
    retry.take_request_body()
    assert (int(body == b"{}"), 0) == (retry_count, failed.count_resends())


@pytest.mark.parametrize("status", [200, 400, 404, 422])
def test_the_same_request_after_any_other_status_is_a_new_call(status):
    """Clients do not repeat a request that was refused for good."""
    assert [0, 0] == [count(status), count(200)]


@pytest.mark.parametrize("difference", [{"body": b"[]"}, {"url": URL + "?x=1"}])
def test_a_different_request_is_a_new_call(difference):
    """Its body or its URL differs from the failed one's."""
    assert [0, 0] == [count(429), count(200, **difference)]


def test_a_followed_redirect_is_a_resend():
    """Some clients make a call of its own for each redirect."""
    location = [("Location", "/v1/chat/completions?there=1")]
    assert 0 == count(307, response_headers=location)
    assert 1 == count(200, url=URL + "?there=1")


def test_a_call_in_another_thread_is_no_retry():
    """It may send the same request at the same time."""
    make_call(429)
    counts = []
    thread = threading.Thread(target=lambda: counts.append(count(200)))
    thread.start()
    thread.join()
    assert [0] == counts


def test_attempts_inside_one_call_count():
    """urllib3 makes such attempts; each one before the last is an event."""
    http_call = make_call(503, None, 200)
    first, second = make_attempt_events(http_call, 10**18)
    assert 2 == read_resend_count(http_call)
    assert [{"http.response.status_code": 503}, {}] == [first.attributes, second.attributes]
    assert 10**18 <= first.timestamp <= second.timestamp


def test_a_retried_call_counts_the_attempts_of_the_call_before():
    """A library and the client below it may both retry."""
    assert [1, 3] == [count(503, 503), count(503, 200)]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (("x-stainless-retry-count", "0"), 0),
        (("X-Stainless-Retry-Count", "2"), 2),
        (("amz-sdk-request", "attempt=1; max=3"), 0),
        (("amz-sdk-request", "ttl=20261125T1; attempt=3; max=3"), 2),
        (("amz-sdk-request", "attempt=3; max=3"), 2),
        (("x-stainless-retry-count", "many"), 0),
    ],
)
def test_a_header_of_the_library_numbers_the_attempt(header, expected):
    """The libraries count from different numbers."""
    assert expected == count(200, headers=[header])


def test_a_chain_of_retries_keeps_no_old_bodies():
    """Each call releases the call before it when the next one begins."""
    calls = [make_call(429) for _ in range(4)]
    assert [None, None, None] == [http_call._previous for http_call in calls[:3]]
    assert 3 == read_resend_count(calls[-1])
