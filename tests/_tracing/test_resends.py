"""Which repetition of its request a call is."""

import pytest

from lupis_instrument._tracing.http_call import HttpCall
from lupis_instrument._tracing.resends import earlier_attempts, resends_of

URL = "https://api.openai.com/v1/chat/completions"


def call(*statuses, url=URL, body=b"{}", headers=(), answer=()):
    """A call whose client makes an attempt for each status; None is no answer."""
    http_call = HttpCall({}, lambda: None, lambda: None)
    for status in statuses:
        http_call.begin_attempt("POST", url)
        http_call.request_headers = list(headers)
        http_call.add_request_data(body)
        if status is not None:
            http_call.begin_response(status, list(answer), "1.1")
    return http_call


def test_the_first_attempt_is_no_repetition():
    """Neither of one that was answered well."""
    assert [0, 0] == [resends_of(call(200)), resends_of(call(200))]


@pytest.mark.parametrize("status", [None, 401, 408, 409, 429, 500, 503, 529])
def test_the_same_request_again_is_one(status):
    """After a status that calls for it, or no answer at all."""
    assert [0, 1, 2, 0] == [resends_of(call(each)) for each in (status, status, 200, 200)]


@pytest.mark.parametrize("status", [200, 400, 404, 422])
def test_after_any_other_status_it_is_a_new_call(status):
    """Nobody repeats what was refused for good."""
    assert [0, 0] == [resends_of(call(status)), resends_of(call(200))]


@pytest.mark.parametrize("other", [{"body": b"[]"}, {"url": URL + "?x=1"}])
def test_another_request_is_a_new_call(other):
    """By what it sends, and where."""
    assert [0, 0] == [resends_of(call(429)), resends_of(call(200, **other))]


def test_a_redirect_is_followed():
    """To where its answer says, by a client whose hops are calls of their own."""
    there = [("Location", "/v1/chat/completions?there=1")]
    assert 0 == resends_of(call(307, answer=there))
    assert 1 == resends_of(call(200, url=URL + "?there=1"))


def test_other_threads_have_calls_of_their_own():
    """Which may fail alike at the same time."""
    import threading

    call(429)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(resends_of(call(200))))
    thread.start()
    thread.join()
    assert [0] == seen


def test_attempts_inside_one_call_count():
    """As urllib3 makes them; what failed before is an event each."""
    http_call = call(503, None, 200)
    first, second = earlier_attempts(http_call, 10**18)
    assert 2 == resends_of(http_call)
    assert [{"http.response.status_code": 503}, {}] == [first.attributes, second.attributes]
    assert 10**18 <= first.timestamp <= second.timestamp


def test_calls_are_counted_with_their_attempts():
    """The second call of a library that tries again, over a client that does too."""
    assert [1, 3] == [resends_of(call(503, 503)), resends_of(call(503, 200))]


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
def test_a_library_may_say_so_itself(header, expected):
    """In a header of its own."""
    assert expected == resends_of(call(200, headers=[header]))


def test_a_chain_of_repetitions_keeps_no_old_bodies():
    """Each lets go of the one before it when the next begins."""
    calls = [call(429) for _ in range(4)]
    assert [None, None, None] == [each._previous for each in calls[:3]]
    assert 3 == resends_of(calls[-1])
