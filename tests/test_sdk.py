"""`LupisSDK` without delivery: conversations, metadata, `run`, and wrong calls."""

import asyncio
import contextvars
import functools
import threading
import uuid
from dataclasses import FrozenInstanceError

import pytest

from lupis_instrument import (
    LupisBlockOptions,
    LupisConfigError,
    LupisMetadata,
    LupisSDK,
    LupisUsageError,
)
from lupis_instrument._runtime import current
from lupis_instrument._tracing import context as call_context
from lupis_instrument._tracing.context import EMPTY, Conversation, collect_metadata
from lupis_instrument.sdk import _describe_kind

ADA = LupisMetadata(user_id="ada", organization_id="acme", session_id="s1", extra={"plan": "pro"})


@pytest.fixture
def sdk():
    """The in-code API, disabled in this process; the values it sets end with the test."""
    before, current._state.off = current._state.off, True
    yield object.__new__(LupisSDK)
    current._state.off = before
    call_context.process_values.set_layers(environment=EMPTY, chat=EMPTY, metadata=EMPTY)


def current_chat():
    """The current chat id."""
    return call_context.current_conversation().chat_id


async def current_chat_later():
    """The current chat id after other tasks have run."""
    await asyncio.sleep(0)
    return current_chat()


# the instance


def test_no_instance_before_init():
    """Without `lupis-run` and before `init`, a program gets None."""
    assert None is LupisSDK.get_instance()


def test_class_cannot_be_called():
    """The error names the two methods that return the instance."""
    with pytest.raises(LupisUsageError, match=r"LupisSDK\.init\(config\)"):
        LupisSDK()


@pytest.mark.parametrize("config", [None, {"project_id": "p"}, "p"])
def test_init_needs_a_config(config):
    """The error names the type it got instead."""
    with pytest.raises(
        LupisConfigError, match=f"expected a LupisConfig, got {type(config).__name__}"
    ):
        LupisSDK.init(config)


# chat id and metadata


def test_chat_id_is_set_and_cleared(sdk):
    """A chat id applies until it is cleared."""
    sdk.set_chat_id("trip")
    seen = [current_chat()]
    sdk.clear_chat_id()
    assert ["trip", None] == [*seen, current_chat()]


def test_chat_id_applies_in_other_threads(sdk):
    """A chat id applies in threads that were running before it was set."""
    ready, seen = threading.Event(), []

    def read_chat():
        ready.wait()
        seen.append(current_chat())

    thread = threading.Thread(target=read_chat)
    thread.start()
    sdk.set_chat_id("trip")
    ready.set()
    thread.join()
    assert ["trip"] == seen


def test_ids_are_converted_to_text(sdk):
    """UUIDs and numbers are valid as ids."""
    name = uuid.uuid4()
    sdk.set_chat_id(name)
    sdk.set_metadata(LupisMetadata(user_id=42))
    assert (str(name), "42") == call_context.current_conversation()[:2]


def test_metadata_is_set_read_and_cleared(sdk):
    """`get_metadata` returns the metadata that was set, or empty metadata."""
    seen = [sdk.get_metadata()]
    sdk.set_metadata(ADA)
    seen.append(sdk.get_metadata())
    sdk.clear_metadata()
    assert [LupisMetadata(), ADA, LupisMetadata()] == [*seen, sdk.get_metadata()]


def test_get_metadata_returns_a_copy(sdk):
    """A change of the copy changes nothing."""
    sdk.set_metadata(ADA)
    sdk.get_metadata().extra["plan"] = "free"
    assert "pro" == sdk.get_metadata().extra["plan"]


def test_set_metadata_copies_extra(sdk):
    """A later change of the program's dict changes nothing."""
    extra = {"plan": "pro"}
    sdk.set_metadata(LupisMetadata(extra=extra))
    extra["plan"] = "free"
    assert "pro" == sdk.get_metadata().extra["plan"]


@pytest.mark.parametrize("wrong", [["ada"], "ada"])
def test_metadata_of_another_type_is_refused(wrong, sdk):
    """The error names the type it got instead."""
    with pytest.raises(
        LupisUsageError, match=f"expected LupisMetadata, got {type(wrong).__name__}"
    ):
        sdk.set_metadata(wrong)


def test_extra_may_be_none(sdk):
    """None counts as no extra values."""
    sdk.set_metadata(LupisMetadata(user_id="ada", extra=None))
    assert {} == sdk.get_metadata().extra


@pytest.mark.parametrize("value", [ADA, LupisBlockOptions()])
def test_dataclasses_are_frozen(value):
    """No attribute can be set after construction."""
    with pytest.raises(FrozenInstanceError):
        value.chat_id = "x"


def test_most_specific_chat_id_wins(sdk):
    """The order is: a block, metadata, `set_chat_id`, LUPIS_CHAT_ID."""
    call_context.process_values.set_layers(environment=Conversation(chat_id="variable"))
    seen = [current_chat()]
    sdk.set_chat_id("set")
    seen.append(current_chat())
    sdk.set_metadata(LupisMetadata(chat_id="metadata"))
    seen.append(current_chat())
    with sdk.conversation("block"):
        seen.append(current_chat())
    sdk.clear_metadata()
    seen.append(current_chat())
    assert ["variable", "set", "metadata", "block", "set"] == seen


# conversation


def test_conversation_ends_with_its_block(sdk):
    """An exception ends a conversation too."""
    seen = []

    def fail_inside():
        with sdk.conversation("trip"):
            seen.append(current_chat())
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert ["trip", None] == [*seen, current_chat()]


def test_metadata_of_a_block_override_the_process(sdk):
    """Each field, and each item of `extra`, is overridden on its own."""
    sdk.set_metadata(ADA)
    with sdk.conversation("trip", LupisMetadata(user_id="bob", extra={"seat": 1})):
        assert {
            "user_id": "bob",
            "organization_id": "acme",
            "session_id": "s1",
            "chat_id": "trip",
            "plan": "pro",
            "seat": 1,
        } == collect_metadata(call_context.current_conversation())
    assert "ada" == call_context.current_conversation().user_id


def test_conversation_without_id_keeps_the_outer_one(sdk):
    """A block can set metadata alone."""
    with sdk.conversation("outer"), sdk.conversation(None, ADA):
        assert ("outer", "ada") == call_context.current_conversation()[:2]


def test_block_can_be_unrecorded(sdk):
    """A block in an unrecorded block is unrecorded too."""
    with sdk.conversation("trip", capture_http=False), sdk.conversation("inner"):
        assert not call_context.current_conversation().capture_http
    assert call_context.current_conversation().capture_http


# run


def test_run_accepts_functions_and_awaitables(sdk):
    """A function, a coroutine function, a partial, a function that makes a coroutine, a coroutine."""

    async def main():
        options = LupisBlockOptions(chat_id="trip")
        return [
            await sdk.run(current_chat, options),
            await sdk.run(current_chat_later, options),
            await sdk.run(functools.partial(current_chat_later), options),
            await sdk.run(lambda: current_chat_later(*()), options),
            await sdk.run(current_chat_later(), options),
        ]

    assert ["trip"] * 5 == asyncio.run(main())


def test_run_without_options_keeps_the_chat_id(sdk):
    """Without options the function has the chat id around it."""
    sdk.set_chat_id("set")
    assert "set" == asyncio.run(sdk.run(current_chat_later))


def test_run_returns_results_and_raises_exceptions(sdk):
    """Results and exceptions of the function reach the caller."""

    async def fail():
        raise LookupError("fault")

    assert 5 == asyncio.run(sdk.run(lambda: 5))
    with pytest.raises(LookupError, match="fault"):
        asyncio.run(sdk.run(fail, LupisBlockOptions(chat_id="trip")))
    assert None is current_chat()


def test_concurrent_runs_do_not_mix(sdk):
    """Each of 200 tasks keeps its chat id after every switch."""

    async def work(name):
        for _ in range(5):
            await asyncio.sleep(0)
            assert name == current_chat()
        return current_chat()

    async def main():
        names = [f"chat-{number}" for number in range(200)]
        runs = [
            sdk.run(functools.partial(work, name), LupisBlockOptions(chat_id=name))
            for name in names
        ]
        return names, await asyncio.gather(*runs), current_chat()

    names, seen, after = asyncio.run(main())
    assert (names, None) == (seen, after)


def test_tasks_and_threads_inside_run_have_its_chat_id(sdk):
    """A task, and a thread that runs in a copy of the context, have the chat id."""

    async def work():
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        task = asyncio.ensure_future(current_chat_later())
        return [await task, await loop.run_in_executor(None, context.run, current_chat)]

    assert ["trip", "trip"] == asyncio.run(sdk.run(work, LupisBlockOptions(chat_id="trip")))


def test_nested_run_restores_the_outer_one(sdk):
    """The inner function has the outer metadata, and its own chat id only while it runs."""

    async def inner():
        return call_context.current_conversation()[:2]

    async def outer():
        seen = [await sdk.run(inner, LupisBlockOptions(chat_id="inner"))]
        return [*seen, call_context.current_conversation()[:2]]

    options = LupisBlockOptions(chat_id="outer", metadata=ADA)
    assert [("inner", "ada"), ("outer", "ada")] == asyncio.run(sdk.run(outer, options))


def test_chat_id_of_options_overrides_their_metadata(sdk):
    """The metadata's chat id applies if the options have none."""
    options = LupisBlockOptions(chat_id="options", metadata=LupisMetadata(chat_id="metadata"))
    assert "options" == asyncio.run(sdk.run(current_chat, options))
    only = LupisBlockOptions(metadata=LupisMetadata(chat_id="metadata"))
    assert "metadata" == asyncio.run(sdk.run(current_chat, only))


def generator():
    yield 1


async def async_generator():
    yield 1


@pytest.mark.parametrize("wrong", [5, None, "text"])
def test_run_refuses_other_values(wrong, sdk):
    """The error names the type it got instead."""
    with pytest.raises(LupisUsageError, match=f"an awaitable, got {type(wrong).__name__}"):
        asyncio.run(sdk.run(wrong))


def returns_generator():
    return generator()


ITERATED = {
    "generator function": lambda: generator,
    "async generator function": lambda: async_generator,
    "generator": generator,
    "async generator": async_generator,
    "function that returns one": lambda: returns_generator,
}


@pytest.mark.parametrize("make", ITERATED.values(), ids=ITERATED)
@pytest.mark.parametrize("how", ["run", "run_sync"])
def test_generators_are_refused(make, how, sdk):
    """Their bodies would run outside the conversation; the error says how to iterate inside."""
    run = sdk.run_sync if how == "run_sync" else lambda fn: asyncio.run(sdk.run(fn))
    with pytest.raises(LupisUsageError, match="iterate inside the function given to run, or use"):
        run(make())


def test_refused_coroutine_is_closed(sdk):
    """Python would also warn that nobody awaited the coroutine."""
    coroutine = current_chat_later()
    with pytest.raises(LupisUsageError, match=r"use `await sdk\.run"):
        sdk.run_sync(coroutine)
    assert None is coroutine.cr_frame


# run_sync


def test_run_sync_works_without_a_loop(sdk):
    """The function has the chat id, and the code after it has not."""
    options = LupisBlockOptions(chat_id="trip")
    assert ["trip", None] == [sdk.run_sync(current_chat, options), current_chat()]


@pytest.mark.parametrize(
    "wrong",
    [
        current_chat_later,
        functools.partial(current_chat_later),
        lambda: current_chat_later(*()),
        5,
        generator,
    ],
)
def test_run_sync_refuses_coroutines_and_generators(wrong, sdk):
    """A coroutine would run later, outside the conversation."""
    with pytest.raises(LupisUsageError):
        sdk.run_sync(wrong, LupisBlockOptions(chat_id="trip"))


def test_run_sync_can_make_a_task(sdk):
    """A task keeps the conversation in which it was made."""

    async def main():
        options = LupisBlockOptions(chat_id="trip")
        return await sdk.run_sync(lambda: asyncio.ensure_future(current_chat_later()), options)

    assert "trip" == asyncio.run(main())


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        (None, {}),
        ("agent", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}),
        ("tool", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "planner"}),
        ("chain", {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "planner"}),
    ],
)
def test_the_kind_of_a_span_names_its_operation(kind, attributes):
    """Backends recognise agents and tools by these attributes."""
    assert attributes == _describe_kind(kind, "planner")


def test_an_unknown_kind_of_a_span_is_refused():
    """The message names the valid ones."""
    with pytest.raises(LupisUsageError, match="'agent', 'tool', 'chain'"):
        _describe_kind("robot", "planner")
