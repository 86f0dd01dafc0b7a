"""Proxy tracers of OpenTelemetry's API record spans while the program has set no provider."""

import logging
from types import SimpleNamespace

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._instrumentation import native_spans
from lupis_instrument._instrumentation.native_spans import wrap_proxy_tracers


class Wrapped:
    """A copy of the API's class of proxy tracers, wrapped, and the scopes that asked for a tracer."""

    def __init__(self, make_tracer=None):
        self.scopes = []
        self.has_provider = False
        self.proxy_class = type(
            "ProxyTracer", (trace.ProxyTracer,), {"_tracer": trace.ProxyTracer._tracer}
        )
        self._make_tracer = make_tracer or TracerProvider(shutdown_on_exit=False).get_tracer
        module = SimpleNamespace(__name__="a copy", ProxyTracer=self.proxy_class)
        wrap_proxy_tracers(module, self.find_tracer, lambda: self.has_provider)

    def find_tracer(self, *scope):
        """Notes the scope and makes a tracer."""
        self.scopes.append(scope)
        return self._make_tracer(*scope)

    def start_span(self, name="work"):
        """Starts a span as a library does."""
        return self.proxy_class("library", "1.0", "schema", {"a": 1}).start_span(name)


@pytest.fixture(autouse=True)
def _quiet_loggers():
    """The filters of this test's loggers go."""
    loggers = [logging.getLogger(name) for name in native_spans._SDK_LOGGERS]
    before = [list(logger.filters) for logger in loggers]
    yield
    for logger, filters in zip(loggers, before):
        logger.filters[:] = filters


def test_a_span_without_a_provider_is_recorded():
    """The tracer has the scope of the library."""
    wrapped = Wrapped()
    assert wrapped.start_span().is_recording()
    assert [("library", "1.0", "schema", {"a": 1})] == wrapped.scopes


def test_a_proxy_tracer_asks_once():
    """The tracer serves all later spans."""
    wrapped = Wrapped()
    tracer = wrapped.proxy_class("library")
    tracer.start_span("a")
    with tracer.start_as_current_span("b") as span:
        assert span.is_recording()
    assert 1 == len(wrapped.scopes)


def test_a_provider_that_is_set_later_takes_over(monkeypatch):
    """Also for a tracer that has made spans before."""
    wrapped = Wrapped()
    tracer = wrapped.proxy_class("library")
    tracer.start_span("before")
    own = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", own)
    assert own.resource is tracer.start_span("after").resource


@pytest.mark.parametrize("fault", [None, RuntimeError])
def test_without_a_tracer_spans_record_nothing(fault, capsys, monkeypatch):
    """So they are as they would be without this package."""
    monkeypatch.setattr(diagnostics, "reraise", False)

    def make_tracer(*_scope):
        if fault is not None:
            raise fault

    assert trace.INVALID_SPAN is Wrapped(make_tracer).start_span()
    assert (fault is not None) is ("recording a library's spans" in capsys.readouterr().err)


def test_a_span_that_starting_makes_records_nothing():
    """The runtime is not started within its own start."""
    spans = []

    def make_tracer(*_scope):
        spans.append(wrapped.start_span("inner"))

    wrapped = Wrapped(make_tracer)
    wrapped.start_span()
    assert [trace.INVALID_SPAN] == spans
    assert 1 == len(wrapped.scopes)


@pytest.mark.parametrize("has_provider", [False, True])
def test_messages_of_the_sdk_are_for_programs_that_use_it(has_provider, caplog):
    """A library that sets a wrong value gets no message without a provider, as before."""
    wrapped = Wrapped()
    wrapped.has_provider = has_provider
    wrapped.start_span().set_attribute("wrong", object())
    assert has_provider is bool(caplog.records)
    caplog.clear()
