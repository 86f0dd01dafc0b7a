"""The part of the package `lupislabs` 1.0 that `LupisSDK` has no better form of.

Programs that were written for that package run on. Names, counts and times are recorded; contents
of messages, and inputs and outputs of tools, are not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Mapping

from lupis_instrument._diagnostics import internal_errors, warn

_ROLES = ("user", "assistant", "system")
_MAX_NAMES = 1000
"""Tools that are counted by name; a program may make up names."""
_MAX_NAME_LENGTH = 256
_CONTEXT_IDS = ("chat_id", "session_id", "thread_id", "user_id", "organization_id")
_TOOL_FIGURES = ("duration", "cost", "success", "timestamp")


@dataclass
class ConversationContext:
    """The ids of a conversation; use `LupisMetadata` instead."""

    chat_id: str
    session_id: str | None = None
    thread_id: str | None = None
    user_id: str = ""
    user_name: str | None = None
    organization_id: str | None = None
    organization_name: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """Return the fields by their names in the desktop app."""
        return {
            "chatId": self.chat_id,
            "sessionId": self.session_id,
            "threadId": self.thread_id,
            "userId": self.user_id,
            "userName": self.user_name,
            "organizationId": self.organization_id,
            "organizationName": self.organization_name,
        }


@dataclass
class MessageData:
    """A message of a conversation; its content stays in the program."""

    role: str
    content: str
    timestamp: int
    message_id: str | None = None


@dataclass
class ToolCallData:
    """A call of a tool; its input and output stay in the program."""

    name: str
    type: str
    input: Any
    output: Any = None
    cost: float | None = None
    duration: float | None = None
    success: bool | None = None
    timestamp: int = 0


class _State:
    """The conversation of this process, and whether the program was told.

    Attributes:
        told: whether the line about deprecated names was written.
        context: the last conversation context.
        messages: the number of messages by role.
        tool_calls: the number of calls by tool.
        tool_results: the number of results by tool.
    """

    def __init__(self) -> None:
        self.told = False
        self.context: ConversationContext | None = None
        self.messages: Counter[str] = Counter()
        self.tool_calls: Counter[str] = Counter()
        self.tool_results: Counter[str] = Counter()


state = _State()


def note_earlier(name: str, replacement: str) -> None:
    """Say once in a process that it uses names of the earlier package.

    Args:
        name: the first of these names that the program uses.
        replacement: the code to write instead.
    """
    if not state.told:
        state.told = True
        warn(
            f"{name} is deprecated, like all names that only lupislabs 1.0 had: use {replacement};"
            ' see "Programs written for lupislabs 1.0" in docs/in-code.md'
        )


class EarlierMethods:
    """The methods of `LupisSDK` that only programs written for lupislabs 1.0 call."""

    def set_conversation_context(self, context: ConversationContext) -> None:
        """Set the chat id and the metadata of all later spans and events.

        Args:
            context: the ids; the names of the user and the organization stay in the program.
        """
        note_earlier("set_conversation_context", "set_metadata(LupisMetadata(...))")
        with internal_errors("setting a conversation context"):
            state.context = context
            ids = {name: getattr(context, name, None) for name in _CONTEXT_IDS}
            self.set_metadata({name: value for name, value in ids.items() if value})

    def get_conversation_data(self) -> dict[str, Any]:
        """Return the context, and the numbers of messages, tool calls and tool results."""
        note_earlier("get_conversation_data", "`lupis report --by chat`")
        return {
            "context": state.context.to_dict() if state.context else None,
            "messageCounts": {role: state.messages[role] for role in _ROLES},
            "totalMessageCount": sum(state.messages.values()),
            "toolCallCounts": dict(state.tool_calls),
            "toolResultCounts": dict(state.tool_results),
            "totalToolCallCount": sum(state.tool_calls.values()),
            "totalToolResultCount": sum(state.tool_results.values()),
        }

    def track_message(self, message: MessageData) -> None:
        """Count a message by its role, and record an event without its content."""
        note_earlier("track_message", "track_event")
        with internal_errors("tracking a message"):
            if message.role in _ROLES:
                state.messages[message.role] += 1
                times = _select_figures(message, ("timestamp",))
                self.track_event("message", {"role": message.role, **times})

    def track_tool_call(self, tool_call: ToolCallData) -> None:
        """Count a call of a tool, and record an event without its input and output."""
        note_earlier("track_tool_call", "track_event")
        with internal_errors("tracking a tool call"):
            name = _count_name(state.tool_calls, tool_call.name)
            kind = {"type": str(tool_call.type)[:_MAX_NAME_LENGTH]}
            figures = _select_figures(tool_call, _TOOL_FIGURES)
            self.track_event("tool_call", {"name": name, **kind, **figures})

    def track_tool_result(self, tool_name: str) -> None:
        """Count a result of a tool, and record an event."""
        note_earlier("track_tool_result", "track_event")
        with internal_errors("tracking a tool result"):
            name = _count_name(state.tool_results, tool_name)
            self.track_event("tool_result", {"name": name})

    def set_metadata(self, metadata: Any) -> None:
        """Set the metadata of the process; `LupisSDK` defines it."""
        raise NotImplementedError

    def track_event(
        self, name: str, properties: Mapping[str, Any] | None = None, metadata: Any = None
    ) -> None:
        """Record an event; `LupisSDK` defines it."""
        raise NotImplementedError


def _count_name(counts: Counter[str], name: Any) -> str:
    """Count a tool and return its name, shortened."""
    short = str(name)[:_MAX_NAME_LENGTH]
    if short in counts or len(counts) < _MAX_NAMES:
        counts[short] += 1
    return short


def _select_figures(data: Any, names: tuple[str, ...]) -> dict[str, float]:
    """Return the attributes that are numbers or bools: others may hold contents."""
    figures = {name: getattr(data, name, None) for name in names}
    return {name: value for name, value in figures.items() if isinstance(value, (int, float))}
