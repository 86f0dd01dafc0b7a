"""Which chat id and metadata are in force: layers, nesting, tasks and threads."""

import asyncio
import contextvars
import threading

import pytest
from opentelemetry.baggage import set_baggage

from lupis_instrument._tracing import context as _context
from lupis_instrument._tracing.context import EMPTY, Conversation, ProcessValues, collect_metadata


@pytest.fixture(autouse=True)
def _nothing_in_force():
    _context.process_values.set_layers(environment=EMPTY, chat=EMPTY, metadata=EMPTY)
    yield
    _context.process_values.set_layers(environment=EMPTY, chat=EMPTY, metadata=EMPTY)


def test_nothing_is_in_force_at_first():
    """Without any layer, that is the one empty conversation."""
    assert EMPTY is _context.current_conversation()


def test_narrower_wins_field_by_field():
    """What the narrower leaves open comes from the wider."""
    wider = Conversation("a", "ada", "acme", "s1")
    assert Conversation("b", "ada", "acme", "s1") == Conversation(chat_id="b").with_defaults(wider)


def test_extras_are_merged():
    """The narrower's extras come over the wider's, key by key."""
    wider = Conversation(extra={"plan": "free", "seat": 1})
    merged = Conversation(extra={"plan": "pro"}).with_defaults(wider)
    assert {"plan": "pro", "seat": 1} == merged.extra


def test_the_source_goes_with_the_chat_id():
    """It is that of the layer which the chat id is from."""
    wider = Conversation("a", source="environment")
    found = Conversation(user_id="u").with_defaults(wider)
    assert ("a", "environment") == (found.chat_id, found.source)
    assert None is Conversation("b").with_defaults(wider).source


def test_a_requests_baggage_is_narrower_than_the_process_and_wider_than_a_block():
    """What the program says of the work itself comes first."""
    _context.process_values.set_layers(metadata=Conversation("metadata", "ada"))
    with _context.use_context(set_baggage("lupis.chat.id", "trip")):
        found = _context.current_conversation()
        assert ("trip", "ada", "baggage") == (found.chat_id, found.user_id, found.source)
        with _context.use_conversation(Conversation("block")):
            assert ("block", None) == (
                _context.current_conversation().chat_id,
                _context.current_conversation().source,
            )
    assert "metadata" == _context.current_conversation().chat_id


@pytest.mark.parametrize("value", ["", "x" * 257, 5, None])
def test_baggage_that_is_no_chat_id_is_left_out(value):
    """Whoever calls may send anything."""
    with _context.use_context(set_baggage("lupis.chat.id", value)):
        assert EMPTY is _context.current_conversation()


@pytest.mark.parametrize(("outer", "inner"), [(True, False), (False, True)])
def test_capturing_once_switched_off_stays_off(outer, inner):
    """An inner block can't switch on again what an outer one has switched off."""
    wider = Conversation(capture_http=outer, chat_id="x")
    assert not Conversation(capture_http=inner).with_defaults(wider).capture_http


def test_process_layers_have_an_order():
    """Metadata comes before `set_chat_id`, and that before the environment."""
    process = ProcessValues()
    seen = []
    for layer in ("environment", "chat", "metadata"):
        process.set_layers(**{layer: Conversation(chat_id=layer)})
        seen.append(process.merged.chat_id)
    for layer in ("metadata", "chat", "environment"):
        process.set_layers(**{layer: EMPTY})
        seen.append(process.merged.chat_id)
    assert ["environment", "chat", "metadata", "chat", "environment", None] == seen


def test_a_layer_set_again_forgets_what_it_held():
    """Layers are replaced, not added to."""
    process = ProcessValues()
    process.set_layers(metadata=Conversation(user_id="ada", extra={"a": 1}))
    process.set_layers(metadata=Conversation(session_id="s"))
    assert Conversation(session_id="s") == process.merged


def test_work_comes_before_the_process():
    """What holds for a block wins over all that holds for the process."""
    _context.process_values.set_layers(metadata=Conversation("process", "ada"))
    with _context.use_conversation(Conversation("block")):
        assert ("block", "ada") == _context.current_conversation()[:2]
    assert ("process", "ada") == _context.current_conversation()[:2]


def test_nested_work_restores_the_outer():
    """Also when the inner block is left by an exception."""
    with _context.use_conversation(Conversation("outer")):
        with pytest.raises(KeyError), _context.use_conversation(Conversation("inner")):
            raise KeyError
        assert "outer" == _context.current_conversation().chat_id
    assert None is _context.current_conversation().chat_id


def test_threads_do_not_see_each_others_work():
    """A block belongs to the thread that entered it."""
    seen = []
    with _context.use_conversation(Conversation("here")):
        thread = threading.Thread(
            target=lambda: seen.append(_context.current_conversation().chat_id)
        )
        thread.start()
        thread.join()
    assert [None] == seen


def test_a_copied_context_takes_the_work_along():
    """As `asyncio.to_thread` and executors that copy contexts do."""
    with _context.use_conversation(Conversation("here")):
        context = contextvars.copy_context()
    assert "here" == context.run(lambda: _context.current_conversation().chat_id)


def test_tasks_never_mix():
    """200 tasks at once each see their own, after every switch."""

    async def task(name):
        with _context.use_conversation(Conversation(name)):
            for _ in range(5):
                await asyncio.sleep(0)
                assert name == _context.current_conversation().chat_id
        return _context.current_conversation().chat_id

    async def main():
        return await asyncio.gather(*(task(str(number)) for number in range(200)))

    assert [None] * 200 == asyncio.run(main())


def test_a_block_left_in_another_context_does_no_harm():
    """An async generator may be finished where it was not begun, and must not raise there."""

    async def numbers():
        with _context.use_conversation(Conversation("generator")):
            yield 1
            yield 2

    async def main():
        generator = numbers()
        await generator.__anext__()
        return generator

    generator = contextvars.copy_context().run(asyncio.run, main())
    contextvars.copy_context().run(asyncio.run, generator.aclose())
    assert None is _context.current_conversation().chat_id


def test_metadata_of_an_event_has_what_is_set():
    """Ids that are not set are not there; an extra can't pass for an id."""
    conversation = Conversation("c", None, "acme", None, {"plan": "pro", "chat_id": "x"})
    expected = {"organization_id": "acme", "chat_id": "c", "plan": "pro"}
    assert expected == collect_metadata(conversation)
