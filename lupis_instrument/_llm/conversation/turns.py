"""The turns of a conversation as a request repeats them, and fingerprints of how they go on.

Every chat API sends all that was said so far with each call. What the APIs name differently is
brought to one form here, so that a call is known again by what it begins with.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Mapping

from lupis_instrument._llm.api.response_fields import value_at

if TYPE_CHECKING:
    from lupis_instrument._llm.api.dialects import Path

CONVERSING = frozenset(("chat", "text_completion", "generate_content", "invoke_agent"))
"""Operations that say something in a conversation; one embeds, ranks, draws or counts outside."""

# Where the text stands that the program gives the model before anybody speaks.
_SYSTEM: tuple[Path, ...] = (
    ("system",),  # Anthropic, Bedrock Converse, Ollama
    ("instructions",),  # OpenAI Responses, Mistral conversations
    ("systemInstruction",),  # Gemini, as the API spells it
    ("system_instruction",),  # and as its libraries do
    ("preamble",),  # Cohere v1
    ("input", "system_prompt"),  # Replicate
)
# Where the turns stand; a row of two paths is a list of earlier turns, and the one that is new.
_TURNS: tuple[tuple[Path, ...], ...] = (
    (("messages",),),  # OpenAI, Anthropic, Bedrock Converse, Mistral, Cohere v2, Ollama
    (("contents",),),  # Gemini
    (("chat_history",), ("message",)),  # Cohere v1
    (("input", "messages"),),  # DashScope
    (("thread", "messages"),),  # OpenAI assistants, a thread made with its run
    (("input", "prompt"),),  # Replicate, DashScope
    (("input",),),  # OpenAI Responses, Gemini interactions, watsonx
    (("inputs",),),  # Hugging Face, Mistral conversations, SageMaker
    (("prompt",),),  # completions, Bedrock's Llama and Mistral
    (("inputText",),),  # Bedrock's Titan
)
_CONTENT = ("content", "parts", "message", "text")
# Where an answer stands that the next call repeats as a turn; of several the first.
_ANSWERS: tuple[Path, ...] = (
    ("message",),  # Ollama, Cohere v2, and an element of `choices`
    ("content",),  # Anthropic, and an element of `candidates`
    ("output", "message"),  # Bedrock Converse
)
_ANSWER_LISTS = ("choices", "candidates")  # OpenAI, Gemini
_NO_USER = frozenset(("system", "developer", "assistant", "model", "chatbot"))
# What a program moves about or leaves out between calls that go on with the same conversation:
# marks of what to cache, and what says no more than its absence.
_UNTOLD = frozenset(("cache_control", "cachePoint"))
_DEFAULTS = {"type": "message"}
_TEXT_BLOCKS = (None, "text", "input_text", "output_text")
_PLAIN_TURN = 2  # members: a role, and what is said
_ENDS = 8
"""Turns of each end of a list that tell it from others."""


class Turns:
    """How the conversation of one request goes.

    Attributes:
        said: how many turns there are up to the first that is the user's.
    """

    __slots__ = ("_marks", "_system", "_turns", "said")

    def __init__(self, system: Any, turns: list[Any]) -> None:
        """Take what the program's system says, and what was said; neither is to be kept."""
        self._system = system
        self._turns = turns
        self._marks: list[int | None] = [None] * (len(turns) + 1)
        users = (place for place, turn in enumerate(turns, 1) if _is_users(turn))
        self.said = next(users, len(turns))

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was answered yet."""
        return len(self) == self.said

    def mark(self, length: int) -> int:
        """Return a fingerprint, of this process only, of the first `length` turns.

        Of a long list the turns at both ends count, and how many are between them.
        """
        if length <= 2 * _ENDS:
            return hash(tuple(map(self._mark, range(length + 1))))
        ends = (*range(_ENDS + 1), *range(length + 1 - _ENDS, length + 1))
        return hash((length, *map(self._mark, ends)))

    def _mark(self, place: int) -> int:
        """Return a fingerprint of the turn at `place`, counted from 1; at 0 is the system's."""
        mark = self._marks[place]
        if mark is None:
            mark = _mark_turn(self._turns[place - 1]) if place else hash(_fold(self._system))
            self._marks[place] = mark
        return mark

    def hash_answer(self, length: int) -> int | None:
        """Return a fingerprint of the answer that came after the first `length` turns."""
        return _mark_said(self._turns[length])

    def opening(self) -> bytes:
        """Return the system's text and the first thing that the user says, in one form for all.

        It is what a lasting fingerprint is made of.
        """
        parts = [_plain(self._system), *map(_plain_turn, self._turns[: self.said])]
        return json.dumps(parts, sort_keys=True).encode()


def hash_answer(body: Mapping[str, Any]) -> int | None:
    """Return a fingerprint of the answer in a response's body, as of the turn that repeats it."""
    for name in _ANSWER_LISTS:
        listed = body.get(name)
        if isinstance(listed, list) and listed and isinstance(listed[0], dict):
            body = listed[0]
    found = (value_at(body, path) for path in _ANSWERS)
    return next((_mark_said(answer) for answer in found if answer), None)


def _mark_said(answer: Any) -> int | None:
    if isinstance(answer, dict):
        name = _find_content(answer) or "tool_calls"
        answer = answer.get(name)
    return hash(_fold(answer)) if answer else None


def read_turns(asked: Mapping[str, Any]) -> Turns | None:
    """Return the turns that a request's members tell; None where they tell none."""
    turns = next(filter(None, (_collect(asked, row) for row in _TURNS)), None)
    system = next(filter(None, (value_at(asked, path) for path in _SYSTEM)), None)
    return Turns(system, turns) if turns is not None else None


def _collect(asked: Mapping[str, Any], row: tuple[Path, ...]) -> list[Any]:
    """Return the turns at the paths of `row`, the last of which there has to be."""
    found = [value_at(asked, path) for path in row]
    if not found[-1]:
        return []
    lists = [value if isinstance(value, list) else [value] for value in found if value]
    return lists[0] if len(lists) == 1 else [turn for turns in lists for turn in turns]


def _is_users(turn: Any) -> bool:
    role = turn.get("role") if isinstance(turn, dict) else None
    return not isinstance(role, str) or role.lower() not in _NO_USER


# Python's own hash of text is keyed anew in each process, fast, and good enough to tell lists
# apart that nobody makes up to collide; what leaves the process is made of `Turns.opening`.


def _mark_turn(turn: Any) -> int:
    if isinstance(turn, str):
        return hash(("user", turn))
    if not isinstance(turn, dict):
        return hash(_fold(turn))
    if len(turn) == _PLAIN_TURN:
        role, text = turn.get("role"), _find_text(turn.get("content") or turn.get("parts"))
        if text is not None and type(role) is str:
            return hash((role, text))
    return _mark_any_turn(turn)


def _find_text(content: Any) -> str | None:
    """Return the text that is all of `content`, where that is seen at a glance."""
    if type(content) is list and len(content) == 1:
        block = content[0]
        if type(block) is dict and len(block) - (block.get("type") == "text") == 1:
            content = block.get("text")
    return content if type(content) is str else None


def _mark_any_turn(turn: Mapping[str, Any]) -> int:
    name = _find_content(turn)
    role = turn.get("role")
    if name == "message" and isinstance(role, str):
        role = role.lower()  # Cohere v1 writes them in capitals, and the newest turn without any
    more = [
        (key, _fold(value))
        for key, value in sorted(turn.items())
        if value is not None
        and key not in (name, "role")
        and key not in _UNTOLD
        and _DEFAULTS.get(key) != value
    ]
    said = turn.get(name) if name is not None else None
    return hash((_fold(role), _fold(said), *more))


def _find_content(turn: Mapping[str, Any]) -> str | None:
    return next((name for name in _CONTENT if turn.get(name)), None)


def _fold(value: Any) -> Any:
    """Return JSON's `value` as what can be hashed; a text is as good as a list of that text."""
    if type(value) is list:
        folded = [_fold(item) for item in value if not _is_untold(item)]
        return folded[0] if len(folded) == 1 else tuple(folded)
    if type(value) is not dict:
        return value
    text = _only_text(value)
    if text is not None:
        return text
    return tuple((key, _fold(value[key])) for key in sorted(value) if key not in _UNTOLD)


def _is_untold(item: Any) -> bool:
    return type(item) is dict and len(item) == 1 and not _UNTOLD.isdisjoint(item)


def _only_text(block: dict[str, Any]) -> str | None:
    """Return the text of a block that has nothing else to it."""
    text = block.get("text")
    if type(text) is not str or block.get("type") not in _TEXT_BLOCKS:
        return None
    others = (key for key in block if key not in ("text", "type") and key not in _UNTOLD)
    return text if next(others, None) is None else None


def _plain_turn(turn: Any) -> Any:
    return ["user", turn] if isinstance(turn, str) else _plain(turn)


def _plain(value: Any) -> Any:
    """Return `value` in the form that all providers' are brought to."""
    if isinstance(value, list):
        items = [_plain(item) for item in value if not _is_untold(item)]
        return items[0] if len(items) == 1 else items
    if not isinstance(value, dict):
        return value
    text = _only_text(value)
    if text is not None:
        return text
    name = _find_content(value)
    role = value.get("role")
    if isinstance(role, str) and name is not None:
        return [role.lower(), _plain(value[name])]
    return {key: _plain(member) for key, member in value.items() if key not in _UNTOLD}
