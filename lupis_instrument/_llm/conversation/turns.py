"""The turns of a conversation in a request, and hashes by which they are recognised later.

Chat APIs are stateless: each call repeats all earlier turns. The APIs name the same things
differently, so this module reads them in one common form.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Mapping, Sequence

from lupis_instrument._llm.api.field_paths import find_value
from lupis_instrument._llm.conversation.long_texts import RequestMembers, restore_long_texts

if TYPE_CHECKING:
    from typing import Iterable

    from lupis_instrument._llm.api.field_paths import FieldPath
    from lupis_instrument._llm.conversation.long_texts import LongTexts

CHAT_OPERATIONS = frozenset(("chat", "text_completion", "generate_content", "invoke_agent"))
"""Operations that are part of a conversation, unlike embeddings, rankings, images and counts."""

# Members with the system prompt.
_SYSTEM: tuple[FieldPath, ...] = (
    ("system",),  # Anthropic, Bedrock Converse, Ollama
    ("instructions",),  # OpenAI Responses, Mistral conversations
    ("systemInstruction",),  # Gemini, in the API's spelling
    ("system_instruction",),  # Gemini, in the spelling of its libraries
    ("preamble",),  # Cohere v1
    ("input", "system_prompt"),  # Replicate
)
# Members with the turns. A row of two paths has the list of earlier turns and the new turn.
_TURNS: tuple[tuple[FieldPath, ...], ...] = (
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
# The member of a turn that holds its content; the first that is there counts.
_CONTENT = ("content", "parts", "message", "text")
# Members of a response with the answer, which the next call repeats as a turn.
_ANSWERS: tuple[FieldPath, ...] = (
    ("message",),  # Ollama, Cohere v2, and an element of `choices`
    ("content",),  # Anthropic, and an element of `candidates`
    ("output", "message"),  # Bedrock Converse
)
_ANSWER_LISTS = ("choices", "candidates")  # OpenAI, Gemini
_OTHER_ROLES = frozenset(("system", "developer", "assistant", "model", "chatbot"))
# Programs move or drop these members between calls of one conversation, so hashes ignore them:
# markers for the provider's prompt cache, and members with their default value.
_CACHE_MARKERS = frozenset(("cache_control", "cachePoint"))
_DEFAULTS = {"type": "message"}
_TEXT_TYPES = (None, "text", "input_text", "output_text")
_SIMPLE_TURN = 2  # members of a turn that has only a role and a content
_write_json = json.JSONEncoder(sort_keys=True).encode
_MAX_END = 8
"""Turns at each end of a long list that its hash covers."""


class Turns:
    """The turns of one request.

    Attributes:
        length: the number of turns.
        opening_length: the number of turns up to the user's first turn, which is included.
    """

    __slots__ = (
        "_hashes",
        "_list_hashes",
        "_long_texts",
        "_system",
        "_turns",
        "length",
        "opening_length",
    )

    def __init__(
        self, system: Any, turns: Sequence[Any], long_texts: LongTexts | None = None
    ) -> None:
        """Hold the system prompt and the turns of a request.

        They contain message text, so nothing may keep this object after the call.

        Args:
            system: the system prompt.
            turns: the turns. A long list parses a turn when it is used.
            long_texts: the texts in both that stand-ins replace.
        """
        self._long_texts = long_texts or {}
        self._system = system
        self._turns = turns
        self.length = len(turns)
        self._hashes: list[int | None] = [None] * (len(turns) + 1)
        self._list_hashes: dict[int, int] = {}
        user_turns = (number for number, turn in enumerate(turns, 1) if _is_user_turn(turn))
        self.opening_length = next(user_turns, len(turns))

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def is_opening(self) -> bool:
        """Whether the list ends with the user's first turn: the model has not answered yet."""
        return len(self) == self.opening_length

    def hash_turns(self, length: int) -> int:
        """Return a hash of the system prompt and the first `length` turns.

        For a long list it covers the length and the turns at both ends. They are enough to tell
        lists apart, and hashing all turns would slow down long conversations.
        """
        known = self._list_hashes.get(length)
        if known is None:
            if length <= 2 * _MAX_END:
                known = hash(tuple(map(self._hash_turn, range(length + 1))))
            else:
                known = hash((length, *map(self._hash_turn, _list_ends(length))))
            self._list_hashes[length] = known
        return known

    def _hash_turn(self, number: int) -> int:
        """Return a hash of a turn, counted from 1; number 0 is the system prompt."""
        turn_hash = self._hashes[number]
        if turn_hash is None:
            if number:
                turn_hash = _hash_turn(self._turns[number - 1])
            else:
                turn_hash = hash(_freeze_value(self._system))
            self._hashes[number] = turn_hash
        return turn_hash

    def hash_answer(self, length: int) -> int | None:
        """Return a hash of the answer to the first `length` turns: the turn that follows them."""
        return _hash_content(self._turns[length])

    def write_opening(self) -> Iterable[bytes | memoryview]:
        """Return the system prompt and the turns of the opening, in the same form for all APIs.

        The chat ids of derived conversations are fingerprints of it, so its form must not change.
        """
        parts = [_normalize_value(self._system)]
        parts += map(_normalize_turn, self._turns[: self.opening_length])
        return self._write_json(parts)

    def write_ends(self, names: Sequence[str | None]) -> Iterable[bytes | memoryview]:
        """Return the system prompt and the turns, of a long list those that `hash_turns` covers.

        Args:
            names: texts that come first, such as the model.
        """
        length = len(self)
        numbers = range(length + 1) if length <= 2 * _MAX_END else _list_ends(length)
        turns = (_normalize_turn(self._turns[number - 1]) for number in numbers if number)
        return self._write_json([*names, length, _normalize_value(self._system), *turns])

    def _write_json(self, parts: list[Any]) -> Iterable[bytes | memoryview]:
        text = _write_json(parts).encode()
        return restore_long_texts(text, self._long_texts) if self._long_texts else (text,)


def _list_ends(length: int) -> Sequence[int]:
    """Return the numbers of the turns at both ends of a long list, after 0, the system prompt."""
    return (*range(_MAX_END + 1), *range(length + 1 - _MAX_END, length + 1))


def hash_answer(body: Mapping[str, Any]) -> int | None:
    """Return a hash of the answer in a response's body; None if there is no whole answer.

    It equals the hash of the turn that repeats the answer in the next call: `Turns.hash_answer`.
    """
    for name in _ANSWER_LISTS:
        answers = body.get(name)
        if isinstance(answers, list) and answers and isinstance(answers[0], dict):
            body = answers[0]
    return _hash_content(find_value(body, _ANSWERS))


def _hash_content(answer: Any) -> int | None:
    if isinstance(answer, dict):
        name = _find_content(answer) or "tool_calls"
        answer = answer.get(name)
    return hash(_freeze_value(answer)) if answer else None


def read_turns(request: Mapping[str, Any]) -> Turns | None:
    """Return the turns in the members of a request's body, or None if there are none."""
    for row in _TURNS:
        turns = _collect_turns(request, row) if row[-1][0] in request else None
        if turns:
            long_texts = request.long_texts if isinstance(request, RequestMembers) else None
            return Turns(find_value(request, _SYSTEM), turns, long_texts)
    return None


def _collect_turns(request: Mapping[str, Any], row: tuple[FieldPath, ...]) -> Sequence[Any]:
    """Return the turns at the paths of `row`; none if the last path has no value."""
    values = [find_value(request, (path,)) for path in row]
    if not values[-1]:
        return []
    lists = [value if _is_list(value) else [value] for value in values if value]
    return lists[0] if len(lists) == 1 else [turn for turns in lists for turn in turns]


def _is_list(value: Any) -> bool:
    """Return whether a value of a request is a list, maybe one that parses its turns later."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_user_turn(turn: Any) -> bool:
    role = turn.get("role") if isinstance(turn, dict) else None
    return not isinstance(role, str) or role.lower() not in _OTHER_ROLES


# Hashes of turns stay in this process, so Python's own hash serves: it is fast, and keyed anew in
# each process. Chat ids leave the process: they are made from `Turns.write_opening` with HMAC.


def _hash_turn(turn: Any) -> int:
    if isinstance(turn, str):
        return hash(("user", turn))
    if not isinstance(turn, dict):
        return hash(_freeze_value(turn))
    if len(turn) == _SIMPLE_TURN:  # a shortcut for most turns
        role, text = turn.get("role"), _read_simple_text(turn.get("content") or turn.get("parts"))
        if text is not None and type(role) is str:
            return hash((role, text))
    return _hash_complex_turn(turn)


def _read_simple_text(content: Any) -> str | None:
    """Return `content` if it is a string, or the text of its only block; else None."""
    if type(content) is list and len(content) == 1:
        block = content[0]
        if type(block) is dict and len(block) - (block.get("type") == "text") == 1:
            content = block.get("text")
    return content if type(content) is str else None


def _hash_complex_turn(turn: Mapping[str, Any]) -> int:
    name = _find_content(turn)
    role = turn.get("role")
    if name == "message" and isinstance(role, str):
        role = role.lower()  # Cohere v1 has roles in capitals, and none in the newest turn
    others = [
        (key, _freeze_value(value))
        for key, value in sorted(turn.items())
        if value is not None
        and key not in (name, "role")
        and key not in _CACHE_MARKERS
        and _DEFAULTS.get(key) != value
    ]
    content = turn.get(name) if name is not None else None
    return hash((_freeze_value(role), _freeze_value(content), *others))


def _find_content(turn: Mapping[str, Any]) -> str | None:
    """Return the name of the member with the content of a turn."""
    return next((name for name in _CONTENT if turn.get(name)), None)


def _freeze_value(value: Any) -> Any:
    """Return a JSON value in a form that can be hashed.

    A text equals a block of that text, and a list of one element equals the element: programs
    and libraries write the same turn in either form.
    """
    if type(value) is list:
        items = [_freeze_value(item) for item in value if not _is_cache_marker(item)]
        return items[0] if len(items) == 1 else tuple(items)
    if type(value) is not dict:
        return value
    text = _read_text_block(value)
    if text is not None:
        return text
    return tuple(
        (key, _freeze_value(value[key])) for key in sorted(value) if key not in _CACHE_MARKERS
    )


def _is_cache_marker(item: Any) -> bool:
    return type(item) is dict and len(item) == 1 and not _CACHE_MARKERS.isdisjoint(item)


def _read_text_block(block: dict[str, Any]) -> str | None:
    """Return the text of a block that has only a text; else None."""
    text = block.get("text")
    if type(text) is not str or block.get("type") not in _TEXT_TYPES:
        return None
    others = (key for key in block if key not in ("text", "type") and key not in _CACHE_MARKERS)
    return text if next(others, None) is None else None


def _normalize_turn(turn: Any) -> Any:
    return ["user", turn] if isinstance(turn, str) else _normalize_value(turn)


def _normalize_value(value: Any) -> Any:
    """Return a JSON value in the form that is the same for all APIs."""
    if isinstance(value, list):
        items = [_normalize_value(item) for item in value if not _is_cache_marker(item)]
        return items[0] if len(items) == 1 else items
    if not isinstance(value, dict):
        return value
    text = _read_text_block(value)
    if text is not None:
        return text
    name = _find_content(value)
    role = value.get("role")
    if isinstance(role, str) and name is not None:
        return [role.lower(), _normalize_value(value[name])]
    return {
        key: _normalize_value(member) for key, member in value.items() if key not in _CACHE_MARKERS
    }
