"""The turns of a conversation as a request repeats them, and fingerprints of how they go on.

Every chat API sends all that was said so far with each call. What the APIs name differently is
brought to one form here, so that a call is known again by what it begins with.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple

from lupis_instrument._llm.places import value_at

if TYPE_CHECKING:
    from typing import Iterator

    from lupis_instrument._llm.dialects import Path

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
_UNSAID = frozenset(("system", "developer"))
# What a program moves about or leaves out between calls that go on with the same conversation:
# marks of what to cache, and what says no more than its absence.
_UNTOLD = frozenset(("cache_control", "cachePoint"))
_DEFAULTS = {"type": "message"}
_TEXT_BLOCKS = (None, "text", "input_text", "output_text")
_PLAIN_TURN = 2


class Turns(NamedTuple):
    """How the conversation of one request goes.

    Attributes:
        marks: a fingerprint, of this process only, of the system's text and of each turn.
        said: how many of them there are up to the first thing that anybody says.
        system: the system's text.
        turns: what is said; not for keeping.
    """

    marks: tuple[int, ...]
    said: int
    system: Any
    turns: list[Any]

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was answered yet."""
        return len(self.marks) == self.said

    def mark(self, length: int) -> int:
        """Return a fingerprint of the first `length` of them."""
        return hash(self.marks[:length])

    def mark_answer(self, length: int) -> int | None:
        """Return a fingerprint of the answer that came after the first `length` of them."""
        return _mark_said(self.turns[length - 1])

    def opening(self) -> bytes:
        """Return the system's text and the first thing said, in one form for all providers.

        It is what a lasting fingerprint is made of.
        """
        parts = [_plain(self.system), *map(_plain_turn, self.turns[: self.said - 1])]
        return json.dumps(parts, sort_keys=True).encode()


def mark_answer(body: Mapping[str, Any]) -> int | None:
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
    try:
        return hash(_fold(answer)) if answer else None
    except RecursionError:
        return None


def read_turns(asked: Mapping[str, Any]) -> Turns | None:
    """Return the turns that a request's members tell; None where they tell none."""
    try:
        turns = next(filter(None, (_collect(asked, row) for row in _TURNS)), None)
        return _mark_turns(asked, turns) if turns is not None else None
    except RecursionError:  # nested more deeply than any turn is
        return None


def _mark_turns(asked: Mapping[str, Any], turns: list[Any]) -> Turns:
    place = next((place for place, turn in enumerate(turns) if _is_said(turn)), len(turns) - 1)
    system = next(filter(None, (value_at(asked, path) for path in _SYSTEM)), None)
    marks = [
        # What most turns are, without a call for each.
        hash((turn["role"], turn["content"]))
        if type(turn) is dict
        and len(turn) == _PLAIN_TURN
        and type(turn.get("content")) is str
        and type(turn.get("role")) is str
        else _mark_turn(turn)
        for turn in turns
    ]
    return Turns((hash(_fold(system)), *marks), place + 2, system, turns)


def _collect(asked: Mapping[str, Any], row: tuple[Path, ...]) -> list[Any] | None:
    """Return the turns at the paths of `row`, the last of which there has to be."""
    found = [value_at(asked, path) for path in row]
    if not found[-1]:
        return None
    return [turn for value in found if value for turn in _listed(value)]


def _listed(value: Any) -> Iterator[Any]:
    return iter(value) if isinstance(value, list) else iter((value,))


def _is_said(turn: Any) -> bool:
    role = turn.get("role") if isinstance(turn, dict) else None
    return not isinstance(role, str) or role.lower() not in _UNSAID


# Python's own hash of text is keyed anew in each process, fast, and good enough to tell lists
# apart that nobody makes up to collide; what leaves the process is made of `Opening`.


def _mark_turn(turn: Any) -> int:
    if isinstance(turn, str):
        return hash(("user", turn))
    if not isinstance(turn, dict):
        return hash(_fold(turn))
    name = _find_content(turn)
    role = turn.get("role")
    more = [
        (key, _fold(value))
        for key, value in sorted(turn.items())
        if value is not None
        and key not in (name, "role")
        and key not in _UNTOLD
        and _DEFAULTS.get(key) != value
    ]
    said = (role.lower() if isinstance(role, str) else _fold(role), _fold(turn.get(name)))
    return hash((*said, *more))


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
