"""The conversation of a span: set by code or a request, or derived from an LLM request."""

import pytest
from opentelemetry.sdk.resources import Resource

from lupis_instrument._llm.conversation.conversations import Conversations
from lupis_instrument._tracing import context as call_context
from lupis_instrument._tracing.context import EMPTY, Conversation
from lupis_instrument._tracing.pipeline import Draft
from lupis_instrument._tracing.stages.conversation import add_conversation

OTHER_API = "https://other.example/v1/x"


@pytest.fixture
def draft(tracked):
    """Makes the draft of a span that began within a conversation."""

    def make(conversation=EMPTY, **attributes):
        with call_context.use_conversation(conversation):
            span = tracked.start_call(OTHER_API, **attributes)
        span.end()
        return Draft(tracked.queued.pop(), Resource({}))

    return make


class FailingRepr:
    def __repr__(self):
        raise RuntimeError("no")


class TestAddConversation:
    """The stage that adds the conversation of the time when the span began."""

    def test_chat_id_and_metadata_become_attributes(self, draft):
        """Under this package's names and under the names of the semantic conventions."""
        conversation = Conversation("trip", "ada", "acme", "s1", {"plan": "pro", "seats": 3})
        attributes = add_conversation(draft(conversation)).attributes
        assert {
            "lupis.chat.id": "trip",
            "lupis.chat.source": "code",
            "gen_ai.conversation.id": "trip",
            "user.id": "ada",
            "session.id": "s1",
            "lupis.metadata.user_id": "ada",
            "lupis.metadata.organization_id": "acme",
            "lupis.metadata.session_id": "s1",
            "lupis.metadata.plan": "pro",
            "lupis.metadata.seats": 3,
        } == {name: attributes[name] for name in attributes if not name.startswith(("http", "url"))}

    def test_without_a_conversation_nothing_is_added(self, draft):
        """There are no empty attributes."""
        assert {"http.request.method", "url.full"} == set(add_conversation(draft()).attributes)

    def test_attributes_that_the_program_set_stay(self, draft):
        """The program's own value of a conventional attribute wins."""
        conversation = Conversation("trip", "ada", None, "s1")
        own = {"user.id": "u", "session.id": "s", "gen_ai.conversation.id": "c"}
        attributes = add_conversation(draft(conversation, **own)).attributes
        assert own == {name: attributes[name] for name in own}

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ([1, 2], "[1, 2]"),
            (None, "None"),
            (2**80, str(2**80)),
            (2**62, 2**62),
            (True, True),
            (FailingRepr(), "[FailingRepr]"),
        ],
        ids=["list", "none", "huge", "big", "bool", "failing"],
    )
    def test_extras_are_converted_to_attribute_types(self, value, expected, draft):
        """OTLP's integers have 64 bits, and a __repr__ that fails costs only its own value."""
        attributes = add_conversation(draft(Conversation(extra={"extra": value}))).attributes
        assert expected == attributes["lupis.metadata.extra"]


def request_of(*texts):
    """Returns a request whose messages alternate between user and assistant."""
    roles = ("user", "assistant") * len(texts)
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, texts)]}


class TestDeriveChatId:
    """The stage that derives a chat id from the request of an LLM call."""

    @pytest.fixture
    def chat_ids(self, tracked, pipeline):
        """Makes calls with these requests; returns the chat id and its source for each span."""

        def make(*requests, status=200, **settings):
            for request in requests:
                span = tracked.start_call()
                tracked.answer_call(span, request=request, status=status)
                span.end()
            stages = pipeline(conversations=Conversations(lambda: b"key"), **settings)
            make.spans = tracked.run_pipeline(stages)
            return [
                (span.attributes.get("lupis.chat.id"), span.attributes.get("lupis.chat.source"))
                for span in make.spans
            ]

        return make

    def test_calls_with_a_growing_message_list_share_a_chat_id(self, chat_ids):
        """A call that continues another conversation has another id."""
        first, other, second = chat_ids(
            request_of("hi"), request_of("hello"), request_of("hi", "a", "more")
        )
        assert (first, "derived") == (second, first[1])
        assert other[0] not in {None, first[0]}

    def test_a_chat_id_from_code_wins(self, chat_ids):
        """Nothing is derived then, not even from an id in the request."""
        with call_context.use_conversation(Conversation("trip")):
            assert [("trip", "code")] == chat_ids({**request_of("hi"), "conversation": "conv_1"})

    def test_a_failed_call_and_its_retry_share_a_chat_id(self, chat_ids):
        """The same message list after a successful call begins another conversation."""
        assert 1 == len(set(chat_ids(request_of("hi"), request_of("hi"), status=429)))
        assert 2 == len(set(chat_ids(request_of("hello"), request_of("hello"))[2:]))

    @pytest.mark.parametrize(("setting", "exported"), [(True, False), ("export", True)])
    def test_derived_ids_have_standard_names_only_on_request(
        self, setting, exported, chat_ids, tracked
    ):
        """Nobody but this package knows a derived id; LUPIS_AUTO_CHAT_ID=export exports it."""
        (derived,) = chat_ids(request_of("hi"), auto_chat_id=setting)
        attributes = chat_ids.spans[0].attributes
        names = ("gen_ai.conversation.id", "session.id")
        assert [derived[0] if exported else None] * 2 == [attributes.get(name) for name in names]

    def test_an_id_of_the_api_has_its_standard_name(self, chat_ids):
        """The API knows it."""
        ((chat_id, source),) = chat_ids({**request_of("hi"), "conversation": "conv_1"})
        attributes = chat_ids.spans[0].attributes
        assert ("conv_1", "api", None) == (chat_id, source, attributes.get("session.id"))
        assert "conv_1" == attributes["gen_ai.conversation.id"]

    def test_a_setting_switches_derived_ids_off(self, chat_ids):
        """LUPIS_AUTO_CHAT_ID=false removes the stage."""
        assert [(None, None)] == chat_ids(request_of("hi"), auto_chat_id=False)

    @pytest.mark.parametrize("automatic", [True, False])
    def test_a_request_has_a_fingerprint(self, automatic, tracked, pipeline):
        """Also where code has set the chat id; LUPIS_AUTO_CHAT_ID=false removes it."""
        with call_context.use_conversation(Conversation("trip")):
            span = tracked.start_call()
            tracked.answer_call(span, request=request_of("hi"))
            span.end()
        stages = pipeline(conversations=Conversations(lambda: b"key"), auto_chat_id=automatic)
        (exported,) = tracked.run_pipeline(stages)
        assert automatic is ("lupis.request.fingerprint" in exported.attributes)

    def test_a_fault_costs_only_the_chat_id(self, tracked, pipeline, capsys):
        """The span is exported without it."""

        def fail():
            raise ZeroDivisionError

        span = tracked.start_call()
        tracked.answer_call(span, request=request_of("hi"))
        span.end()
        (exported,) = tracked.run_pipeline(pipeline(conversations=Conversations(fail)))
        assert "chat gpt-4o-2024-08-06" == exported.name
        assert "lupis.chat.id" not in exported.attributes
        assert "the derive stage failed (ZeroDivisionError" in capsys.readouterr().err
