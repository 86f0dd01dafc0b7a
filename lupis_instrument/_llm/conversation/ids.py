"""The ids of conversations that requests to LLM APIs carry themselves: one row a place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple
from urllib.parse import unquote

from lupis_instrument._llm.api.response_fields import value_at

if TYPE_CHECKING:
    from typing import Sequence

    from lupis_instrument._llm.api.dialects import Path

# Members by which a provider keeps a conversation, made by it.
_KEPT: tuple[Path, ...] = (
    ("conversation",),  # OpenAI Responses, the id alone
    ("conversation", "id"),
    ("thread_id",),  # OpenAI assistants
    ("container",),  # Anthropic
    ("container", "id"),
    ("sessionId",),  # Bedrock agents and knowledge bases
)
_KEPT_IN_PATHS = tuple(
    re.compile(pattern)
    for pattern in (
        r"/threads/([^/?]+)/",  # OpenAI assistants
        r"/conversations/([^/?]+)",  # OpenAI, Mistral
        r"/agentAliases/[^/?]+/sessions/([^/?]+)/text",  # Bedrock agents
    )
)
# Members that hold the id of the answer that this call goes on from.
_CHAINED: tuple[Path, ...] = (
    ("previous_response_id",),  # OpenAI Responses
    ("previous_interaction_id",),  # Gemini interactions
)
# Members that the caller words as it likes, an address or a name maybe.
_WORDED: tuple[Path, ...] = (
    ("conversation_id",),  # Cohere v1
    ("session_id",),  # OpenRouter
)
_MOST_TEXT = 256


class CarriedIds(NamedTuple):
    """What a request says of the conversation it belongs to.

    Attributes:
        kept: the provider's id of it.
        previous: the provider's id of the answer before.
        worded: what the caller calls it; such a text does not leave as it is.
    """

    kept: str | None = None
    previous: str | None = None
    worded: str | None = None


def read_ids(path: str, asked: Mapping[str, Any]) -> CarriedIds:
    """Find the ids in a request's path and in the members of its body."""
    return CarriedIds(
        _find(asked, _KEPT) or _find_in_path(path),
        _find(asked, _CHAINED),
        _find(asked, _WORDED),
    )


def _find(asked: Mapping[str, Any], places: Sequence[Path]) -> str | None:
    found = (value_at(asked, path) for path in places)
    return next((text for text in found if _is_id(text)), None)


def _find_in_path(path: str) -> str | None:
    for pattern in _KEPT_IN_PATHS:
        match = pattern.search(path)
        if match:
            return unquote(match.group(1))[:_MOST_TEXT]
    return None


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MOST_TEXT
