"""What one exchange says about itself, gathered from its JSON values one by one."""

from __future__ import annotations

import re
from typing import Any, Callable, Iterable, Mapping, NamedTuple

from lupis_instrument._llm.api.response_fields import (
    ERROR_WORDS,
    FINISH_LISTS,
    PLACES_BY_NAME,
    ROOT_ERROR_WORDS,
    value_at,
)
from lupis_instrument._llm.conversation.turns import hash_answer
from lupis_instrument._llm.usage.usage import Usage, read_root_counts, read_seconds, read_usage


class Facts(NamedTuple):
    """What is known of one LLM call; never message text, tool arguments or file contents."""

    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    stream: bool = False
    """Whether the response body is a stream of events."""
    service_tier: str | None = None
    speed: str | None = None
    """The provider's word for a mode that is quicker and dearer, such as Anthropic's ``fast``."""
    geography: str | None = None
    """The provider's word for where the model ran, such as Anthropic's ``us``."""
    waiting: bool = False
    """Whether the answer is still to come, with a later request."""
    stored: Usage | None = None
    """What is told by a request that is no use of its own: see `pending`."""
    error_type: str | None = None
    """The provider's own word for what went wrong, such as ``rate_limit_exceeded``."""
    ending: str | None = None
    """How the body ended by its own account: ``complete`` where its end mark came, ``error`` where
    its framing broke; a program that then closed it had read all there was."""
    conversation: str | None = None
    """The id by which the provider keeps the conversation that the answer belongs to."""
    answer_hash: int | None = None
    """A fingerprint, of this process only, of an answer that came in one piece."""


_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.:\-]{0,63}")
# A run's steps report their own usage in the run's stream; the run itself reports the sum.
_PARTIAL_OBJECTS = ("thread.run.step", "thread.run.step.delta")
# Of OpenAI's responses and runs, Gemini's interactions and Replicate's predictions.
_WAITING = frozenset(("queued", "in_progress", "requires_action", "starting", "processing"))
_MOST_CHOICES = 128
_MOST_TEXT = 256


class Gathering:
    """Facts of one response, the later value laid over the earlier."""

    __slots__ = (
        "_finish", "_metrics", "_root", "_usage", "answer_hash", "conversation", "duration",
        "error_type", "geography", "id", "model", "speed", "state", "tier",
    )  # fmt: skip

    def __init__(self) -> None:
        self.model: str | None = None
        self.id: str | None = None
        self.tier: str | None = None
        self.speed: str | None = None
        self.geography: str | None = None
        self.state: str | None = None
        self.duration: float | None = None
        """Seconds that the answer says something took: audio, where that was transcribed."""
        self.conversation: str | None = None
        self.answer_hash: int | None = None
        self.error_type: str | None = None
        self._finish: dict[int, str] = {}
        self._usage: dict[str, Any] = {}
        self._metrics: dict[str, Any] = {}
        self._root: dict[str, int] = {}

    def take(self, value: Any) -> None:
        """Take in one JSON value: a body, an element of an array, or an event's data."""
        if not value or not isinstance(value, dict):
            return
        whole = value.get("object") not in _PARTIAL_OBJECTS
        for name, member in value.items():
            for kind, path in PLACES_BY_NAME.get(name, ()):
                found = value_at(member, path)
                if found is not None and (whole or kind != "usage"):
                    _KEEP[kind](self, found)
            if name in FINISH_LISTS:
                self._keep_choices(member, FINISH_LISTS[name])
        read_root_counts(value, self._root)
        self.answer_hash = hash_answer(value)
        self.error_type = find_root_error(value) or self.error_type

    def _keep_model(self, found: Any) -> None:
        self.model = _read_name(found) or self.model

    def _keep_id(self, found: Any) -> None:
        self.id = self.id or _read_name(found)

    def _keep_tier(self, found: Any) -> None:
        self.tier = _read_word(found) or self.tier

    def _keep_speed(self, found: Any) -> None:
        self.speed = _read_word(found) or self.speed

    def _keep_geography(self, found: Any) -> None:
        self.geography = _read_word(found) or self.geography

    def _keep_state(self, found: Any) -> None:
        self.state = _read_word(found) or self.state

    def _keep_duration(self, found: Any) -> None:
        self.duration = read_seconds(found)

    def _keep_conversation(self, found: Any) -> None:
        self.conversation = _read_name(found) or self.conversation

    def _keep_error(self, found: Any) -> None:
        self.error_type = _read_error(found) or self.error_type

    def _keep_usage(self, found: Any) -> None:
        _merge(self._usage, found)

    def _keep_metrics(self, found: Any) -> None:
        _merge(self._metrics, found)

    def _keep_part(self, found: Any) -> None:
        """Add the usage of one model call among several of an agent's."""
        for name, count in found.items() if isinstance(found, dict) else ():
            if type(count) is int:
                self._usage[name] = self._usage.get(name, 0) + count

    def _keep_finish(self, found: Any, index: int = 0) -> None:
        reason = _read_word(found)
        if reason:
            self._finish[index] = reason

    def _keep_choices(self, rows: Any, names: tuple[str, ...]) -> None:
        for place, row in enumerate(rows[:_MOST_CHOICES] if isinstance(rows, list) else ()):
            if isinstance(row, dict):
                index = row.get("index", place)
                index = index if type(index) is int and 0 <= index < _MOST_CHOICES else place
                for name in names:
                    self._keep_finish(row.get(name), index)
                self._keep_usage(row.get("usage"))  # Moonshot's streams report here

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        """The reasons in the order of the answers' indexes."""
        return tuple(self._finish[index] for index in sorted(self._finish))

    @property
    def waiting(self) -> bool:
        """Whether the answer is not there yet."""
        return self.state in _WAITING

    def usage(self) -> Usage | None:
        """The usage reported by the provider, else by its host."""
        for report in (self._usage, self._root, self._metrics):
            usage = read_usage(report)
            if usage is not None:
                return usage
        return None


_KEEP: dict[str, Callable[[Gathering, Any], None]] = {
    "model": Gathering._keep_model,
    "id": Gathering._keep_id,
    "tier": Gathering._keep_tier,
    "speed": Gathering._keep_speed,
    "geography": Gathering._keep_geography,
    "state": Gathering._keep_state,
    "duration": Gathering._keep_duration,
    "conversation": Gathering._keep_conversation,
    "finish": Gathering._keep_finish,
    "usage": Gathering._keep_usage,
    "metrics": Gathering._keep_metrics,
    "part": Gathering._keep_part,
    "error": Gathering._keep_error,
}


def find_root_error(value: Mapping[str, Any]) -> str | None:
    """The provider's word for an error that is all there is in `value`; never its message."""
    if "__type" in value or "error_type" in value or value.get("object") == "error":
        return _find_word(value, ROOT_ERROR_WORDS)
    return None


def _read_error(error: Any) -> str | None:
    if isinstance(error, dict):
        return _find_word(error, ERROR_WORDS) or "error"
    if isinstance(error, str) and error:
        return _read_word(error) or "error"
    return None


def _find_word(value: Mapping[str, Any], names: Iterable[str]) -> str | None:
    words = (_read_word(value.get(name)) for name in names)
    return next((word for word in words if word), None)


def _read_word(text: Any) -> str | None:
    """A provider's word, without the name space that AWS puts before it; None for free text."""
    if not isinstance(text, str):
        return None
    word = text[-_MOST_TEXT:].rpartition("#")[2]
    return word if _IDENTIFIER.fullmatch(word) else None


def _read_name(text: Any) -> str | None:
    return text if isinstance(text, str) and 0 < len(text) <= _MOST_TEXT else None


def _merge(into: dict[str, Any], report: Any) -> None:
    if isinstance(report, dict):
        into.update((name, member) for name, member in report.items() if member is not None)
