"""`LupisSDK` as far as it needs no delivery: conversations, metadata, `run`, misuse."""

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
from lupis_instrument._runtime import runtime as _runtime
from lupis_instrument._tracing import context as _context
from lupis_instrument._tracing.context import EMPTY, Conversation, collect_metadata

ADA = LupisMetadata(user_id="ada", organization_id="acme", session_id="s1", extra={"plan": "pro"})


@pytest.fixture
def sdk():
    """The in-code API, switched off in this process; what it sets ends with the test."""
    before, _runtime._State.off = _runtime._State.off, True
    yield object.__new__(LupisSDK)
    _runtime._State.off = before
    _context.process_values.set_layers(environment=EMPTY, chat=EMPTY, metadata=EMPTY)


def chat():
    """The chat id in force."""
    return _context.current_conversation().chat_id


async def chat_later():
    """The chat id in force after others had their turn."""
    await asyncio.sleep(0)
    return chat()


# the instance


def test_neither_launched_nor_initialised_there_is_no_instance():
    """So that a program can tell."""
    assert None is LupisSDK.get_instance()


def test_it_is_not_made_by_calling_it():
    """There is one a process, and two ways to it."""
    with pytest.raises(LupisUsageError, match=r"LupisSDK\.init\(config\)"):
        LupisSDK()


@pytest.mark.parametrize("config", [None, {"project_id": "p"}, "p"])
def test_init_wants_a_config(config):
    """With the type that it got instead."""
    with pytest.raises(
        LupisConfigError, match=f"expected a LupisConfig, got {type(config).__name__}"
    ):
        LupisSDK.init(config)


# chat id and metadata


def test_a_chat_id_is_set_and_cleared(sdk):
    """For the whole process."""
    sdk.set_chat_id("trip")
    seen = [chat()]
    sdk.clear_chat_id()
    assert ["trip", None] == [*seen, chat()]


def test_a_chat_id_holds_in_other_threads(sdk):
    """Also in those that were there before."""
    go, seen = threading.Event(), []

    def look():
        go.wait()
        seen.append(chat())

    thread = threading.Thread(target=look)
    thread.start()
    sdk.set_chat_id("trip")
    go.set()
    thread.join()
    assert ["trip"] == seen


def test_ids_of_other_types_become_text(sdk):
    """Programs have UUIDs and numbers for ids."""
    name = uuid.uuid4()
    sdk.set_chat_id(name)
    sdk.set_metadata(LupisMetadata(user_id=42))
    assert (str(name), "42") == _context.current_conversation()[:2]


def test_metadata_is_set_read_and_cleared(sdk):
    """As it was given."""
    seen = [sdk.get_metadata()]
    sdk.set_metadata(ADA)
    seen.append(sdk.get_metadata())
    sdk.clear_metadata()
    assert [LupisMetadata(), ADA, LupisMetadata()] == [*seen, sdk.get_metadata()]


def test_what_get_metadata_returns_is_a_copy(sdk):
    """Changing it changes nothing."""
    sdk.set_metadata(ADA)
    sdk.get_metadata().extra["plan"] = "free"
    assert "pro" == sdk.get_metadata().extra["plan"]


def test_set_metadata_copies(sdk):
    """What the program does to its dict afterwards is not seen."""
    extra = {"plan": "pro"}
    sdk.set_metadata(LupisMetadata(extra=extra))
    extra["plan"] = "free"
    assert "pro" == sdk.get_metadata().extra["plan"]


@pytest.mark.parametrize("wrong", [{"user_id": "ada"}, "ada"])
def test_metadata_of_another_type_is_wrong_use(wrong, sdk):
    """With the type that it got instead."""
    with pytest.raises(
        LupisUsageError, match=f"expected LupisMetadata, got {type(wrong).__name__}"
    ):
        sdk.set_metadata(wrong)


def test_no_extra_may_be_none(sdk):
    """As in code that passes on what it may not have."""
    sdk.set_metadata(LupisMetadata(user_id="ada", extra=None))
    assert {} == sdk.get_metadata().extra


@pytest.mark.parametrize("value", [ADA, LupisBlockOptions()])
def test_data_is_frozen(value):
    """A span may hold on to it."""
    with pytest.raises(FrozenInstanceError):
        value.chat_id = "x"


def test_the_narrower_wins(sdk):
    """A block, then metadata, then `set_chat_id`, then LUPIS_CHAT_ID."""
    _context.process_values.set_layers(environment=Conversation(chat_id="variable"))
    seen = [chat()]
    sdk.set_chat_id("set")
    seen.append(chat())
    sdk.set_metadata(LupisMetadata(chat_id="metadata"))
    seen.append(chat())
    with sdk.conversation("block"):
        seen.append(chat())
    sdk.clear_metadata()
    seen.append(chat())
    assert ["variable", "set", "metadata", "block", "set"] == seen


# conversation


def test_a_conversation_holds_in_its_block(sdk):
    """And no longer, whatever ends it."""
    seen = []

    def leave_early():
        with sdk.conversation("trip"):
            seen.append(chat())
            raise KeyError

    with pytest.raises(KeyError):
        leave_early()
    assert ["trip", None] == [*seen, chat()]


def test_a_conversation_has_metadata_over_the_process(sdk):
    """Field by field, extras too."""
    sdk.set_metadata(ADA)
    with sdk.conversation("trip", LupisMetadata(user_id="bob", extra={"seat": 1})):
        assert {
            "user_id": "bob",
            "organization_id": "acme",
            "session_id": "s1",
            "chat_id": "trip",
            "plan": "pro",
            "seat": 1,
        } == collect_metadata(_context.current_conversation())
    assert "ada" == _context.current_conversation().user_id


def test_a_conversation_without_an_id_keeps_the_outer_one(sdk):
    """It may be there for its metadata alone."""
    with sdk.conversation("outer"), sdk.conversation(None, ADA):
        assert ("outer", "ada") == _context.current_conversation()[:2]


def test_a_block_can_be_left_unrecorded(sdk):
    """With all that is nested in it."""
    with sdk.conversation("trip", capture_http=False), sdk.conversation("inner"):
        assert not _context.current_conversation().capture_http
    assert _context.current_conversation().capture_http


# run


def test_run_takes_all_that_can_be_run(sdk):
    """A function, a coroutine function, a partial, a coroutine, and what returns one."""

    async def main():
        options = LupisBlockOptions(chat_id="trip")
        return [
            await sdk.run(chat, options),
            await sdk.run(chat_later, options),
            await sdk.run(functools.partial(chat_later), options),
            await sdk.run(lambda: chat_later(*()), options),
            await sdk.run(chat_later(), options),
        ]

    assert ["trip"] * 5 == asyncio.run(main())


def test_run_without_options_changes_nothing(sdk):
    """But runs."""
    sdk.set_chat_id("set")
    assert "set" == asyncio.run(sdk.run(chat_later))


def test_run_hands_on_results_and_exceptions(sdk):
    """As if it were not there."""

    async def fail():
        raise LookupError("theirs")

    assert 5 == asyncio.run(sdk.run(lambda: 5))
    with pytest.raises(LookupError, match="theirs"):
        asyncio.run(sdk.run(fail, LupisBlockOptions(chat_id="trip")))
    assert None is chat()


def test_runs_at_once_never_mix(sdk):
    """200 of them, after every switch."""

    async def work(name):
        for _ in range(5):
            await asyncio.sleep(0)
            assert name == chat()
        return chat()

    async def main():
        names = [f"chat-{number}" for number in range(200)]
        runs = [
            sdk.run(functools.partial(work, name), LupisBlockOptions(chat_id=name))
            for name in names
        ]
        return names, await asyncio.gather(*runs), chat()

    names, seen, after = asyncio.run(main())
    assert (names, None) == (seen, after)


def test_tasks_and_threads_made_inside_run_belong_to_it(sdk):
    """Asyncio hands the context over to both."""

    async def work():
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        task = asyncio.ensure_future(chat_later())
        return [await task, await loop.run_in_executor(None, context.run, chat)]

    assert ["trip", "trip"] == asyncio.run(sdk.run(work, LupisBlockOptions(chat_id="trip")))


def test_nested_runs_restore_the_outer(sdk):
    """With metadata of their own over the outer's."""

    async def inner():
        return _context.current_conversation()[:2]

    async def outer():
        seen = [await sdk.run(inner, LupisBlockOptions(chat_id="inner"))]
        return [*seen, _context.current_conversation()[:2]]

    options = LupisBlockOptions(chat_id="outer", metadata=ADA)
    assert [("inner", "ada"), ("outer", "ada")] == asyncio.run(sdk.run(outer, options))


def test_a_blocks_chat_id_wins_over_its_metadatas(sdk):
    """The narrower of the two."""
    options = LupisBlockOptions(chat_id="options", metadata=LupisMetadata(chat_id="metadata"))
    assert "options" == asyncio.run(sdk.run(chat, options))
    only = LupisBlockOptions(metadata=LupisMetadata(chat_id="metadata"))
    assert "metadata" == asyncio.run(sdk.run(chat, only))


def generator():
    yield 1


async def async_generator():
    yield 1


@pytest.mark.parametrize("wrong", [5, None, "text"])
def test_run_refuses_what_cannot_be_run(wrong, sdk):
    """At once, not with an odd error later."""
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
def test_generators_are_refused_with_the_cure(make, how, sdk):
    """Their bodies would run outside the conversation, where they are iterated."""
    run = sdk.run_sync if how == "run_sync" else lambda fn: asyncio.run(sdk.run(fn))
    with pytest.raises(LupisUsageError, match="iterate inside the function given to run, or use"):
        run(make())


def test_a_coroutine_that_is_refused_is_closed(sdk):
    """Python would complain that nobody awaited it, of code that already has an error to read."""
    coroutine = chat_later()
    with pytest.raises(LupisUsageError, match=r"use `await sdk\.run"):
        sdk.run_sync(coroutine)
    assert None is coroutine.cr_frame


# run_sync


def test_run_sync_does_the_same_without_a_loop(sdk):
    """And restores what was in force."""
    options = LupisBlockOptions(chat_id="trip")
    assert ["trip", None] == [sdk.run_sync(chat, options), chat()]


@pytest.mark.parametrize(
    "wrong", [chat_later, functools.partial(chat_later), lambda: chat_later(*()), 5, generator]
)
def test_run_sync_refuses_what_it_cannot_wait_for(wrong, sdk):
    """A coroutine would run later, outside the conversation."""
    with pytest.raises(LupisUsageError):
        sdk.run_sync(wrong, LupisBlockOptions(chat_id="trip"))


def test_run_sync_may_make_a_task(sdk):
    """A task takes the conversation along."""

    async def main():
        options = LupisBlockOptions(chat_id="trip")
        return await sdk.run_sync(lambda: asyncio.ensure_future(chat_later()), options)

    assert "trip" == asyncio.run(main())
