"""Observes the spans of the tracer providers that the program sets up.

A span processor that only observes is added to each of them; nothing else about them changes. It
tells which of the program's spans lie around the calls, and when the program flushes a provider or
shuts it down.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor

from lupis_instrument._diagnostics import internal_errors
from lupis_instrument._tracing.span_tree import SpanTree

if TYPE_CHECKING:
    from types import ModuleType

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span


class FlushListener(Protocol):
    """An object that wants to know when the program flushes one of its providers."""

    def before_provider_flush(self) -> None:
        """Forward ended spans: a provider of the program is about to be flushed or shut down."""


class ProviderObserver(SpanProcessor):
    """Observes the spans of one provider of the program.

    Attributes:
        closed: whether the provider has been shut down.
    """

    def __init__(self, providers: ObservedProviders) -> None:
        self._providers = providers
        self.closed = False

    def on_start(
        self,
        span: Span,
        parent_context: Context | None = None,  # noqa: ARG002 - the SDK's
    ) -> None:
        """Add a started span to the tree."""
        with internal_errors("noting a span"):
            self._providers.span_tree.begin_span(span)

    def on_end(self, span: ReadableSpan) -> None:
        """Mark a span of the tree as ended."""
        with internal_errors("noting a span's end"):
            self._providers.span_tree.end_span(span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - the SDK's
        """Announce the flush; return True, because nothing of this processor is pending."""
        self._providers.announce_flush()
        return True

    def shutdown(self) -> None:
        """Announce the last flush."""
        self._providers.announce_flush()
        self.closed = True


class ObservedProviders:
    """The tracer providers of the program.

    Attributes:
        span_tree: the spans under way, of the program and of this package.
    """

    def __init__(self) -> None:
        self.span_tree = SpanTree()
        self._listener: FlushListener | None = None
        self._observers: WeakKeyDictionary[Any, ProviderObserver] = WeakKeyDictionary()

    def set_listener(self, listener: FlushListener) -> None:
        """Announce flushes to `listener` from now on."""
        self._listener = listener

    def announce_flush(self) -> None:
        """Tell the listener that a provider is about to be flushed or shut down."""
        if self._listener is not None:
            with internal_errors("joining a provider"):
                self._listener.before_provider_flush()

    def add_provider(self, provider: Any) -> None:
        """Observe a provider from now on, unless it is the one of this package."""
        if provider not in self._observers and not getattr(provider, "is_lupis_provider", False):
            observer = self._observers[provider] = ProviderObserver(self)
            provider.add_span_processor(observer)

    def list_open(self) -> list[Any]:
        """Return the providers that have not been shut down."""
        observers = list(self._observers.items())
        return [provider for provider, observer in observers if not observer.closed]


def observe_providers(module: ModuleType) -> ObservedProviders:
    """Observe each provider that gets a span processor from now on, and the global one.

    Args:
        module: the SDK's `opentelemetry.sdk.trace`.
    """
    providers = ObservedProviders()
    provider_class: Any = module.TracerProvider
    original = provider_class.add_span_processor

    @functools.wraps(original)
    def add_span_processor(self: Any, *args: Any, **kwargs: Any) -> None:
        with internal_errors("watching a tracer provider"):
            providers.add_provider(self)
        original(self, *args, **kwargs)

    provider_class.add_span_processor = add_span_processor
    with internal_errors("watching a tracer provider"):
        _observe_global(providers, provider_class)
    return providers


def _observe_global(providers: ObservedProviders, provider_class: Any) -> None:
    """Observe the global provider if the program has set it already."""
    if "OTEL_PYTHON_TRACER_PROVIDER" in os.environ:
        return  # asking for the global provider would create it
    provider = trace.get_tracer_provider()
    if isinstance(provider, provider_class):
        providers.add_provider(provider)
