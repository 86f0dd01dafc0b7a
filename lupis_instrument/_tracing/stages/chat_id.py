"""Second stage: which conversation a span belongs to, and whose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument import _semconv
from lupis_instrument._tracing.context import EMPTY, collect_metadata

if TYPE_CHECKING:
    from lupis_instrument._tracing.draft import Draft

_PLAIN = (str, bool, int, float)
_BITS = 64


def chat_id(draft: Draft) -> Draft:
    """Stamp the chat id and the metadata that were in force when the span began."""
    conversation = draft.record.conversation
    if conversation is EMPTY:
        return draft
    attributes = draft.attributes
    if conversation.chat_id is not None:
        stamp(draft, conversation.chat_id, conversation.source or "code")
    if conversation.user_id is not None:
        attributes.setdefault(_semconv.USER_ID, conversation.user_id)
    if conversation.session_id is not None:
        attributes.setdefault(_semconv.SESSION_ID, conversation.session_id)
    for name, value in collect_metadata(conversation).items():
        if name != "chat_id":
            attributes[f"{_semconv.LUPIS_METADATA}{name}"] = _plain(value)
    return draft


def stamp(draft: Draft, chat_id: str, source: str) -> None:
    """Say which conversation a span belongs to, and who says so."""
    draft.attributes[_semconv.LUPIS_CHAT_ID] = chat_id
    draft.attributes[_semconv.LUPIS_CHAT_SOURCE] = source
    draft.attributes.setdefault(_semconv.GEN_AI_CONVERSATION_ID, chat_id)


def _plain(value: Any) -> Any:
    """Return `value` as an attribute can hold it: OTLP's integers have 64 bits."""
    if isinstance(value, _PLAIN) and not (isinstance(value, int) and value.bit_length() >= _BITS):
        return value
    try:
        return repr(value)
    except Exception:  # the program's own __repr__
        return f"[{type(value).__name__}]"
