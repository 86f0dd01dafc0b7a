"""Collects the facts of one LLM call from the JSON values of its response."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, Callable, Iterable, Mapping, NamedTuple

from lupis_instrument._llm.api.bills import BILL_NAMES
from lupis_instrument._llm.api.field_paths import parse_seconds, read_path
from lupis_instrument._llm.api.response_fields import (
    ERROR_FIELDS,
    FIELDS_BY_ROOT,
    FINISH_REASON_LISTS,
    ROOT_ERROR_FIELDS,
    TOOL_CALL_MEMBERS,
    TOOL_CALL_OBJECTS,
    TOOL_CALL_TYPES,
)
from lupis_instrument._llm.conversation.turns import hash_answer
from lupis_instrument._llm.usage.report import read_root_counts, read_usage
from lupis_instrument._llm.usage.stated_cost import read_stated_cost
from lupis_instrument._llm.usage.usage import Usage


class Facts(NamedTuple):
    """The facts of one LLM call; never message text, tool arguments or file contents.

    Attributes:
        request_model: the model that the request names.
        response_model: the model that the response names.
        response_id: the provider's id of the response.
        job_id: the id by which a request asks for the answer of an earlier one, if that is not the
            id of the response.
        finish_reasons: the provider's finish reasons, one for each answer.
        usage: the tokens that count for this call.
        stream: whether the response body is a stream of events.
        service_tier: the provider's word for the service tier.
        speed: the provider's word for a faster and dearer mode, such as Anthropic's ``fast``.
        geography: the provider's word for where the model ran, such as Anthropic's ``us``.
        waiting: whether a later request will bring the answer.
        stored_usage: the tokens of a stored answer that this request reads; `BackgroundJobs`
            decides whether they count.
        error_type: the provider's word for the error, such as ``rate_limit_exceeded``.
        body_outcome: ``complete`` if the body's end mark came, ``error`` if its framing is broken,
            None if neither is known. If the program closes a body after its end mark, it has read
            all of it.
        conversation_id: the provider's id of the conversation that the answer belongs to.
        answer_hash: a hash, valid in this process only, of an answer that came as one JSON value.
        called_tools: the names of the tools that the model calls, in order; never the arguments.
        offered_tools: the names of the tools that the request offers.
        tool_count: the number of the tools that the request offers; None for none.
        message_count: the number of the messages in the request; None if it has no list.
        parameters: the request's parameters by their names in `REQUEST_FIELDS`.
    """

    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    stream: bool = False
    service_tier: str | None = None
    speed: str | None = None
    geography: str | None = None
    waiting: bool = False
    stored_usage: Usage | None = None
    error_type: str | None = None
    body_outcome: str | None = None
    conversation_id: str | None = None
    answer_hash: int | None = None
    job_id: str | None = None
    called_tools: tuple[str, ...] = ()
    offered_tools: tuple[str, ...] = ()
    tool_count: int | None = None
    message_count: int | None = None
    parameters: Mapping[str, Any] = MappingProxyType({})


NO_WORD = "error"
"""The type of an error for which the provider has no word."""
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.:\-]{0,63}")
_MAX_CODE = 12
_CODE = re.compile(r"-?[1-9][0-9]{0,9}")
# The steps of a run report their own usage in the run's stream; the run itself reports the sum.
_PARTIAL_OBJECTS = ("thread.run.step", "thread.run.step.delta")
# States of OpenAI's responses and runs, Gemini's interactions, Replicate's predictions, and
# Perplexity's asynchronous chats.
_WAITING_STATES = frozenset(
    ("queued", "in_progress", "requires_action", "starting", "processing", "created", "pending"),
)  # fmt: skip
# Amazon bills by its own counts, and Cohere's models beside them report the counts of Cohere.
_HOST_COUNTED = "billed_units"
_MAX_CHOICES = 128
RESPONSE_OBJECT = "response"
"""The member `object` of an answer of OpenAI's Responses API."""
MAX_TOOLS = 64
"""Names of tools that are kept of one request or response."""
_MAX_TOOL_DEPTH = 8
_TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/\-]{0,127}")
_MAX_TEXT = 256


class ResponseFacts:
    """Facts of one response, collected from one JSON value after the other.

    A later value replaces an earlier one, except for the id. Reports of usage are merged member by
    member, because some streams report input with the first event and output with the last.

    Attributes:
        duration: the length in seconds of the audio that was transcribed.
        job: the id by which a later request asks for the answer, if the answer has another id.
        state: the provider's word for the state of a background job.
        tools: the names of the tools that the model calls, by the ids of the calls.
        is_openai_response: whether the answer is an object of OpenAI's Responses API.
    """

    __slots__ = (
        "_charges", "_finish_reasons", "_metrics", "_root_counts", "_usage",
        "answer_hash", "conversation_id", "duration", "error_type", "geography", "id",
        "is_openai_response", "job", "model", "speed", "state", "tier", "tools",
    )  # fmt: skip

    def __init__(self) -> None:
        self.model: str | None = None
        self.id: str | None = None
        self.tier: str | None = None
        self.speed: str | None = None
        self.geography: str | None = None
        self.state: str | None = None
        self.job: str | None = None
        self.duration: float | None = None
        self.conversation_id: str | None = None
        self.answer_hash: int | None = None
        self.error_type: str | None = None
        self._finish_reasons: dict[int, str] = {}
        self._usage: dict[str, Any] = {}
        self._metrics: dict[str, Any] = {}
        self._charges: dict[str, Any] = {}
        self._root_counts: dict[str, int] = {}
        self.tools: dict[Any, str] = {}
        self.is_openai_response = False

    def add_value(self, value: Any) -> None:
        """Add the facts of one JSON value: a body, an element of an array, or an event's data."""
        if not value or not isinstance(value, dict):
            return
        is_partial = value.get("object") in _PARTIAL_OBJECTS
        for name, member in value.items():
            for kind, path in FIELDS_BY_ROOT.get(name, ()):
                field = read_path(member, path) if path else member
                if field is not None and not (is_partial and kind == "usage"):
                    _KEEPERS[kind](self, field)
            if name in FINISH_REASON_LISTS:
                self._keep_choices(member, FINISH_REASON_LISTS[name])
            if name in TOOL_CALL_MEMBERS:
                self._keep_tools(member, 0)
        if RESPONSE_OBJECT in (value.get("object"), read_path(value, ("response", "object"))):
            self.is_openai_response = True
        read_root_counts(value, self._root_counts)
        self.answer_hash = hash_answer(value)
        self.error_type = _find_root_error(value) or self.error_type

    def _keep_model(self, value: Any) -> None:
        self.model = _read_name(value) or self.model

    def _keep_id(self, value: Any) -> None:
        self.id = self.id or _read_name(value)

    def _keep_tier(self, value: Any) -> None:
        self.tier = _read_word(value) or self.tier

    def _keep_speed(self, value: Any) -> None:
        self.speed = _read_word(value) or self.speed

    def _keep_geography(self, value: Any) -> None:
        self.geography = _read_word(value) or self.geography

    def _keep_state(self, value: Any) -> None:
        self.state = _read_word(value) or self.state

    def _keep_duration(self, value: Any) -> None:
        self.duration = parse_seconds(value)

    def _keep_conversation(self, value: Any) -> None:
        self.conversation_id = _read_name(value) or self.conversation_id

    def _keep_error(self, value: Any) -> None:
        self.error_type = _read_error(value) or self.error_type

    def _keep_usage(self, report: Any) -> None:
        _merge_report(self._usage, report)

    def _keep_charge(self, charge: Any) -> None:
        _merge_report(self._charges, charge if isinstance(charge, dict) else {"cost": charge})

    def _keep_tool_usage(self, report: Any) -> None:
        _merge_report(self._usage, {"tool_usage": report})

    def _keep_output(self, items: Any) -> None:
        """Keep the usage of the models that tools of the provider called for an item."""
        rows = items[:_MAX_CHOICES] if isinstance(items, list) else ()
        reports = [row.get("svg_usage") for row in rows if isinstance(row, dict)]
        if any(reports):
            _merge_report(self._usage, {"svg_rounds": reports})

    def _keep_job(self, value: Any) -> None:
        self.job = _read_name(value) or self.job

    def _keep_metrics(self, report: Any) -> None:
        _merge_report(self._metrics, report)

    def _add_part(self, report: Any) -> None:
        """Add the usage of one model call; an agent makes several for one answer."""
        for name, count in report.items() if isinstance(report, dict) else ():
            if type(count) is int:
                self._usage[name] = self._usage.get(name, 0) + count

    def _keep_finish_reason(self, value: Any, index: int = 0) -> None:
        reason = _read_word(value)
        if reason:
            self._finish_reasons[index] = reason

    def _keep_choices(self, rows: Any, names: tuple[str, ...]) -> None:
        """Keep the finish reason of each answer in a list of several."""
        for position, row in enumerate(rows[:_MAX_CHOICES] if isinstance(rows, list) else ()):
            if isinstance(row, dict):
                index = row.get("index", position)
                index = index if type(index) is int and 0 <= index < _MAX_CHOICES else position
                for name in names:
                    self._keep_finish_reason(row.get(name), index)
                self._keep_usage(row.get("usage"))  # Moonshot's streams report it in the choice
                if row.get("error"):  # openrouter.ai/docs/api/reference/errors-and-debugging
                    self._keep_error(row["error"])

    def _keep_tools(self, value: Any, depth: int) -> None:
        """Keep the names of the tools that the model calls, each call once."""
        if depth > _MAX_TOOL_DEPTH or len(self.tools) >= MAX_TOOLS:
            return
        if isinstance(value, list):
            for element in value[:_MAX_CHOICES]:
                self._keep_tools(element, depth + 1)
        elif isinstance(value, dict):
            self._keep_tool(value)
            for name, member in value.items():
                if name in TOOL_CALL_MEMBERS:
                    self._keep_tools(member, depth + 1)

    def _keep_tool(self, value: dict[str, Any]) -> None:
        kind = value.get("type")
        call = value if isinstance(kind, str) and kind in TOOL_CALL_TYPES else None
        for name in TOOL_CALL_OBJECTS:
            if isinstance(value.get(name), dict):
                call = value[name]
        tool = read_tool_name(call.get("name")) if call is not None else None
        if call is not None and tool is not None:
            # Streams of OpenAI's Responses repeat a call, with its id.
            call_id = value.get("id") or call.get("id") or call.get("toolUseId")
            key = call_id if isinstance(call_id, str) else len(self.tools)
            self.tools.setdefault(key, tool)

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        """The finish reasons in the order of the answers' indexes.

        OpenAI's Responses API states none for an answer that is complete, only `completed`. The
        reason is the one that its chat completions would state.
        """
        if self.is_openai_response and self.state == "completed" and not self._finish_reasons:
            return ("tool_calls" if self.tools else "stop",)
        return tuple(self._finish_reasons[index] for index in sorted(self._finish_reasons))

    @property
    def waiting(self) -> bool:
        """Whether the response's state says that the answer is not complete yet."""
        return (self.state or "").lower() in _WAITING_STATES

    @property
    def is_only_job(self) -> bool:
        """Whether the response is nothing but the id of a job, as xAI's deferred chats begin."""
        return self.job is not None and not (self.id or self.model or self._usage)

    def find_usage(self, provider: str = "") -> Usage | None:
        """Return the usage that the provider reported, else the usage that its host reported.

        Args:
            provider: gen_ai.provider.name, if known.
        """
        reports = [self._usage, self._root_counts, self._metrics]
        if self._metrics and _HOST_COUNTED in self._usage:
            reports.reverse()
        usages = (read_usage(report, provider, self.model) for report in reports)
        usage = next((usage for usage in usages if usage is not None), None)
        if self._charges or not BILL_NAMES.isdisjoint(self._usage):
            cost = read_stated_cost(provider, self._usage, self._charges)
            if cost is not None:
                return (usage or Usage())._replace(stated_cost=cost)
        return usage


_KEEPERS: dict[str, Callable[[ResponseFacts, Any], None]] = {
    "model": ResponseFacts._keep_model,
    "id": ResponseFacts._keep_id,
    "tier": ResponseFacts._keep_tier,
    "speed": ResponseFacts._keep_speed,
    "geography": ResponseFacts._keep_geography,
    "state": ResponseFacts._keep_state,
    "duration": ResponseFacts._keep_duration,
    "conversation": ResponseFacts._keep_conversation,
    "finish": ResponseFacts._keep_finish_reason,
    "usage": ResponseFacts._keep_usage,
    "metrics": ResponseFacts._keep_metrics,
    "part": ResponseFacts._add_part,
    "charges": ResponseFacts._keep_charge,
    "tools": ResponseFacts._keep_tool_usage,
    "output": ResponseFacts._keep_output,
    "job": ResponseFacts._keep_job,
    "error": ResponseFacts._keep_error,
}
"""The method for each kind of fact in `RESPONSE_FIELDS`."""


def _find_root_error(value: Mapping[str, Any]) -> str | None:
    """Return the provider's word for an error if `value` is an error; never its message."""
    if "__type" in value or "error_type" in value or value.get("object") == "error":
        return _find_word(value, ROOT_ERROR_FIELDS)
    return None


def _read_error(error: Any) -> str | None:
    """Return the word for an error; "error" if it has only a message, which may quote a prompt."""
    if isinstance(error, dict):
        return _find_word(error, ERROR_FIELDS) or NO_WORD
    if isinstance(error, str) and error:
        return _read_word(error) or NO_WORD
    return _read_code(error)


def _find_word(value: Mapping[str, Any], names: Iterable[str]) -> str | None:
    words = (read(value.get(name)) for read in (_read_word, _read_code) for name in names)
    return next((word for word in words if word), None)


def _read_code(code: Any) -> str | None:
    """Return a numeric error code as text; None for 0, which means no error."""
    if type(code) is int and code:
        code = str(code)[:_MAX_CODE]
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _read_word(text: Any) -> str | None:
    """Return a provider's word without the namespace that AWS adds; None for free text."""
    if not isinstance(text, str):
        return None
    word = text[-_MAX_TEXT:].rpartition("#")[2]
    return word if _IDENTIFIER.fullmatch(word) else None


def _read_name(text: Any) -> str | None:
    """Return a model's name or an id; None for an empty or overlong text."""
    return text if isinstance(text, str) and 0 < len(text) <= _MAX_TEXT else None


def read_tool_name(text: Any) -> str | None:
    """Return the name of a tool; None for any other text."""
    return text if isinstance(text, str) and _TOOL_NAME.fullmatch(text) else None


def _merge_report(merged: dict[str, Any], report: Any) -> None:
    """Add the members of a report; null or 0 in a later report doesn't replace an earlier count.

    Counts of a stream are cumulative, so they never fall. Some servers repeat the input as 0:
    https://docs.claude.com/en/docs/build-with-claude/streaming
    """
    if type(report) is list:  # llama.developer.meta.com/docs/api/chat: names with values
        rows = [row for row in report[:_MAX_CHOICES] if isinstance(row, dict)]
        report = {row["metric"]: row.get("value") for row in rows if type(row.get("metric")) is str}
    if isinstance(report, dict):
        for name, member in report.items():
            if member or (member is not None and name not in merged):
                merged[name] = member
