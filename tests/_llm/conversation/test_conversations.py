"""Which calls are one conversation where nobody has said so."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from lupis_instrument._llm.api.endpoints import identify_endpoint
from lupis_instrument._llm.conversation.conversations import Conversations
from lupis_instrument._llm.conversation.turns import hash_answer, read_turns
from lupis_instrument._llm.recent import MAX_ENTRIES
from lupis_instrument._llm.usage.facts import Facts

OPENAI = "https://api.openai.com"
CHAT = OPENAI + "/v1/chat/completions"
RESPONSES = OPENAI + "/v1/responses"
KEY = b"k" * 32


class Process:
    """What one process has seen; calling it makes a call, and gives the id and its source."""

    def __init__(self, key=KEY):
        self.conversations = Conversations(lambda: key)

    def name(self, asked, url=CHAT, *, ok=True, **facts):
        """The whole name of the conversation that a call belongs to."""
        parts = urlsplit(url)
        endpoint = identify_endpoint("POST", parts.hostname, parts.port or 443, parts.path)
        return self.conversations.identify_call(
            endpoint, parts.path, asked, Facts(**facts), answered=ok
        )

    def __call__(self, *turns, ok=True, **more):
        """The id of a chat whose turns are user's and assistant's by turns."""
        return self.name({"messages": chat(*turns), "model": "m", **more}, ok=ok).chat_id


def chat(*texts):
    """A message list: a system's text, then user and assistant by turns."""
    roles = ["system", *("user", "assistant") * len(texts)]
    return [{"role": role, "content": text} for role, text in zip(roles, texts)]


@pytest.fixture
def process():
    """A process that has seen nothing yet."""
    return Process()


# lists that grow


def test_the_calls_of_a_growing_list_are_one_conversation(process):
    """However long it gets."""
    turns = ["s", "u1"]
    ids = set()
    for number in range(100):
        ids.add(process(*turns))
        turns += [f"a{number}", f"u{number}"]
    assert 1 == len(ids)


@pytest.mark.parametrize("other", [("s", "u2"), ("t", "u1")], ids=["user", "system"])
def test_another_beginning_is_another_conversation(other, process):
    """The system's text counts, and what is said first."""
    assert process("s", "u1") != process(*other)


def test_a_greeting_is_no_beginning_yet(process):
    """What the user says first counts, after it."""
    greeting = {"role": "assistant", "content": "How can I help?"}
    ids = {
        process.name({"messages": [greeting, {"role": "user", "content": text}]}).chat_id
        for text in "abc"
    }
    assert 3 == len(ids)


def test_a_restart_changes_nothing():
    """The beginning is enough, and the key."""
    assert Process()("s", "u1") == Process()("s", "u1", "a1", "u2", "a2", "u3")


def test_another_key_gives_other_ids():
    """Without the key nobody can tell what a conversation begins with."""
    assert Process()("s", "u1") != Process(b"other")("s", "u1")


def test_two_that_begin_alike_are_kept_apart(process):
    """One after the other."""
    first = [process("s", "u"), process("s", "u", "a", "more")]
    second = [process("s", "u"), process("s", "u", "b", "else")]
    assert [first[0]] * 2 == first
    assert [second[0]] * 2 == second
    assert first[0] != second[0]


def test_two_that_begin_alike_and_take_turns_are_kept_apart(process):
    """Also where they are answered alike, and only what is asked then differs."""
    ids = {"A": set(), "B": set()}
    turns = {"A": ["s", "u"], "B": ["s", "u"]}
    for number in range(5):
        for name, so_far in turns.items():
            ids[name].add(process(*so_far))
            so_far += ["the same answer", f"{name} asks {number}"]
    assert [1, 1] == [len(found) for found in ids.values()]
    assert ids["A"] != ids["B"]


def test_two_that_are_the_same_to_the_end_are_two(process):
    """A list that one stands at isn't taken for the other's."""
    first, second = process("s", "u"), process("s", "u")
    assert [first, second] == [process("s", "u", "a", "v") for _ in range(2)]
    assert [first, second] == [process("s", "u", "a", "v", "a", "w") for _ in range(2)]
    assert first != second


def test_of_long_lists_the_ends_tell(process):
    """Each goes on as its own last turns do."""
    turns = {name: ["s", "u", *(f"{name} {n % 3}" for n in range(60))] for name in "ab"}
    ids = {name: {process(*so_far)} for name, so_far in turns.items()}
    for number in range(20):
        for name, so_far in turns.items():
            so_far += [f"{name} asks {number}", "answer"]
            ids[name].add(process(*so_far))
    assert [1, 1] == [len(found) for found in ids.values()]
    assert ids["a"] != ids["b"]


def test_an_answer_tells_which_of_two_goes_on(process):
    """In whatever order they do, and though others never do."""
    answers = ["one", "two", "three"]
    asked = {"messages": chat("s", "u")}
    ids = {
        text: process.name(
            asked,
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


ANSWERS = {
    "OpenAI": ({"choices": [{"message": {"role": "assistant", "content": "a"}}]}, "content"),
    "a tool": ({"choices": [{"message": {"content": None, "tool_calls": ["a"]}}]}, "tool_calls"),
    "Anthropic": ({"role": "assistant", "content": [{"type": "text", "text": "a"}]}, "content"),
    "Gemini": ({"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}}]}, "parts"),
    "Bedrock": ({"output": {"message": {"content": [{"text": "a"}]}}}, "content"),
    "Ollama": ({"message": {"role": "assistant", "content": "a"}}, "content"),
    "Cohere": ({"message": {"content": [{"type": "text", "text": "a"}]}}, "content"),
}


@pytest.mark.parametrize("provider", ANSWERS)
def test_an_answer_is_known_again_as_a_turn(provider):
    """In each provider's form."""
    body, name = ANSWERS[provider]
    turns = read_turns({"messages": [{"role": "user", "content": "q"}, {"role": "x", name: "a"}]})
    assert turns.hash_answer(1) == hash_answer(body)


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [1]}, {"content": []}])
def test_a_body_without_an_answer_has_no_mark(body):
    """An error, a part of a stream."""
    assert hash_answer(body) is None


def test_examples_before_the_question_are_no_conversation(process):
    """Few-shot prompts begin alike, and are answered once each."""
    shots = ["s", "example 1", "answer 1", "example 2", "answer 2"]
    ids = [process(*shots, f"question {number}") for number in range(20)]
    assert 20 == len(set(ids))
    assert ids[7] == process(*shots, "question 7", "a", "go on")


def test_a_retry_is_the_same_call(process):
    """A list that was not answered is sent again, maybe several times."""
    first = process("s", "u", ok=False)
    assert first == process("s", "u", ok=False) == process("s", "u")
    assert first != process("s", "u")


def test_an_answer_made_anew_is_in_the_same_conversation(process):
    """The last question is sent again, or worded otherwise."""
    first = process("s", "u1")
    assert first == process("s", "u1", "a1", "u2")
    assert first == process("s", "u1", "a1", "u2")
    assert first == process("s", "u1", "a1", "u2 otherwise")


def test_caching_marks_that_move_change_nothing(process):
    """Anthropic's and Bedrock's, whether a text stands alone or in a list."""
    mark = {"cache_control": {"type": "ephemeral"}}
    plain, marked = "hello", [{"type": "text", "text": "hello", **mark}]
    point = [{"text": "hello"}, {"cachePoint": {"type": "default"}}]
    more = [{"role": "assistant", "content": "a"}, {"role": "user", "content": marked}]
    url = "https://api.anthropic.com/v1/messages"
    ids = [
        process.name(
            {"system": system, "messages": [{"role": "user", "content": text}, *rest]}, url
        )
        for system, text, rest in [
            ("s", marked, []),
            ([{"type": "text", "text": "s"}], plain, more),
        ]
    ]
    assert ids[0] == ids[1]
    other = Process()
    bedrock = "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse"
    first = other.name({"messages": [{"role": "user", "content": point}]}, bedrock)
    rest = [{"role": "assistant", "content": [{"text": "a"}]}]
    longer = [{"role": "user", "content": [{"text": "hello"}]}, *rest]
    assert first == other.name({"messages": longer}, bedrock)


def test_what_is_remembered_is_bounded(process):
    """A process that makes calls for months."""
    first = process("s", "u", "a", "the first")
    for number in range(MAX_ENTRIES + 100):
        process("s", f"one-shot {number}")
    parts = process.conversations
    sizes = [len(recent._entries) for recent in (parts._openings, parts._matcher._calls)]
    assert [MAX_ENTRIES, MAX_ENTRIES] == sizes
    assert first == process("s", "u", "a", "the first", "b", "v")  # by its beginning


def test_many_that_begin_alike_at_once_are_kept_apart(process):
    """Two hundred, answered alike, that then say what only they say."""
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
def test_each_providers_lists_are_read(shape, process):
    """Two conversations that take turns, in the provider's own form."""
    url, make = SHAPES[shape]
    ids = {"ann": set(), "ben": set()}
    turns = {name: [f"{name} says hello"] for name in ids}
    for number in range(4):
        for name, so_far in turns.items():
            found = process.name(json.loads(json.dumps(make(so_far))), url)
            assert "derived" == found.source
            ids[name].add(found.chat_id)
            so_far += [f"answer {number}", f"question {number}"]
    assert [1, 1] == [len(found) for found in ids.values()]
    assert ids["ann"] != ids["ben"]
    again = Process().name(make(turns["ann"]), url)
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


@pytest.mark.parametrize(("url", "asked"), PROMPTS)
def test_a_prompt_is_a_conversation_of_one_turn(url, asked):
    """The same in every process."""
    found = Process().name(asked, url)
    assert ("derived", found) == (found.source, Process().name(asked, url))


OUTSIDE = [
    (OPENAI + "/v1/embeddings", {"input": "text"}),
    (OPENAI + "/v1/images/generations", {"prompt": "a cat"}),
    (OPENAI + "/v1/audio/speech", {"input": "text"}),
    (OPENAI + "/v1/moderations", {"input": "text"}),
    ("https://api.cohere.com/v2/rerank", {"query": "q", "documents": ["d"]}),
    ("https://api.anthropic.com/v1/messages/count_tokens", {"messages": chat("s", "u")}),
    ("https://generativelanguage.googleapis.com/v1beta/models/g:embedContent", {"content": {}}),
    (OPENAI + "/v1/files", {}),
]


@pytest.mark.parametrize(("url", "asked"), OUTSIDE)
def test_calls_that_say_nothing_are_in_no_conversation(url, asked, process):
    """Embeddings, pictures, sounds, ranks, counts."""
    assert process.name(asked, url) is None


# ids of the APIs

AGENTS = "https://bedrock-agent-runtime.us-east-1.amazonaws.com"
CARRIED = [
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


@pytest.mark.parametrize(("url", "asked", "expected"), CARRIED)
def test_the_providers_own_id_is_taken(url, asked, expected, process):
    """From the body, or from the path."""
    assert (expected, "api") == process.name(asked, url)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        (RESPONSES, "previous_response_id"),
        (
            "https://generativelanguage.googleapis.com/v1beta/interactions",
            "previous_interaction_id",
        ),
    ],
)
def test_a_chain_of_answers_is_one_conversation(url, word, process):
    """The first call is named by its beginning, the others by the first."""
    first = process.name({"input": "hi"}, url, response_id="r0")
    assert "derived" == first.source
    for number in range(5):
        asked = {"input": "and then?", word: f"r{number}"}
        found = process.name(asked, url, response_id=f"r{number + 1}")
        assert (first.chat_id, "api") == found


def test_a_chain_that_began_elsewhere_is_one_from_here_on(process):
    """After a restart: the answer gone on from is what there is."""
    asked = {"input": "hi", "previous_response_id": "resp_7"}
    first = process.name(asked, RESPONSES, response_id="resp_8")
    later = process.name({**asked, "previous_response_id": "resp_8"}, RESPONSES)
    assert ("resp_7", "api") == first == later


def test_new_turns_alone_are_no_beginning(process):
    """What is sent to a kept conversation is not the list of another."""
    process.name({"conversation": "conv_1", "input": "hi"}, RESPONSES)
    plain = process.name({"input": "hi"}, RESPONSES)
    assert "derived" == plain.source
    grown = process.name({"input": chat("", "hi", "a", "b")[1:]}, RESPONSES)
    assert plain == grown


def test_an_id_that_comes_with_the_answer_names_the_first_call_too(process):
    """A conversation made by the call itself."""
    first = process.name({"input": "hi"}, RESPONSES, conversation_id="conv_1")
    later = process.name({"input": "and?", "conversation": "conv_1"}, RESPONSES)
    assert ("conv_1", "api") == first == later


def test_an_id_that_comes_late_does_not_split_a_conversation(process):
    """Anthropic makes a container when the first code is run in it."""
    url = "https://api.anthropic.com/v1/messages"
    first = process.name({"messages": chat("s", "u")}, url)
    second = process.name({"messages": chat("s", "u", "a", "v")}, url, conversation_id="cnt_1")
    third = process.name(
        {"messages": chat("s", "u", "a", "v", "b", "w"), "container": "cnt_1"}, url
    )
    assert first == second == third


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("https://openrouter.ai/api/v1/chat/completions", "session_id"),
        ("https://api.cohere.com/v1/chat", "conversation_id"),
    ],
)
def test_what_the_caller_words_does_not_leave_as_it_is(url, word):
    """It may be a name or an address; calls that share it share an id."""
    asked = [{"message": text, "messages": chat("s", text), word: "ann@x.org"} for text in "ab"]
    first, second = (Process().name(each, url) for each in asked)
    assert ("api", first) == (first.source, second)
    assert "ann" not in first.chat_id


def test_a_cache_that_conversations_share_does_not_make_them_one():
    """OpenAI's key of a prompt's cache is one for an application, or for a user of it."""
    asked = [{"messages": chat("s", text), "prompt_cache_key": "my-app"} for text in "ab"]
    first, second = (Process().name(each, CHAT) for each in asked)
    assert first != second
    assert "derived" == first.source


# faults


@pytest.mark.parametrize(
    "asked",
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
def test_odd_requests_are_no_fault(asked, process):
    """Whatever a program sends: named or not, and the same again."""
    for url in (CHAT, RESPONSES):
        found = process.name(asked, url, ok=False)
        assert found == process.name(asked, url, ok=False)


def test_what_is_nested_too_deeply_is_in_no_conversation(process):
    """Rather than a fault."""
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert process.name({"messages": [{"role": "user", "content": deep}]}) is None
    while deep:
        deep = deep.pop()


def test_nothing_of_the_text_is_kept_or_leaves(process):
    """Only fingerprints are: no text of a turn is reachable from what is remembered."""
    import gc

    secret = "a secret that nobody else has written down"
    found = process("s " + secret, "u " + secret, "a " + secret)
    assert secret not in found
    seen, left = set(), [process.conversations]
    while left:
        thing = left.pop()
        if id(thing) not in seen and not isinstance(thing, type):
            seen.add(id(thing))
            assert not (isinstance(thing, (str, bytes)) and secret in str(thing))
            if type(thing).__module__.startswith("lupis") or isinstance(thing, (dict, list, tuple)):
                left += gc.get_referents(thing)
