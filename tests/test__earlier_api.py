"""Programs that were written for the package lupislabs 1.0."""

import pytest

import lupislabs
from lupis_instrument import (
    LupisBlockOptions,
    LupisConfig,
    LupisMetadata,
    LupisSDK,
    LupisUsageError,
)
from lupis_instrument import _earlier_api as earlier
from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._runtime import current
from lupis_instrument._tracing import context as call_context
from lupis_instrument._tracing.context import EMPTY

SECRET = "the words of a user"
MESSAGE = earlier.MessageData("user", SECRET, 1700000000)
TOOL_CALL = earlier.ToolCallData("search", "function", {"q": SECRET}, SECRET, 0.5, 1.5, True, 17)


@pytest.fixture
def sdk(monkeypatch):
    """The in-code API, disabled in this process, and a fresh state of the earlier API."""
    monkeypatch.setattr(earlier, "state", earlier._State())
    monkeypatch.setattr(current._state, "off", True)
    diagnostics.reset()
    yield object.__new__(LupisSDK)
    call_context.process_values.set_layers(environment=EMPTY, chat=EMPTY, metadata=EMPTY)


@pytest.fixture
def events(sdk, monkeypatch):
    """The name and the properties of each tracked event."""
    tracked = []
    monkeypatch.setattr(
        LupisSDK, "track_event", lambda _, name, properties: tracked.append((name, properties))
    )
    return tracked


def test_program_is_told_once(sdk, capsys):
    """One line names the first name and its replacement."""
    sdk.set_metadata({"user_id": "ada"})
    sdk.get_conversation_data()
    sdk.set_metadata({"user_id": "bob"})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lupis: warning: metadata as a dict is deprecated")
    assert "use LupisMetadata(...)" in line


def test_new_names_are_not_reported(sdk, capsys):
    """A program that uses none of the earlier names reads nothing."""
    sdk.set_metadata(LupisMetadata(user_id="ada"))
    LupisBlockOptions(chat_id="c")
    assert "" == capsys.readouterr().err


def test_dict_is_laid_over_the_metadata(sdk):
    """Names that are no field are kept as extra values."""
    sdk.set_metadata({"user_id": "ada", "plan": "pro"})
    sdk.set_metadata({"session_id": 7, "plan": "free"})
    assert LupisMetadata("ada", session_id="7", extra={"plan": "free"}) == sdk.get_metadata()


def test_context_sets_ids_and_keeps_names(sdk):
    """Names of people stay in the program."""
    sdk.set_conversation_context(
        earlier.ConversationContext("c", "s", "t", "u", "Ada", "o", "Acme")
    )
    assert LupisMetadata("u", "o", "s", "c", {"thread_id": "t"}) == sdk.get_metadata()
    assert "Ada" == sdk.get_conversation_data()["context"]["userName"]


def test_messages_and_tools_are_counted(sdk, events):
    """By role and by the tool's name; other roles are not counted."""
    sdk.track_message(MESSAGE)
    sdk.track_message(earlier.MessageData("tool", "", 1))
    sdk.track_tool_call(TOOL_CALL)
    sdk.track_tool_result("search")
    assert {
        "context": None,
        "messageCounts": {"user": 1, "assistant": 0, "system": 0},
        "totalMessageCount": 1,
        "toolCallCounts": {"search": 1},
        "toolResultCounts": {"search": 1},
        "totalToolCallCount": 1,
        "totalToolResultCount": 1,
    } == sdk.get_conversation_data()


def test_events_have_no_contents(sdk, events):
    """They have names, counts and times."""
    sdk.track_message(MESSAGE)
    sdk.track_tool_call(TOOL_CALL)
    assert [
        ("message", {"role": "user", "timestamp": 1700000000}),
        (
            "tool_call",
            {
                "name": "search",
                "type": "function",
                "duration": 1.5,
                "cost": 0.5,
                "success": True,
                "timestamp": 17,
            },
        ),
    ] == events


def test_number_of_counted_tools_is_limited(sdk, events, monkeypatch):
    """A program may make up a name for each call."""
    monkeypatch.setattr(earlier, "_MAX_NAMES", 2)
    for name in ("a", "b", "c", "a"):
        sdk.track_tool_result(name)
    assert {"a": 2, "b": 1} == sdk.get_conversation_data()["toolResultCounts"]


def test_wrong_argument_does_not_stop_the_program(sdk, events, monkeypatch):
    """A line on stderr reports it."""
    monkeypatch.setattr(diagnostics, "reraise", False)
    sdk.track_message(None)
    assert [] == events


def test_rejected_call_is_reported_with_its_reason(sdk, monkeypatch, capsys):
    """The line says the type that was expected."""
    monkeypatch.setattr(diagnostics, "reraise", False)
    monkeypatch.setattr(LupisSDK, "_start_runtime", object)
    sdk.track_event("e", metadata=["ada"])
    reason = "expected LupisMetadata, got list"
    assert (
        f"tracking an event failed: {reason}; the program is not affected"
        in capsys.readouterr().err
    )


def test_class_can_be_called_with_a_configuration(sdk, monkeypatch, capsys):
    """As `LupisSDK.init`, with the line about deprecated names."""
    monkeypatch.setattr(LupisSDK, "init", lambda config: config)
    config = LupisConfig(project_id="p")
    assert config is lupislabs.LupisLabs(config)
    assert "lupislabs.LupisLabs is deprecated" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [{}, {"workspace": "w"}])
def test_other_calls_of_the_class_name_the_methods(arguments):
    """The earlier documentation showed an argument that never worked."""
    with pytest.raises(LupisUsageError, match=r"LupisSDK\.init\(config\)"):
        LupisSDK(**arguments)


def test_console_is_not_recorded(sdk, capsys):
    """The option has no effect, and is reported."""
    LupisBlockOptions(capture_console=True)
    assert "capture_console (without effect) is deprecated" in capsys.readouterr().err


def test_span_takes_a_kind(sdk, monkeypatch):
    """The third parameter of the earlier `create_span`."""
    from opentelemetry.trace import INVALID_SPAN, SpanKind

    kinds = []

    class Tracer:
        def start_span(self, _name, attributes, kind):
            kinds.append(kind)
            return INVALID_SPAN

    monkeypatch.setattr(LupisSDK, "get_tracer", lambda _: Tracer())
    for arguments in ((), ({}, SpanKind.PRODUCER)):
        with sdk.create_span("plan", *arguments):
            pass
    assert [SpanKind.INTERNAL, SpanKind.PRODUCER] == kinds
