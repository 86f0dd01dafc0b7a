"""Notices the tracer providers that the program sets up, and follows their spans.

Nothing of theirs is changed: a processor is added that looks on. It tells which spans lie above
ours, and when the program wants its spans delivered, or its provider ended.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, Callable
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor

from lupis_instrument._diagnostics import guarded
from lupis_instrument._tracing.span_tree import SpanTree

if TYPE_CHECKING:
    from types import ModuleType

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span


class ProviderObserver(SpanProcessor):
    """Looks on at the spans of one provider of the program's.

    Attributes:
        closed: whether the provider has been shut down.
    """

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self.closed = False

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Take note of a span."""
        guarded("noting a span", self._providers.span_tree.begin_span, span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Take note of its end."""
        guarded("noting a span's end", self._providers.span_tree.end_span, span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - the SDK's
        """Hand over what of ours is to go the same way."""
        guarded("joining a provider", self._providers.hand_over)
        return True

    def shutdown(self) -> None:
        """Do the same for the last time."""
        guarded("joining a provider", self._providers.hand_over)
        self.closed = True


class Providers:
    """The program's tracer providers.

    Attributes:
        span_tree: knows the spans under way, theirs and ours.
        hand_over: called when one of them is flushed or ended.
    """

    def __init__(self) -> None:
        self.span_tree = SpanTree()
        self.hand_over: Callable[[], object] = _nothing
        self._watches: WeakKeyDictionary[Any, ProviderObserver] = WeakKeyDictionary()

    def watch(self, provider: Any) -> None:
        """Follow a provider from now on, unless it is ours."""
        if provider not in self._watches and not getattr(provider, "is_lupis_provider", False):
            watch = self._watches[provider] = ProviderObserver(self)
            provider.add_span_processor(watch)

    def open(self) -> list[Any]:
        """Return those that have not been shut down."""
        return [provider for provider, watch in list(self._watches.items()) if not watch.closed]


def _nothing() -> None:
    pass


def attach(module: ModuleType) -> Providers:
    """Notice each provider of the SDK, `opentelemetry.sdk.trace`, that gets a processor."""
    providers = Providers()
    provider_class: Any = module.TracerProvider
    original = provider_class.add_span_processor

    @functools.wraps(original)
    def add_span_processor(self: Any, *args: Any, **kwargs: Any) -> None:
        guarded("watching a tracer provider", providers.watch, self)
        original(self, *args, **kwargs)

    provider_class.add_span_processor = add_span_processor
    guarded("watching a tracer provider", _watch_global, providers, provider_class)
    return providers


def _watch_global(providers: Providers, provider_class: Any) -> None:
    """Follow the global provider if the program has set it before us."""
    if "OTEL_PYTHON_TRACER_PROVIDER" in os.environ:
        return  # asking for it would make it
    provider = trace.get_tracer_provider()
    if isinstance(provider, provider_class):
        providers.watch(provider)
