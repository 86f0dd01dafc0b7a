"""What one exchange says about itself, gathered from its JSON values one by one."""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping, NamedTuple, Tuple

from lupis_instrument._llm.usage import ROOT_COUNTS, Usage, read_root_counts, read_usage

Path = Tuple[str, ...]


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
    error_type: str | None = None
    """The provider's own word for what went wrong, such as ``rate_limit_exceeded``."""


def _paths(*dotted: str) -> tuple[Path, ...]:
    return tuple(tuple(path.split(".")) for path in dotted)


# Where each fact stands, over all APIs. Only these places are looked at, so that a `usage` or
# `model` in message content, tool arguments or metadata of the caller's own means nothing.
_MODEL = _paths(
    "model", "modelVersion", "response.model", "message.model", "model_id", "interaction.model",
    "response.modelVersion", "trace.model",
)  # fmt: skip
_ID = _paths(
    "id", "response.id", "message.id", "responseId", "interaction.id", "generation_id",
    "response.generation_id", "response.responseId", "response_id",
)  # fmt: skip
_TIER = _paths(
    "service_tier", "response.service_tier", "message.usage.service_tier", "usage.service_tier",
    "usageMetadata.serviceTier", "serviceTier.type", "interaction.service_tier",
    "usageMetadata.trafficType",
)  # fmt: skip
_FINISH = _paths(
    "stop_reason", "delta.stop_reason", "stopReason", "messageStop.stopReason", "done_reason",
    "finish_reason", "delta.finish_reason", "completionReason", "response.finish_reason",
    "response.incomplete_details.reason", "incomplete_details.reason",
    "details.finish_reason",
)  # fmt: skip
# Lists of answers, each with its own reason; an element's `index` tells them apart in a stream.
_FINISH_LISTS = (
    ("choices", _paths("finish_reason")),
    ("candidates", _paths("finishReason")),
    ("results", _paths("completionReason", "stop_reason")),
    ("outputs", _paths("stop_reason")),
    ("generations", _paths("finish_reason")),
    ("completions", _paths("finish_reason")),
)
_USAGE = _paths(
    "usage", "message.usage", "response.usage", "delta.usage", "usageMetadata", "x_groq.usage",
    "response.usageMetadata", "meta", "response.meta", "interaction.usage", "metadata.usage",
    "metrics", "details",
)  # fmt: skip
_METRICS = _paths("amazon-bedrock-invocationMetrics")
_ERRORS = _paths("error", "response.error", "detail.error")
# Within an error, the most telling word first; at the root only what can't be mistaken.
_ERROR_WORDS = _paths("code", "type", "status")
_ROOT_ERROR_WORDS = _paths("__type", "error_type", "type", "code")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.:\-]{0,63}")
# A run's steps report their own usage in the run's stream; the run itself reports the sum.
_PARTIAL_OBJECTS = frozenset(("thread.run.step", "thread.run.step.delta"))
_MOST_CHOICES = 128
_MOST_TEXT = 256

_ALL = (
    _MODEL + _ID + _TIER + _FINISH + _USAGE + _METRICS + ROOT_COUNTS
    + tuple(error + word for error in _ERRORS for word in _ERROR_WORDS) + _ROOT_ERROR_WORDS
    + tuple((name, *path) for name, paths in _FINISH_LISTS for path in paths)
)  # fmt: skip
WORDS: frozenset[str] = frozenset(word for path in _ALL for word in path) | {"index", "object"}
"""Every member name on the way to a fact: all that a skim of a large body has to keep."""
WHOLE: frozenset[str] = frozenset(path[-1] for path in _USAGE + _METRICS)
"""Members whose value is kept whole, whatever its own members are called."""


class Gathering:
    """Facts of one response, the later value laid over the earlier."""

    __slots__ = ("_finish", "_metrics", "_root", "_usage", "error_type", "id", "model", "tier")

    def __init__(self) -> None:
        self.model: str | None = None
        self.id: str | None = None
        self.tier: str | None = None
        self.error_type: str | None = None
        self._finish: dict[int, str] = {}
        self._usage: dict[str, Any] = {}
        self._metrics: dict[str, Any] = {}
        self._root: dict[str, int] = {}

    def take(self, value: Any) -> None:
        """Take in one JSON value: a body, an element of an array, or an event's data."""
        if not isinstance(value, dict):
            return
        self.model = _find_text(value, _MODEL) or self.model
        self.id = self.id or _find_text(value, _ID)
        self.tier = _find_text(value, _TIER) or self.tier
        self.error_type = find_error(value) or self.error_type
        self._take_finish(value)
        if value.get("object") not in _PARTIAL_OBJECTS:
            self._take_usage(value)

    def _take_usage(self, value: Mapping[str, Any]) -> None:
        for path in _USAGE:
            _merge(self._usage, value_at(value, path))
        for path in _METRICS:
            _merge(self._metrics, value_at(value, path))
        read_root_counts(value, self._root)

    def _take_finish(self, value: Mapping[str, Any]) -> None:
        reason = _find_text(value, _FINISH)
        if reason:
            self._finish[0] = reason
        for name, paths in _FINISH_LISTS:
            rows = value.get(name)
            for place, row in enumerate(rows[:_MOST_CHOICES] if isinstance(rows, list) else ()):
                self._take_choice(place, row, paths)

    def _take_choice(self, place: int, row: Any, paths: tuple[Path, ...]) -> None:
        reason = _find_text(row, paths)
        index = row.get("index", place) if reason else None
        if reason and type(index) is int and 0 <= index < _MOST_CHOICES:
            self._finish[index] = reason

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        """The reasons in the order of the answers' indexes."""
        return tuple(self._finish[index] for index in sorted(self._finish))

    def usage(self, fallback: Mapping[str, Any]) -> Usage | None:
        """The usage reported by the provider, else by its host, else `fallback`."""
        for report in (self._usage, self._root, self._metrics, fallback):
            usage = read_usage(report)
            if usage is not None:
                return usage
        return None


def find_error(value: Mapping[str, Any]) -> str | None:
    """The provider's word for an error in `value`; never its message.

    An error event of a stream has ``"type": "error"`` itself, which says nothing, so that its
    `error` member is asked first.
    """
    for path in _ERRORS:
        error = value_at(value, path)
        if isinstance(error, dict):
            return _find_identifier(error, _ERROR_WORDS) or "error"
        if isinstance(error, str) and error:
            return error if _IDENTIFIER.fullmatch(error) else "error"
    if "message" in value and ("__type" in value or "error_type" in value):
        return _find_identifier(value, _ROOT_ERROR_WORDS)
    if value.get("object") == "error" or value.get("type") == "error":
        return _find_identifier(value, (("type",), ("code",)))
    return None


def _find_identifier(value: Mapping[str, Any], paths: Iterable[Path]) -> str | None:
    for path in paths:
        word = value_at(value, path)
        if isinstance(word, str):
            word = word.rpartition("#")[2]  # AWS puts the service's name space before it
            if _IDENTIFIER.fullmatch(word):
                return word
    return None


def value_at(value: Any, path: Path) -> Any:
    """The value at `path` in nested objects; None where there is none."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _find_text(value: Any, paths: Iterable[Path]) -> str | None:
    for path in paths:
        text = value_at(value, path)
        if isinstance(text, str) and 0 < len(text) <= _MOST_TEXT:
            return text
    return None


def _merge(into: dict[str, Any], report: Any) -> None:
    if isinstance(report, dict):
        for name, member in report.items():
            if member is not None:
                into[name] = member
