"""Which calls belong to one conversation if the program sets no chat id."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

import pytest

from lupis_instrument._llm.api.endpoints import identify_endpoint
from lupis_instrument._llm.body.digest import RequestReader
from lupis_instrument._llm.conversation.conversations import MAX_ENTRIES, Conversations
from lupis_instrument._llm.conversation.turns import hash_answer, read_turns
from lupis_instrument._llm.usage.facts import Facts

OPENAI = "https://api.openai.com"
CHAT = OPENAI + "/v1/chat/completions"
RESPONSES = OPENAI + "/v1/responses"
KEY = b"k" * 32


class Process:
    """The conversations of one process. Calling it makes a chat call and returns its chat id."""

    def __init__(self, key=KEY):
        self.conversations = Conversations(lambda: key)

    def recognise(self, request_body, url=CHAT, *, answered=True, named=False, **facts):
        """The conversation and the fingerprint of a call."""
        parts = urlsplit(url)
        endpoint = identify_endpoint("POST", parts.hostname, parts.port or 443, parts.path)
        return self.conversations.identify_call(
            endpoint, parts.path, request_body, Facts(**facts), answered=answered, named=named
        )

    def identify(self, request_body, url=CHAT, **options):
        """The conversation of a call: its chat id and the source of the id."""
        return self.recognise(request_body, url, **options).conversation

    def fingerprint(self, request_body, url=CHAT, *, model="m", **options):
        """The fingerprint of a request."""
        return self.recognise(request_body, url, request_model=model, **options).fingerprint

    def __call__(self, *turns, answered=True, **members):
        """The chat id of a call whose turns are alternately the user's and the assistant's."""
        request_body = {"messages": chat(*turns), "model": "m", **members}
        return self.identify(request_body, answered=answered).chat_id


def chat(*texts):
    """A message list: a system prompt, then alternately user and assistant."""
    roles = ["system", *("user", "assistant") * len(texts)]
    return [{"role": role, "content": text} for role, text in zip(roles, texts)]


@pytest.fixture
def process():
    """A process without any conversation."""
    return Process()


# message lists


def test_the_calls_of_a_growing_list_are_one_conversation(process):
    """A hundred calls, each with the list of the call before and two more turns."""
    turns = ["s", "u1"]
    ids = set()
    for number in range(100):
        ids.add(process(*turns))
        turns += [f"a{number}", f"u{number}"]
    assert 1 == len(ids)


@pytest.mark.parametrize("other", [("s", "u2"), ("t", "u1")], ids=["user", "system"])
def test_another_opening_is_another_conversation(other, process):
    """The opening is the system prompt and the user's first turn."""
    assert process("s", "u1") != process(*other)


def test_a_greeting_does_not_end_the_opening(process):
    """The user's first turn after it is part of the opening."""
    greeting = {"role": "assistant", "content": "How can I help?"}
    ids = {
        process.identify({"messages": [greeting, {"role": "user", "content": text}]}).chat_id
        for text in "abc"
    }
    assert 3 == len(ids)


def test_a_restart_changes_nothing():
    """The chat id depends only on the opening and the key, not on earlier calls."""
    assert Process()("s", "u1") == Process()("s", "u1", "a1", "u2", "a2", "u3")


def test_another_key_gives_other_ids():
    """Without the key, nobody can guess an opening from its chat id."""
    assert Process()("s", "u1") != Process(b"other")("s", "u1")


def test_two_conversations_with_one_opening_have_two_ids(process):
    """The second begins after the first has ended."""
    first = [process("s", "u"), process("s", "u", "a", "more")]
    second = [process("s", "u"), process("s", "u", "b", "else")]
    assert [first[0]] * 2 == first
    assert [second[0]] * 2 == second
    assert first[0] != second[0]


def test_two_conversations_with_one_opening_may_alternate(process):
    """They get equal answers, and differ only in the later questions."""
    ids = {"A": set(), "B": set()}
    turns = {"A": ["s", "u"], "B": ["s", "u"]}
    for number in range(5):
        for name, so_far in turns.items():
            ids[name].add(process(*so_far))
            so_far += ["the same answer", f"{name} asks {number}"]
    assert [1, 1] == [len(chat_ids) for chat_ids in ids.values()]
    assert ids["A"] != ids["B"]


def test_two_identical_conversations_have_two_ids(process):
    """They continue in the order in which they came."""
    first, second = process("s", "u"), process("s", "u")
    assert [first, second] == [process("s", "u", "a", "v") for _ in range(2)]
    assert [first, second] == [process("s", "u", "a", "v", "a", "w") for _ in range(2)]
    assert first != second


def test_long_lists_are_told_apart_by_their_ends(process):
    """The turns in the middle are not hashed."""
    turns = {name: ["s", "u", *(f"{name} {n % 3}" for n in range(60))] for name in "ab"}
    ids = {name: {process(*so_far)} for name, so_far in turns.items()}
    for number in range(20):
        for name, so_far in turns.items():
            so_far += [f"{name} asks {number}", "answer"]
            ids[name].add(process(*so_far))
    assert [1, 1] == [len(chat_ids) for chat_ids in ids.values()]
    assert ids["a"] != ids["b"]


def test_the_answer_shows_which_conversation_continues(process):
    """Several calls with one list may continue in any order, or not at all."""
    answers = ["one", "two", "three"]
    request_body = {"messages": chat("s", "u")}
    ids = {
        text: process.identify(
            request_body,
            answer_hash=hash_answer(
                {"choices": [{"message": {"role": "assistant", "content": text}}]}
            ),
        ).chat_id
        for text in answers
    }
    assert 3 == len(set(ids.values()))
    for text in ("two", "three"):
        assert ids[text] == process("s", "u", text, "more")
    assert ids["one"] == process("s", "u", "not what was answered", "more")


def test_calls_with_the_same_examples_are_separate_conversations(process):
    """Few-shot prompts have one opening, and each is answered once."""
    shots = ["s", "example 1", "answer 1", "example 2", "answer 2"]
    ids = [process(*shots, f"question {number}") for number in range(20)]
    assert 20 == len(set(ids))
    assert ids[7] == process(*shots, "question 7", "a", "go on")


def test_a_retry_is_the_same_call(process):
    """A call that failed is repeated with the same list, maybe several times."""
    first = process("s", "u", answered=False)
    assert first == process("s", "u", answered=False) == process("s", "u")
    assert first != process("s", "u")


def test_a_regenerated_answer_is_in_the_same_conversation(process):
    """The program sends the last question again, or words it differently."""
    first = process("s", "u1")
    assert first == process("s", "u1", "a1", "u2")
    assert first == process("s", "u1", "a1", "u2")
    assert first == process("s", "u1", "a1", "u2 otherwise")


def test_caching_marks_that_move_change_nothing(process):
    """Anthropic's and Bedrock's cache markers are not part of the conversation."""
    mark = {"cache_control": {"type": "ephemeral"}}
    plain, marked = "hello", [{"type": "text", "text": "hello", **mark}]
    point = [{"text": "hello"}, {"cachePoint": {"type": "default"}}]
    continuation = [{"role": "assistant", "content": "a"}, {"role": "user", "content": marked}]
    url = "https://api.anthropic.com/v1/messages"
    ids = [
        process.identify(
            {"system": system, "messages": [{"role": "user", "content": text}, *later]}, url
        )
        for system, text, later in [
            ("s", marked, []),
            ([{"type": "text", "text": "s"}], plain, continuation),
        ]
    ]
    assert ids[0] == ids[1]
    other = Process()
    bedrock = "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse"
    first = other.identify({"messages": [{"role": "user", "content": point}]}, bedrock)
    longer = [
        {"role": "user", "content": [{"text": "hello"}]},
        {"role": "assistant", "content": [{"text": "a"}]},
    ]
    assert first == other.identify({"messages": longer}, bedrock)


@pytest.mark.slow
def test_the_number_of_remembered_calls_is_limited(process):
    """A process may make calls for months."""
    first = process("s", "u", "a", "the first")
    for number in range(MAX_ENTRIES + 100):
        process("s", f"one-shot {number}")
    parts = process.conversations
    sizes = [len(recent._entries) for recent in (parts._openings, parts._matcher._calls)]
    assert [MAX_ENTRIES, MAX_ENTRIES] == sizes
    assert first == process("s", "u", "a", "the first", "b", "v")  # by its opening


def test_many_conversations_with_one_opening_have_separate_ids(process):
    """Two hundred at once get equal answers, and then differ in the second question."""
    names = [f"user {number}" for number in range(200)]
    turns = {name: ["s", "hi"] for name in names}
    ids = {name: set() for name in names}
    for _ in range(3):
        for name, so_far in turns.items():
            ids[name].add(process(*so_far))
            so_far += ["hello", name]
    assert {1} == set(map(len, ids.values()))
    assert 200 == len(set.union(*ids.values()))


# providers

BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model"
SHAPES = {
    "OpenAI": (CHAT, lambda turns: {"messages": chat("s", *turns)}),
    "OpenAI developer": (
        CHAT,
        lambda turns: {"messages": [{"role": "developer", "content": "s"}, *chat("", *turns)[1:]]},
    ),
    "OpenAI Responses": (
        RESPONSES,
        lambda turns: {
            "instructions": "s",
            "input": chat("", *turns)[1:] if len(turns) > 1 else turns[0],
        },
    ),
    "Azure": (
        "https://x.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=1",
        lambda turns: {"messages": chat("s", *turns)},
    ),
    "Anthropic": (
        "https://api.anthropic.com/v1/messages",
        lambda turns: {
            "system": [{"type": "text", "text": "s"}],
            "messages": [
                {"role": turn["role"], "content": [{"type": "text", "text": turn["content"]}]}
                for turn in chat("", *turns)[1:]
            ],
        },
    ),
    "Gemini": (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini:generateContent",
        lambda turns: {
            "systemInstruction": {"parts": [{"text": "s"}]},
            "contents": [
                {"role": role, "parts": [{"text": text}]}
                for role, text in zip(["user", "model"] * 9, turns)
            ],
        },
    ),
    "Bedrock Converse": (
        f"{BEDROCK}/anthropic.claude/converse-stream",
        lambda turns: {
            "system": [{"text": "s"}],
            "messages": [
                {"role": turn["role"], "content": [{"text": turn["content"]}]}
                for turn in chat("", *turns)[1:]
            ],
        },
    ),
    "Bedrock InvokeModel": (
        f"{BEDROCK}/anthropic.claude/invoke",
        lambda turns: {"system": "s", "messages": chat("", *turns)[1:]},
    ),
    "Cohere v2": ("https://api.cohere.com/v2/chat", lambda turns: {"messages": chat("s", *turns)}),
    "Cohere v1": (
        "https://api.cohere.com/v1/chat",
        lambda turns: {
            "preamble": "s",
            "chat_history": [
                {"role": role, "message": text}
                for role, text in zip(["USER", "CHATBOT"] * 9, turns[:-1])
            ],
            "message": turns[-1],
        },
    ),
    "Mistral": (
        "https://api.mistral.ai/v1/chat/completions",
        lambda turns: {"messages": chat("s", *turns)},
    ),
    "Ollama": ("http://localhost:11434/api/chat", lambda turns: {"messages": chat("s", *turns)}),
    "Hugging Face": (
        "https://router.huggingface.co/v1/chat/completions",
        lambda turns: {"messages": chat("s", *turns)},
    ),
    "DashScope": (
        "https://dashscope.aliyuncs.com/api/v1/services/aigc/text-generation/generation",
        lambda turns: {"input": {"messages": chat("s", *turns)}},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_lists_of_each_provider_are_read(shape, process):
    """Two conversations alternate, in the provider's own format."""
    url, make = SHAPES[shape]
    ids = {"ann": set(), "ben": set()}
    turns = {name: [f"{name} says hello"] for name in ids}
    for number in range(4):
        for name, so_far in turns.items():
            conversation = process.identify(json.loads(json.dumps(make(so_far))), url)
            assert "derived" == conversation.source
            ids[name].add(conversation.chat_id)
            so_far += [f"answer {number}", f"question {number}"]
    assert [1, 1] == [len(chat_ids) for chat_ids in ids.values()]
    assert ids["ann"] != ids["ben"]
    again = Process().identify(make(turns["ann"]), url)
    assert {again.chat_id} == ids["ann"]


PROMPTS = [
    (OPENAI + "/v1/completions", {"prompt": "p"}),
    (f"{BEDROCK}/meta.llama/invoke", {"prompt": "p"}),
    (f"{BEDROCK}/amazon.titan-text/invoke", {"inputText": "p"}),
    ("http://localhost:11434/api/generate", {"system": "s", "prompt": "p"}),
    ("https://api-inference.huggingface.co/models/org/name", {"inputs": "p"}),
    ("https://api.replicate.com/v1/models/o/n/predictions", {"input": {"prompt": "p"}}),
    (RESPONSES, {"input": "p"}),
]


@pytest.mark.parametrize(("url", "request_body"), PROMPTS)
def test_a_prompt_is_a_conversation_of_one_turn(url, request_body):
    """Its chat id is the same in every process."""
    conversation = Process().identify(request_body, url)
    assert "derived" == conversation.source
    assert conversation == Process().identify(request_body, url)


OTHER_CALLS = [
    (OPENAI + "/v1/embeddings", {"input": "text"}),
    (OPENAI + "/v1/images/generations", {"prompt": "a cat"}),
    (OPENAI + "/v1/audio/speech", {"input": "text"}),
    (OPENAI + "/v1/moderations", {"input": "text"}),
    ("https://api.cohere.com/v2/rerank", {"query": "q", "documents": ["d"]}),
    ("https://api.anthropic.com/v1/messages/count_tokens", {"messages": chat("s", "u")}),
    ("https://generativelanguage.googleapis.com/v1beta/models/g:embedContent", {"content": {}}),
    (OPENAI + "/v1/files", {}),
]


@pytest.mark.parametrize(("url", "request_body"), OTHER_CALLS)
def test_calls_outside_a_conversation_have_no_chat_id(url, request_body, process):
    """Such as embeddings, images, speech, rankings and counts."""
    assert process.identify(request_body, url) is None


# ids in calls

AGENTS = "https://bedrock-agent-runtime.us-east-1.amazonaws.com"
CALLS_WITH_ID = [
    (RESPONSES, {"conversation": "conv_1", "input": "hi"}, "conv_1"),
    (RESPONSES, {"conversation": {"id": "conv_1"}, "input": "hi"}, "conv_1"),
    (OPENAI + "/v1/threads/thread_1/runs", {"assistant_id": "asst_1"}, "thread_1"),
    (OPENAI + "/v1/threads/thread_1/messages", {"content": "hi"}, "thread_1"),
    ("https://api.anthropic.com/v1/messages", {"container": "cnt_1", "messages": []}, "cnt_1"),
    ("https://api.anthropic.com/v1/messages", {"container": {"id": "cnt_1"}}, "cnt_1"),
    ("https://api.mistral.ai/v1/conversations/conv_1", {"inputs": "hi"}, "conv_1"),
    (
        f"{AGENTS}/agents/A/agentAliases/B/sessions/s%3A1/text",
        {"inputText": "hi"},
        "s:1",
    ),
    (
        f"{AGENTS}/retrieveAndGenerate",
        {"sessionId": "s-1", "input": {"text": "hi"}},
        "s-1",
    ),
]


@pytest.mark.parametrize(("url", "request_body", "expected"), CALLS_WITH_ID)
def test_the_providers_id_is_the_chat_id(url, request_body, expected, process):
    """It is a member of the body, or part of the path."""
    assert (expected, "api") == process.identify(request_body, url)


@pytest.mark.parametrize(
    ("url", "member"),
    [
        (RESPONSES, "previous_response_id"),
        (
            "https://generativelanguage.googleapis.com/v1beta/interactions",
            "previous_interaction_id",
        ),
    ],
)
def test_a_chain_of_answers_is_one_conversation(url, member, process):
    """The id of the first call is derived from its opening, and the others take it over."""
    first = process.identify({"input": "hi"}, url, response_id="r0")
    assert "derived" == first.source
    for number in range(5):
        request_body = {"input": "and then?", member: f"r{number}"}
        conversation = process.identify(request_body, url, response_id=f"r{number + 1}")
        assert (first.chat_id, "api") == conversation


def test_a_chain_from_another_process_has_the_id_of_its_last_answer(process):
    """After a restart, no earlier call is known."""
    request_body = {"input": "hi", "previous_response_id": "resp_7"}
    first = process.identify(request_body, RESPONSES, response_id="resp_8")
    later = process.identify({**request_body, "previous_response_id": "resp_8"}, RESPONSES)
    assert ("resp_7", "api") == first == later


def test_the_id_of_an_answer_that_no_call_can_continue_is_not_kept(process):
    """A service makes many calls, and each kept id would take memory."""
    process.identify({"messages": chat("", "hi")}, CHAT, response_id="chatcmpl-1")
    later = process.identify({"input": "hi", "previous_response_id": "chatcmpl-1"}, RESPONSES)
    assert ("chatcmpl-1", "api") == later


def test_the_new_turns_of_a_stored_conversation_are_no_opening(process):
    """They are not the list of another conversation."""
    process.identify({"conversation": "conv_1", "input": "hi"}, RESPONSES)
    plain = process.identify({"input": "hi"}, RESPONSES)
    assert "derived" == plain.source
    grown = process.identify({"input": chat("", "hi", "a", "b")[1:]}, RESPONSES)
    assert plain == grown


def test_an_id_in_the_answer_identifies_the_first_call_too(process):
    """The call itself may create the provider's conversation."""
    first = process.identify({"input": "hi"}, RESPONSES, conversation_id="conv_1")
    later = process.identify({"input": "and?", "conversation": "conv_1"}, RESPONSES)
    assert ("conv_1", "api") == first == later


def test_a_late_id_does_not_split_a_conversation(process):
    """Anthropic creates a container when the model first runs code in it."""
    url = "https://api.anthropic.com/v1/messages"
    first = process.identify({"messages": chat("s", "u")}, url)
    second = process.identify({"messages": chat("s", "u", "a", "v")}, url, conversation_id="cnt_1")
    third = process.identify(
        {"messages": chat("s", "u", "a", "v", "b", "w"), "container": "cnt_1"}, url
    )
    assert first == second == third


@pytest.mark.parametrize(
    ("url", "member"),
    [
        ("https://openrouter.ai/api/v1/chat/completions", "session_id"),
        ("https://api.cohere.com/v1/chat", "conversation_id"),
    ],
)
def test_the_callers_id_is_fingerprinted(url, member):
    """It may be a name or an address; calls with the same id have the same fingerprint."""
    bodies = [{"message": text, "messages": chat("s", text), member: "ann@x.org"} for text in "ab"]
    first, second = (Process().identify(body, url) for body in bodies)
    assert ("api", first) == (first.source, second)
    assert "ann" not in first.chat_id


def test_a_shared_cache_key_does_not_join_conversations():
    """OpenAI's cache key identifies an application or a user, not a conversation."""
    bodies = [{"messages": chat("s", text), "prompt_cache_key": "my-app"} for text in "ab"]
    first, second = (Process().identify(body, CHAT) for body in bodies)
    assert first != second
    assert "derived" == first.source


# odd requests


@pytest.mark.parametrize(
    "request_body",
    [
        {},
        {"messages": None},
        {"messages": 5},
        {"messages": [None, 1, [], {}]},
        {"messages": [{"role": 5, "content": {"a": [1.5, None, True]}}]},
        {"messages": [{"content": "\ud800"}]},
        {"messages": [{"role": {}, "content": "text"}, {"role": [], "parts": "text"}]},
        {"contents": {"role": "user"}, "system": 7},
        {"input": [["nested"], {"text": None}], "conversation": 3, "previous_response_id": []},
    ],
)
def test_odd_requests_cause_no_error(request_body, process):
    """A program may send anything; the same request gives the same result again."""
    for url in (CHAT, RESPONSES):
        conversation = process.identify(request_body, url, answered=False)
        assert conversation == process.identify(request_body, url, answered=False)


def test_a_body_that_is_nested_too_deeply_has_no_conversation(process):
    """Python's recursion limit causes no error."""
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert process.identify({"messages": [{"role": "user", "content": deep}]}) is None
    while deep:
        deep = deep.pop()


def test_no_text_is_kept(process):
    """Only hashes are: no object that the conversations refer to contains text of a turn."""
    import gc

    secret = "a secret that nobody else has written down"
    chat_id = process("s " + secret, "u " + secret, "a " + secret)
    assert secret not in chat_id
    seen, objects = set(), [process.conversations]
    while objects:
        value = objects.pop()
        if id(value) not in seen and not isinstance(value, type):
            seen.add(id(value))
            assert not (isinstance(value, (str, bytes)) and secret in str(value))
            if type(value).__module__.startswith("lupis") or isinstance(value, (dict, list, tuple)):
                objects += gc.get_referents(value)


# large requests

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 30_000}}
QUESTION = {"role": "user", "content": [PICTURE, {"type": "text", "text": "What is this?"}]}


def read_large(*turns, reader=None, **members):
    """The members of a request, as the background thread reads them."""
    request_body = {"model": "m", "messages": turns, **members}
    return (reader or RequestReader()).read_body([json.dumps(request_body).encode()])


@pytest.mark.parametrize("more", [(), ({"role": "assistant", "content": "A tree."},) * 3])
def test_a_picture_does_not_change_the_chat_id(more):
    """The chat id is a fingerprint of the whole opening."""
    parsed = {"model": "m", "messages": [QUESTION, *more]}
    assert Process().identify(parsed) == Process().identify(read_large(QUESTION, *more))
    assert "auto-9a0375eaca9c05ce408f" == Process().identify(parsed).chat_id


def test_another_picture_is_another_conversation(process):
    """Pictures are compared by their hashes."""
    other = json.loads(json.dumps(QUESTION).replace("QUJDQUJD", "QUJEQUJE"))
    assert process.identify(read_large(QUESTION)) != process.identify(read_large(other))


@pytest.mark.parametrize("steps", [1, 2, 30])
def test_the_calls_of_a_long_chat_are_one_conversation(process, steps):
    """Its calls add a few or many turns; the beginning and the newest turns tell."""
    turns = chat("s", *(f"{number} " + "w " * 40 for number in range(1500)))
    reader = RequestReader()
    ids = {
        process.identify(read_large(*turns[:length], reader=reader)).chat_id
        for length in range(1002, 1500, 2 * steps)
    }
    assert 1 == len(ids)
    assert {Process()("s", turns[1]["content"])} == ids


def test_a_long_chat_may_be_full_of_escapes(process):
    """Some libraries escape all letters but ASCII."""
    turns = chat("s", *("é" * 100 + str(number) for number in range(2000)))
    reader = RequestReader()
    ids = {
        process.identify(read_large(*turns[:length], reader=reader)).chat_id
        for length in (1500, 1502, 2000)
    }
    assert 1 == len(ids)


def test_long_chats_with_one_opening_are_told_apart(process):
    """They differ in their last turns."""
    turns = chat("s", *(f"{number} " + "w " * 40 for number in range(1000)))
    reader = RequestReader()
    calls = [
        read_large(*turns, *chat("s", "u", answer, "more")[1:length], reader=reader)
        for length in (3, 4)
        for answer in ("a", "b")
    ]
    first, second, *later = [process.identify(request_body).chat_id for request_body in calls]
    assert (True, [first, second]) == (first != second, later)


# fingerprints


def test_identical_requests_have_one_fingerprint(process):
    """Members beside the model and the messages do not count, nor does the process."""
    fingerprint = process.fingerprint({"messages": chat("s", "u")})
    assert re.fullmatch("[0-9a-f]{20}", fingerprint)
    other_process = Process()
    assert fingerprint == other_process.fingerprint({"messages": chat("s", "u"), "top_p": 1})
    assert fingerprint == other_process.fingerprint({"messages": chat("s", "u")}, named=True)


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ({"messages": chat("s", "v")}, {}),
        ({"messages": chat("s", "u", "a", "u")}, {}),
        ({"messages": chat("s", "u")}, {"model": "n"}),
        ({"messages": chat("s", "u"), "previous_response_id": "r"}, {}),
    ],
    ids=["text", "turns", "model", "answer before"],
)
def test_other_requests_have_other_fingerprints(body, options, process):
    """Each of these parts counts."""
    assert process.fingerprint({"messages": chat("s", "u")}) != process.fingerprint(body, **options)


def test_fingerprints_need_the_key(process):
    """Nobody without the key can guess a prompt from its fingerprint."""
    body = {"messages": chat("s", "u")}
    assert process.fingerprint(body) != Process(b"other").fingerprint(body)


def test_embeddings_have_fingerprints_but_no_conversation(process):
    """The same text may be embedded again and again."""
    url = OPENAI + "/v1/embeddings"
    identities = [process.recognise({"input": ["a"]}, url) for _ in range(2)]
    assert [None, None] == [identity.conversation for identity in identities]
    assert identities[0].fingerprint == identities[1].fingerprint is not None


def test_requests_without_messages_have_no_fingerprint(process):
    """Those that are too large to be read are not all identical."""
    assert None is process.fingerprint({"model": "m"})


def test_pictures_count_in_fingerprints(process):
    """Stand-ins replace them while the request is parsed; they differ between processes."""
    bodies = [
        json.dumps({"messages": [{"role": "user", "content": letter * 100_000}]}).encode()
        for letter in "aba"
    ]
    reader = RequestReader()
    first, other, again = (process.fingerprint(reader.read_body([body])) for body in bodies)
    assert first == again != other


def test_long_lists_are_fingerprinted_by_their_ends(process):
    """The cost of a call does not grow with the conversation."""
    bodies = [{"messages": chat("s", *map(str, range(count)))} for count in (500, 501)]
    assert process.fingerprint(bodies[0]) != process.fingerprint(bodies[1])
    written = b"".join(read_turns(bodies[0]).write_ends(["m"]))
    assert len(written) < 1000
