"""Adds the conversation of a span: the one that code or a request set, or a derived one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument import _semconv
from lupis_instrument._llm.conversation.conversations import DERIVED
from lupis_instrument._tracing.context import EMPTY, collect_metadata

if TYPE_CHECKING:
    from lupis_instrument._llm.conversation.conversations import Conversations
    from lupis_instrument._tracing.pipeline import Draft

_ATTRIBUTE_TYPES = (str, bool, int, float)
_MAX_INT_BITS = 64
"""Bits of an integer in OTLP, sign included."""
_FIRST_ERROR_STATUS = 400


def add_conversation(draft: Draft) -> Draft:
    """Add the chat id and the metadata of the time when the span began."""
    conversation = draft.state.conversation
    if conversation is EMPTY:
        return draft
    attributes = draft.attributes
    if conversation.chat_id is not None:
        _add_chat_id(draft, conversation.chat_id, conversation.source or "code")
        attributes.setdefault(_semconv.GEN_AI_CONVERSATION_ID, conversation.chat_id)
    if conversation.user_id is not None:
        attributes.setdefault(_semconv.USER_ID, conversation.user_id)
    if conversation.session_id is not None:
        attributes.setdefault(_semconv.SESSION_ID, conversation.session_id)
    for name, value in collect_metadata(conversation).items():
        if name != "chat_id":
            attributes[f"{_semconv.LUPIS_METADATA}{name}"] = _to_attribute(value)
    return draft


class DeriveChatId:
    """Derives the conversation of an LLM call that has no chat id, and hashes its request."""

    def __init__(self, conversations: Conversations, *, export: bool = False) -> None:
        """Create the stage.

        Args:
            conversations: the conversations seen so far.
            export: whether derived ids get the names of OpenTelemetry's conventions too.
        """
        self._conversations = conversations
        self._export = export

    def __call__(self, draft: Draft) -> Draft:
        """Add the chat id that the ids and messages lead to, and the request's fingerprint."""
        http_call = draft.state.http_call
        facts = draft.facts
        if http_call is None or http_call.endpoint is None or facts is None:
            return draft
        identity = self._conversations.identify_call(
            http_call.endpoint,
            http_call.path,
            draft.request,
            facts,
            answered=_is_answered(draft, http_call.status),
            named=_semconv.LUPIS_CHAT_ID in draft.attributes,
        )
        known = identity.conversation
        if known is not None:
            _add_chat_id(draft, known.chat_id, known.source)
            self._add_standard_names(draft, known.chat_id, known.source)
        if identity.fingerprint is not None:
            draft.attributes[_semconv.LUPIS_REQUEST_FINGERPRINT] = identity.fingerprint
        return draft

    def _add_standard_names(self, draft: Draft, chat_id: str, source: str) -> None:
        """Add OpenTelemetry's names of an id, unless it is derived: nobody else knows that one."""
        if self._export or source != DERIVED:
            draft.attributes.setdefault(_semconv.GEN_AI_CONVERSATION_ID, chat_id)
        if self._export and source == DERIVED:
            draft.attributes.setdefault(_semconv.SESSION_ID, chat_id)


def _add_chat_id(draft: Draft, chat_id: str, source: str) -> None:
    draft.attributes[_semconv.LUPIS_CHAT_ID] = chat_id
    draft.attributes[_semconv.LUPIS_CHAT_SOURCE] = source


def _to_attribute(value: Any) -> Any:
    """Return `value` as an attribute can hold it; OTLP's integers have 64 bits."""
    too_long = isinstance(value, int) and value.bit_length() >= _MAX_INT_BITS
    if isinstance(value, _ATTRIBUTE_TYPES) and not too_long:
        return value
    try:
        return repr(value)
    except Exception:  # the object's own __repr__ failed
        return f"[{type(value).__name__}]"


def _is_answered(draft: Draft, own_status: int | None) -> bool:
    """Return whether the call brought a response without an error."""
    status = draft.attributes.get(_semconv.HTTP_RESPONSE_STATUS_CODE, own_status)
    failed = _semconv.ERROR_TYPE in draft.attributes
    return isinstance(status, int) and status < _FIRST_ERROR_STATUS and not failed
