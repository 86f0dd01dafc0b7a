"""Tells LLM calls as an agent's turns: the calls, and the tools that the model called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, NamedTuple

from lupis_instrument._query.items import read_body
from lupis_instrument._query.span_bodies import read_span
from lupis_instrument._semconv import (
    GEN_AI_OPERATION_NAME,
    GEN_AI_RESPONSE_FINISH_REASONS,
    LUPIS_RESPONSE_TOOLS,
)

if TYPE_CHECKING:
    import sqlite3

    from lupis_instrument._query.calls import Call
    from lupis_instrument._query.items import Item

_ANSWERING_OPERATIONS = frozenset(("chat", "generate_content", "text_completion"))
# The model calls no tool of the program: it has used tools of the provider.
_END_OF_TURN = "end_turn"
_CUT_REASONS = frozenset(
    ("length", "max_tokens", "max_output_tokens", "content_filter", "safety", "refusal", "error"),
)  # fmt: skip


class Step(NamedTuple):
    """Equal calls in a row.

    Attributes:
        operation: the operation, such as `chat`.
        calls: the number of calls.
        tools: the names of the tools that the model called in its answer.
        problem: the error type, or the finish reason of an answer that was cut; None for success.
    """

    operation: str
    calls: int
    tools: tuple[str, ...] = ()
    problem: str | None = None


class Turn(NamedTuple):
    """The calls of a conversation up to an answer that calls no tools.

    Attributes:
        chat: the chat id; None without one.
        steps: the calls in the order of time.
    """

    chat: str | None
    steps: tuple[Step, ...]


def find_turns(db: sqlite3.Connection, spans: Iterable[Item | Call]) -> list[Turn]:
    """Return the turns of LLM calls, in the order of their first calls.

    Args:
        db: the store.
        spans: the spans of a run, a trace or a conversation; spans that are no calls are ignored.
    """
    turns: list[tuple[str | None, list[Step]]] = []
    open_turns: dict[str | None, list[Step]] = {}
    calls = (span for span in spans if span.provider is not None)
    for call in sorted(calls, key=lambda call: (call.at, call.id)):
        attributes = _read_attributes(db, call)
        steps = open_turns.get(call.chat)
        if steps is None:
            steps = open_turns[call.chat] = []
            turns.append((call.chat, steps))
        step = _make_step(call, attributes)
        _add_step(steps, step)
        if _ends_turn(step, attributes):
            del open_turns[call.chat]
    return [Turn(chat, tuple(steps)) for chat, steps in turns]


def _read_attributes(db: sqlite3.Connection, call: Item | Call) -> dict[str, Any]:
    """Return the attributes of a call; none if it is damaged."""
    attributes: dict[str, Any] = read_span(read_body(db, call)).get("plain", {})
    return attributes


def _make_step(call: Item | Call, attributes: dict[str, Any]) -> Step:
    reasons = _read_texts(attributes, GEN_AI_RESPONSE_FINISH_REASONS)
    cut = next((reason for reason in reasons if reason.lower() in _CUT_REASONS), None)
    operation = attributes.get(GEN_AI_OPERATION_NAME)
    return Step(
        operation if isinstance(operation, str) else call.name,
        1,
        _read_texts(attributes, LUPIS_RESPONSE_TOOLS),
        call.error or cut,
    )


def _read_texts(attributes: dict[str, Any], name: str) -> tuple[str, ...]:
    values = attributes.get(name)
    return tuple(map(str, values)) if isinstance(values, list) else ()


def _add_step(steps: list[Step], step: Step) -> None:
    """Add a step, or count it to the last one if it is equal."""
    if steps and steps[-1]._replace(calls=1) == step:
        steps[-1] = steps[-1]._replace(calls=steps[-1].calls + 1)
    else:
        steps.append(step)


def _ends_turn(step: Step, attributes: dict[str, Any]) -> bool:
    if step.problem is not None or step.operation not in _ANSWERING_OPERATIONS:
        return False
    reasons = _read_texts(attributes, GEN_AI_RESPONSE_FINISH_REASONS)
    return not step.tools or _END_OF_TURN in reasons


def make_turns_json(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """Return turns as JSON."""
    return [
        {
            "chat": turn.chat,
            "steps": [{**step._asdict(), "tools": list(step.tools)} for step in turn.steps],
        }
        for turn in turns
    ]
