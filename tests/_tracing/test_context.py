"""Which chat id and metadata apply: layers, nesting, tasks and threads."""

import asyncio
import contextvars
import threading

import pytest
from opentelemetry.baggage import set_baggage

from lupis_instrument._tracing.context import (
    EMPTY,
    Conversation,
    ProcessValues,
    collect_metadata,
    current_conversation,
    process_values,
    use_context,
    use_conversation,
)


@pytest.fixture(autouse=True)
def _empty_process_values():
    process_values.set_layers(environment=EMPTY, chat=EMPTY, metadata=EMPTY)
    yield
    process_values.set_layers(environment=EMPTY, chat=EMPTY, metadata=EMPTY)


def current_chat_id():
    """The chat id of the calling code."""
    return current_conversation().chat_id


class TestLayers:
    """How the layers are merged."""

    def test_without_any_layer_the_conversation_is_empty(self):
        """It is the one empty conversation, so no attribute is added."""
        assert EMPTY is current_conversation()

    def test_the_most_specific_value_of_each_field_wins(self):
        """Fields that are not set come from the wider conversation."""
        wider = Conversation("a", "ada", "acme", "s1")
        merged = Conversation(chat_id="b").with_defaults(wider)
        assert Conversation("b", "ada", "acme", "s1") == merged

    def test_extras_are_merged_by_key(self):
        """The more specific value of a key wins."""
        wider = Conversation(extra={"plan": "free", "seat": 1})
        merged = Conversation(extra={"plan": "pro"}).with_defaults(wider)
        assert {"plan": "pro", "seat": 1} == merged.extra

    def test_the_source_belongs_to_the_chat_id(self):
        """Both come from the same layer."""
        wider = Conversation("a", source="environment")
        merged = Conversation(user_id="u").with_defaults(wider)
        assert ("a", "environment") == (merged.chat_id, merged.source)
        assert None is Conversation("b").with_defaults(wider).source

    @pytest.mark.parametrize(("outer", "inner"), [(True, False), (False, True)])
    def test_capturing_stays_off_once_it_is_switched_off(self, outer, inner):
        """An inner block can't switch it on again."""
        wider = Conversation(capture_http=outer, chat_id="x")
        assert not Conversation(capture_http=inner).with_defaults(wider).capture_http

    def test_the_layers_of_the_process_have_an_order(self):
        """`set_metadata` wins over `set_chat_id`, and that over the environment."""
        process = ProcessValues()
        chat_ids = []
        for layer in ("environment", "chat", "metadata"):
            process.set_layers(**{layer: Conversation(chat_id=layer)})
            chat_ids.append(process.merged.chat_id)
        for layer in ("metadata", "chat", "environment"):
            process.set_layers(**{layer: EMPTY})
            chat_ids.append(process.merged.chat_id)
        assert ["environment", "chat", "metadata", "chat", "environment", None] == chat_ids

    def test_a_layer_is_replaced_as_a_whole(self):
        """Its old values are gone."""
        process = ProcessValues()
        process.set_layers(metadata=Conversation(user_id="ada", extra={"a": 1}))
        process.set_layers(metadata=Conversation(session_id="s"))
        assert Conversation(session_id="s") == process.merged

    def test_a_block_wins_over_the_process(self):
        """The process's values apply again after the block."""
        process_values.set_layers(metadata=Conversation("process", "ada"))
        with use_conversation(Conversation("block")):
            assert ("block", "ada") == current_conversation()[:2]
        assert ("process", "ada") == current_conversation()[:2]

    def test_baggage_wins_over_the_process_and_not_over_a_block(self):
        """The chat id of a request is more specific than the process and less than a block."""
        process_values.set_layers(metadata=Conversation("metadata", "ada"))
        with use_context(set_baggage("lupis.chat.id", "trip")):
            conversation = current_conversation()
            assert ("trip", "ada", "baggage") == (
                conversation.chat_id,
                conversation.user_id,
                conversation.source,
            )
            with use_conversation(Conversation("block")):
                assert ("block", None) == (current_chat_id(), current_conversation().source)
        assert "metadata" == current_chat_id()

    @pytest.mark.parametrize("value", ["", "x" * 257, 5, None])
    def test_baggage_that_is_no_chat_id_is_ignored(self, value):
        """A caller may send anything."""
        with use_context(set_baggage("lupis.chat.id", value)):
            assert EMPTY is current_conversation()


class TestBlocks:
    """Where a block's conversation applies."""

    def test_the_conversation_of_an_agent_framework_is_the_last_choice(self):
        """Pydantic AI gives each run an id; an id that the program gives is better."""
        with use_context(set_baggage("gen_ai.conversation.id", "run")):
            assert ("run", "baggage") == (
                current_conversation().chat_id,
                current_conversation().source,
            )
            with use_conversation(Conversation("trip")):
                assert "trip" == current_conversation().chat_id

    def test_the_outer_block_applies_again_after_the_inner_one(self):
        """Also if an exception leaves the inner block."""
        with use_conversation(Conversation("outer")):
            with pytest.raises(KeyError), use_conversation(Conversation("inner")):
                raise KeyError
            assert "outer" == current_chat_id()
        assert None is current_chat_id()

    def test_another_thread_is_outside_the_block(self):
        """A block belongs to the thread that entered it."""
        chat_ids = []
        with use_conversation(Conversation("block")):
            thread = threading.Thread(target=lambda: chat_ids.append(current_chat_id()))
            thread.start()
            thread.join()
        assert [None] == chat_ids

    def test_a_copied_context_is_inside_the_block(self):
        """`asyncio.to_thread` copies the context, and so do some executors."""
        with use_conversation(Conversation("block")):
            copied = contextvars.copy_context()
        assert "block" == copied.run(current_chat_id)

    def test_tasks_keep_their_conversations_apart(self):
        """Each of 200 tasks sees its own one after every switch."""

        async def task(name):
            with use_conversation(Conversation(name)):
                for _ in range(5):
                    await asyncio.sleep(0)
                    assert name == current_chat_id()
            return current_chat_id()

        async def main():
            return await asyncio.gather(*(task(str(number)) for number in range(200)))

        assert [None] * 200 == asyncio.run(main())

    def test_a_block_may_be_left_in_another_context(self):
        """An event loop may finish an async generator there; nothing is raised."""

        async def numbers():
            with use_conversation(Conversation("generator")):
                yield 1
                yield 2

        async def main():
            generator = numbers()
            await generator.__anext__()
            return generator

        generator = contextvars.copy_context().run(asyncio.run, main())
        contextvars.copy_context().run(asyncio.run, generator.aclose())
        assert None is current_chat_id()


def test_the_metadata_of_an_event_has_the_ids_that_are_set():
    """An extra cannot replace an id."""
    conversation = Conversation("c", None, "acme", None, {"plan": "pro", "chat_id": "x"})
    expected = {"organization_id": "acme", "chat_id": "c", "plan": "pro"}
    assert expected == collect_metadata(conversation)
