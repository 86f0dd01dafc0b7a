"""The chat id and the user metadata that apply to the running code.

Three layers set them, the most specific value wins:

1. the whole process: environment variables, `set_chat_id` and `set_metadata` (`ProcessValues`);
2. the chat id that an incoming request carries as baggage;
3. one block of work: `run` and `conversation` of the SDK (`use_conversation`).

Layers 2 and 3 are kept in OpenTelemetry's context, so they follow the work wherever that context
does: into tasks by contextvars, into threads by the threading instrumentor of opentelemetry-python.
A span or an event takes a `Conversation` snapshot when it starts.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Iterator, Mapping, NamedTuple

from lupis_instrument import _semconv
from lupis_instrument._process.kept_modules import kept_modules

if TYPE_CHECKING:
    from opentelemetry.context import Context

Extra = Mapping[str, Any]


class Conversation(NamedTuple):
    """The chat id and the metadata to stamp on a span or an event.

    Attributes:
        chat_id: the conversation's id.
        user_id: the user who talks.
        organization_id: the organization the user belongs to.
        session_id: a session that may outlive conversations, such as a browser session.
        extra: further metadata of the program.
        capture_http: whether HTTP calls are recorded at all.
        source: the origin of a chat id that code did not set: `environment` or `baggage`.
    """

    chat_id: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    session_id: str | None = None
    extra: Extra = MappingProxyType({})
    capture_http: bool = True
    source: str | None = None

    def with_defaults(self, wider: Conversation) -> Conversation:
        """Return this conversation, its unset fields filled from `wider`."""
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

_CONTEXT, _BAGGAGE = "opentelemetry.context", "opentelemetry.baggage"
_CONVERSATION_KEY = "lupis-conversation"
_MAX_INCOMING_LENGTH = 256
"""Characters of an incoming chat id; anybody may call a service of the program."""
LLM_ONLY_KEY = "lupis-llm-only"
"""Key of OpenTelemetry's context: only calls to LLM APIs are recorded inside."""
CALL_SPAN_KEY = "lupis-call"
"""Key of OpenTelemetry's context: the span of the call being made, whatever span is current."""
OUTER_CALL_KEY = "lupis-below"
"""Key of OpenTelemetry's context: the state of a call whose instrumentor suppresses further spans.

Clients below that call must not make a span of their own while the call is under way.
"""


class ProcessValues:
    """The conversation values that apply to the whole process, in three layers.

    Attributes:
        environment: values of `LUPIS_CHAT_ID`, `LUPIS_USER_ID` and so on.
        chat: the chat id of `set_chat_id`; overrides `environment`.
        metadata: the values of `set_metadata`; override `chat`.
    """

    __slots__ = ("_merged", "chat", "environment", "metadata")

    def __init__(self) -> None:
        self.environment = self.chat = self.metadata = self._merged = EMPTY

    def set_layers(self, **layers: Conversation) -> None:
        """Replace the named layers; a layer's old values are not kept."""
        for name, value in layers.items():
            setattr(self, name, value)
        merged = self.metadata.with_defaults(self.chat).with_defaults(self.environment)
        self._merged = EMPTY if merged == EMPTY else merged

    @property
    def merged(self) -> Conversation:
        """All layers in one, the most specific value of each field."""
        return self._merged


process_values = ProcessValues()


def current_conversation() -> Conversation:
    """Return the conversation of the calling code, merged from all layers."""
    context = _get_context()
    if not context:
        return process_values.merged
    inner = _get_block_conversation(context).with_defaults(_read_baggage(_semconv.LUPIS_CHAT_ID))
    outer = process_values.merged
    merged = outer if inner is EMPTY else inner.with_defaults(outer)
    if merged.chat_id is None:
        # Agent frameworks (Pydantic AI 2) name their own conversation so.
        return merged.with_defaults(_read_baggage(_semconv.GEN_AI_CONVERSATION_ID))
    return merged


def _get_context() -> Context | None:
    """Return OpenTelemetry's current context; None where its module is not loaded.

    An import statement here would cost each span more than all of `current_conversation` does.
    `get_current` is missing while another thread is importing the module.
    """
    module = kept_modules.get(_CONTEXT) or sys.modules.get(_CONTEXT)
    get_current = getattr(module, "get_current", None)
    return get_current() if get_current is not None else None


def _get_block_conversation(context: Context | None) -> Conversation:
    value = context.get(_CONVERSATION_KEY) if context else None
    return value if isinstance(value, Conversation) else EMPTY


def _read_baggage(name: str) -> Conversation:
    """Return the chat id in the baggage of the request being served, or of an agent's run."""
    baggage = kept_modules.get(_BAGGAGE) or sys.modules.get(_BAGGAGE)
    get_baggage = getattr(baggage, "get_baggage", None)
    if get_baggage is None:
        return EMPTY
    chat_id = get_baggage(name)
    if not isinstance(chat_id, str) or not 0 < len(chat_id) <= _MAX_INCOMING_LENGTH:
        return EMPTY
    return Conversation(chat_id, source="baggage")


@contextmanager
def use_conversation(conversation: Conversation) -> Iterator[None]:
    """Apply `conversation` inside the `with` block, over the values of the blocks around it."""
    merged = conversation.with_defaults(_get_block_conversation(_get_context()))
    with use_context(_load_context().set_value(_CONVERSATION_KEY, merged)):
        yield


def _load_context() -> Any:
    """Return the module `opentelemetry.context` that this package uses."""
    return kept_modules.get(_CONTEXT) or import_module(_CONTEXT)


class use_context:  # noqa: N801 - read as a function
    """Makes a context OpenTelemetry's current one inside a `with` block."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        module = kept_modules.get(_CONTEXT) or _load_context()
        self._token = module.attach(self._context)

    def __exit__(self, *_: object) -> None:
        detach_context(self._token)


def detach_context(token: Any) -> None:
    """Undo `opentelemetry.context.attach`, silently where the token belongs to another context.

    `opentelemetry.context.detach` would log "Failed to detach context" then.
    """
    variable = getattr(token, "var", None)
    if variable is None:
        _load_context().detach(token)  # of a runtime context that is not built on contextvars
        return
    try:
        variable.reset(token)
    except ValueError:
        # The block was left in another context than it was entered in, for example by a generator
        # that the event loop finished at its shutdown. That context never saw the value.
        pass


def collect_metadata(conversation: Conversation) -> dict[str, Any]:
    """Return the metadata of an event: the extras, and the ids that are set."""
    ids = {
        "user_id": conversation.user_id,
        "organization_id": conversation.organization_id,
        "session_id": conversation.session_id,
        "chat_id": conversation.chat_id,
    }
    return {
        **conversation.extra,
        **{name: value for name, value in ids.items() if value is not None},
    }
