"""The chat id and the user metadata in force, here and now.

Three layers: values of the whole process, the chat id that a request being served brings along,
and values of one piece of work (`run`, `conversation`). The latter two are kept in OpenTelemetry's
context, so they follow the work wherever that does: into tasks by contextvars, into threads by
upstream's threading instrumentation. A span or event takes a `Conversation` snapshot when it
starts; nothing is ever attached across a `yield` of ours.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Iterator, Mapping, NamedTuple

from lupis_instrument import _semconv

if TYPE_CHECKING:
    from opentelemetry.context import Context

Extra = Mapping[str, Any]


class Conversation(NamedTuple):
    """What is stamped on a span or an event.

    Attributes:
        chat_id: one conversation.
        user_id: who talks.
        organization_id: for whom.
        session_id: outlives conversations, a browser session for example.
        extra: whatever else the program wants to see again.
        capture_http: whether HTTP calls are recorded at all.
        source: who set the chat id, if it was not the program's code.
    """

    chat_id: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    session_id: str | None = None
    extra: Extra = MappingProxyType({})
    capture_http: bool = True
    source: str | None = None

    def with_defaults(self, wider: Conversation) -> Conversation:
        """Return this conversation with what it leaves open taken from `wider`."""
        if wider is EMPTY:
            return self
        return Conversation(
            self.chat_id or wider.chat_id,
            self.user_id or wider.user_id,
            self.organization_id or wider.organization_id,
            self.session_id or wider.session_id,
            {**wider.extra, **self.extra} if wider.extra else self.extra,
            self.capture_http and wider.capture_http,
            self.source if self.chat_id else wider.source,
        )


EMPTY = Conversation()

_KEY = "lupis-conversation"
_MOST_INCOMING = 256
"""Characters; who calls a service of the program's may be anybody."""
LLM_ONLY_KEY = "lupis-llm-only"
"""Where OpenTelemetry's context says that only calls to LLM APIs are wanted inside."""
CALL_SPAN_KEY = "lupis-call"
"""Where it has the span of the call being made, whatever span is current."""
OUTER_CALL_KEY = "lupis-below"
"""Where it has the record of the call whose instrumentor wants ours below it to keep quiet."""


class ProcessValues:
    """What holds for the whole process, from the widest to the narrowest.

    Attributes:
        environment: `LUPIS_CHAT_ID`, `LUPIS_USER_ID` and so on.
        chat: what `set_chat_id` set.
        metadata: what `set_metadata` set.
    """

    __slots__ = ("_merged", "chat", "environment", "metadata")

    def __init__(self) -> None:
        self.environment = self.chat = self.metadata = self._merged = EMPTY

    def set_layers(self, **layers: Conversation) -> None:
        """Replace the named layers."""
        for name, value in layers.items():
            setattr(self, name, value)
        self._merged = self.metadata.with_defaults(self.chat).with_defaults(self.environment)

    @property
    def merged(self) -> Conversation:
        """All layers, the narrower over the wider."""
        return self._merged


process_values = ProcessValues()


def current_conversation() -> Conversation:
    """Return what is in force for the work that calls."""
    inner = _working().with_defaults(_incoming())
    return process_values.merged if inner is EMPTY else inner.with_defaults(process_values.merged)


def _working() -> Conversation:
    # Where OpenTelemetry's context is not loaded, nothing can be in it; an import statement here
    # would cost each span more than all the rest of it. None, too, while another thread imports it.
    get_value = getattr(sys.modules.get("opentelemetry.context"), "get_value", None)
    found = get_value(_KEY) if get_value is not None else None
    return found if isinstance(found, Conversation) else EMPTY


def _incoming() -> Conversation:
    """Return what the request being served says, where the program's server takes up baggage."""
    get_current = getattr(sys.modules.get("opentelemetry.context"), "get_current", None)
    get_baggage = getattr(sys.modules.get("opentelemetry.baggage"), "get_baggage", None)
    if get_current is None or get_baggage is None or not get_current():
        return EMPTY
    chat_id = get_baggage(_semconv.LUPIS_CHAT_ID)
    if not isinstance(chat_id, str) or not 0 < len(chat_id) <= _MOST_INCOMING:
        return EMPTY
    return Conversation(chat_id, source="baggage")


@contextmanager
def use_conversation(narrower: Conversation) -> Iterator[None]:
    """Have `narrower` in force inside the `with` block, over what is in force outside it."""
    from opentelemetry.context import set_value

    with use_context(set_value(_KEY, narrower.with_defaults(_working()))):
        yield


class use_context:  # noqa: N801 - read as a function
    """Have a context be OpenTelemetry's current one inside the `with` block."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        # Loaded, for there is a context; an import statement would cost more than all the rest.
        self._token = sys.modules["opentelemetry.context"].attach(self._context)

    def __exit__(self, *_: object) -> None:
        leave(self._token)


def leave(token: Any) -> None:
    """Detach; unlike `opentelemetry.context.detach`, log nothing where there is nothing to do."""
    variable = getattr(token, "var", None)
    if variable is None:
        from opentelemetry import context

        context.detach(token)  # of a runtime context that is not contextvars'
        return
    try:
        variable.reset(token)
    except ValueError:
        # The block was left in another context than it was entered in (a generator finished by
        # the event loop's shutdown, for one): that context never saw the value.
        pass


def collect_metadata(conversation: Conversation) -> dict[str, Any]:
    """Return the metadata of an event: the four ids that are set, then the extras."""
    named = {
        "user_id": conversation.user_id,
        "organization_id": conversation.organization_id,
        "session_id": conversation.session_id,
        "chat_id": conversation.chat_id,
    }
    return {
        **conversation.extra,
        **{name: value for name, value in named.items() if value is not None},
    }
