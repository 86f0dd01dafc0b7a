"""The program's tracer providers are observed, and nothing else about them changes."""

import gc
import types

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._instrumentation import provider_observer
from lupis_instrument._instrumentation.provider_observer import (
    ProviderObserver,
    observe_providers,
)


class Listener:
    """Counts the announced flushes, and fails where it is told to."""

    def __init__(self):
        self.flushes = 0
        self.fails = False

    def before_provider_flush(self):
        self.flushes += 1
        if self.fails:
            raise ZeroDivisionError


@pytest.fixture
def listener():
    """A listener for flushes."""
    return Listener()


@pytest.fixture
def provider_class():
    """A copy of the SDK's class, so that other providers of this process are not observed."""
    return type("TracerProvider", (TracerProvider,), {})


@pytest.fixture
def providers(provider_class, listener):
    """The observed providers of that class."""
    observed = observe_providers(types.SimpleNamespace(TracerProvider=provider_class))
    observed.set_listener(listener)
    return observed


@pytest.fixture
def provider(provider_class, providers):
    """A provider that the program has set up."""
    made = provider_class(shutdown_on_exit=False)
    made.exporter = InMemorySpanExporter()
    made.add_span_processor(SimpleSpanProcessor(made.exporter))
    yield made
    made.shutdown()


def test_provider_with_a_processor_is_observed(provider, providers):
    """A provider without a processor delivers nothing, and is of no interest."""
    type(provider)(shutdown_on_exit=False)
    assert [provider] == providers.list_open()


def test_each_provider_is_observed_once(provider):
    """A second processor of the program adds no second observer."""
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    processors = provider._active_span_processor._span_processors
    kinds = [type(processor).__name__ for processor in processors]
    assert ["ProviderObserver", "SimpleSpanProcessor", "SimpleSpanProcessor"] == kinds


def test_provider_of_this_package_is_not_observed(provider_class, providers):
    """It follows its spans itself."""
    own_provider = type("OwnProvider", (provider_class,), {"is_lupis_provider": True})()
    own_provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    assert [] == providers.list_open()


def test_spans_are_in_the_tree_while_they_are_open(provider, providers):
    """A span that stands in for an open span resolves to it."""
    span = provider.get_tracer("test").start_span("work")
    stand_in = trace.NonRecordingSpan(span.get_span_context())
    assert span is providers.span_tree.resolve_span(stand_in)
    span.end()
    assert stand_in is providers.span_tree.resolve_span(stand_in)


def test_spans_of_the_program_are_exported_as_before(provider):
    """The observer changes neither the spans nor their export."""
    provider.get_tracer("test").start_span("work").end()
    assert ["work"] == [span.name for span in provider.exporter.get_finished_spans()]


def test_flush_is_announced(provider, listener):
    """The listener can forward its spans before the provider flushes."""
    assert provider.force_flush()
    assert 1 == listener.flushes


def test_shutdown_is_announced_and_closes_the_provider(provider, providers, listener):
    """A provider that was shut down takes no more spans."""
    provider.shutdown()
    assert (1, []) == (listener.flushes, providers.list_open())


def test_flush_without_a_listener_succeeds(provider, providers):
    """There is no listener before the runtime exists."""
    providers._listener = None
    assert provider.force_flush()


def test_fault_of_the_listener_is_reported(provider, listener, capsys):
    """The program's flush succeeds all the same."""
    diagnostics.reraise = False
    listener.fails = True
    assert provider.force_flush()
    assert "joining a provider failed (ZeroDivisionError" in capsys.readouterr().err


def test_fault_in_the_span_tree_is_reported(provider, providers, capsys):
    """The program's span is recorded all the same."""
    diagnostics.reraise = False
    providers.span_tree = None
    provider.get_tracer("test").start_span("work").end()
    report = capsys.readouterr().err
    assert "noting a span failed" in report
    assert "noting a span's end failed" in report
    assert 1 == len(provider.exporter.get_finished_spans())


@pytest.fixture
def global_provider(provider_class, monkeypatch):
    """A global provider that the program set before it was observed."""
    made = provider_class(shutdown_on_exit=False)
    monkeypatch.setattr(provider_observer.trace, "get_tracer_provider", lambda: made)
    return made


def observe(provider_class):
    """Return the open providers after observation has begun."""
    module = types.SimpleNamespace(TracerProvider=provider_class)
    return observe_providers(module).list_open()


def test_global_provider_is_observed(provider_class, global_provider, monkeypatch):
    """It may have got its processors before the observation began."""
    monkeypatch.delenv("OTEL_PYTHON_TRACER_PROVIDER", raising=False)
    assert [global_provider] == observe(provider_class)


@pytest.mark.usefixtures("global_provider")
def test_global_provider_from_the_environment_is_not_created(provider_class, monkeypatch):
    """Asking for the global provider would create the one that the variable names."""
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider")
    assert [] == observe(provider_class)


def test_collected_provider_is_forgotten(provider_class, providers):
    """The observation keeps no provider alive."""
    provider_class(shutdown_on_exit=False).add_span_processor(ProviderObserver(providers))
    gc.collect()
    assert [] == providers.list_open()
