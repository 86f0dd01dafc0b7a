"""What is sent passes nobody who has changed the HTTP client that programs import."""

import http.client
import importlib.machinery

import pytest

from lupis_instrument._delivery import untouched
from lupis_instrument._delivery.sending import TAKEN, Sender


@pytest.fixture(autouse=True)
def loaded_anew():
    """The copy is made in the test."""
    untouched.client.cache_clear()
    yield
    untouched.client.cache_clear()


def fail(*_args, **_options):
    raise AssertionError("seen by others")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (http.client.HTTPConnection, "request"),
        (http.client.HTTPConnection, "putrequest"),
        (http.client.HTTPConnection, "send"),
        (http.client.HTTPConnection, "connect"),
        (http.client.HTTPConnection, "getresponse"),
        (http.client.HTTPResponse, "read"),
        (http.client.HTTPResponse, "begin"),
        (http.client, "HTTPConnection"),
        (http.client, "HTTPResponse"),
    ],
)
def test_who_changes_the_client_does_not_see_it(owner, name, sink, monkeypatch):
    """Whether a function is replaced, or the class."""
    monkeypatch.setattr(owner, name, fail)
    assert TAKEN == Sender({}).send(sink.otlp_url, b"", {}).outcome


def test_the_copy_is_not_what_programs_import():
    """Nor is it found by its name."""
    copy = untouched.client()
    assert copy is not http.client
    assert copy.HTTPConnection is not http.client.HTTPConnection


def test_where_it_has_no_file_it_is_the_one_there_is(monkeypatch):
    """As in a program that is frozen into one file."""
    monkeypatch.setattr(importlib.machinery.PathFinder, "find_spec", lambda *_: None)
    assert untouched.client() is http.client
