"""The conversation ids in requests to LLM APIs. Each table has one row for each location."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple
from urllib.parse import unquote

from lupis_instrument._llm.api.field_paths import read_path

if TYPE_CHECKING:
    from lupis_instrument._llm.api.field_paths import FieldPath

# Members with the id of a conversation that the provider stores.
_CONVERSATION_MEMBERS: tuple[FieldPath, ...] = (
    ("conversation",),  # OpenAI Responses, the id alone
    ("conversation", "id"),
    ("thread_id",),  # OpenAI assistants
    ("container",),  # Anthropic
    ("container", "id"),
    ("sessionId",),  # Bedrock agents and knowledge bases
)
_CONVERSATION_PATHS = tuple(
    re.compile(pattern)
    for pattern in (
        r"/threads/([^/?]+)/",  # OpenAI assistants
        r"/conversations/([^/?]+)",  # OpenAI, Mistral
        r"/agentAliases/[^/?]+/sessions/([^/?]+)/text",  # Bedrock agents
    )
)
# Members with the id of the answer that this call continues.
_ANSWER_MEMBERS: tuple[FieldPath, ...] = (
    ("previous_response_id",),  # OpenAI Responses
    ("previous_interaction_id",),  # Gemini interactions
)
CONTINUED_APIS = frozenset(("openai.responses", "gemini.interactions"))
"""The APIs whose answers a later call may continue by their ids."""
# Members that the caller fills freely, maybe with a name or an e-mail address.
_CALLER_MEMBERS: tuple[FieldPath, ...] = (
    ("conversation_id",),  # Cohere v1
    ("session_id",),  # OpenRouter
)
_MAX_ID_LENGTH = 256


class RequestIds(NamedTuple):
    """The ids in a request that identify its conversation.

    Attributes:
        conversation: the id under which the provider stores the conversation.
        previous_answer: the provider's id of the answer that this call continues.
        caller: the caller's own id of the conversation. It may hold personal data, so only a
            fingerprint of it may leave the process.
    """

    conversation: str | None = None
    previous_answer: str | None = None
    caller: str | None = None


def read_ids(path: str, request: Mapping[str, Any]) -> RequestIds:
    """Return the ids in a request's path and in the members of its body."""
    return RequestIds(
        _find_member(request, _CONVERSATION_MEMBERS) or _find_in_path(path),
        _find_member(request, _ANSWER_MEMBERS),
        _find_member(request, _CALLER_MEMBERS),
    )


def _find_member(request: Mapping[str, Any], members: tuple[FieldPath, ...]) -> str | None:
    """Return the first of the members that is an id: a string that is not too long."""
    for path in members:
        value = read_path(request, path) if path[0] in request else None
        if isinstance(value, str) and 0 < len(value) <= _MAX_ID_LENGTH:
            return value
    return None


def _find_in_path(path: str) -> str | None:
    for pattern in _CONVERSATION_PATHS:
        match = pattern.search(path)
        if match:
            return unquote(match.group(1))[:_MAX_ID_LENGTH]
    return None
