"""Fourth stage: which conversation an LLM call belongs to where nobody has said so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lupis_instrument import _semconv
from lupis_instrument._tracing.http_call import parse_url
from lupis_instrument._tracing.stages.chat_id import stamp

if TYPE_CHECKING:
    from lupis_instrument._llm.conversation.conversations import Conversations
    from lupis_instrument._tracing.draft import Draft

_FIRST_ERROR_STATUS = 400


class Derive:
    """Names the conversations of LLM calls that have no chat id."""

    def __init__(self, conversations: Conversations) -> None:
        """Name by what `conversations` has seen."""
        self._conversations = conversations

    def __call__(self, draft: Draft) -> Draft:
        """Return the draft with the chat id that its request tells."""
        http_call = draft.record.http_call
        facts = draft.facts
        if http_call is None or http_call.endpoint is None or facts is None:
            return draft
        if _semconv.LUPIS_CHAT_ID in draft.attributes:
            return draft
        conversation = self._conversations.identify_call(
            http_call.endpoint,
            parse_url(http_call.url).path,
            draft.asked,
            facts,
            answered=_is_answered(draft),
        )
        if conversation is not None:
            stamp(draft, conversation.chat_id, conversation.source)
        return draft


def _is_answered(draft: Draft) -> bool:
    status = draft.attributes.get(_semconv.HTTP_RESPONSE_STATUS_CODE)
    failed = _semconv.ERROR_TYPE in draft.attributes
    return isinstance(status, int) and status < _FIRST_ERROR_STATUS and not failed
