"""The turns of a request, and the hashes that recognise them in later requests."""

from __future__ import annotations

import json

import pytest

from lupis_instrument._llm.conversation.turns import hash_answer, read_turns


def user(content, **members):
    """A turn of the user."""
    return {"role": "user", "content": content, **members}


def assistant(content, **members):
    """A turn of the model."""
    return {"role": "assistant", "content": content, **members}


def read_messages(*messages, **members):
    """The turns of a request with these messages."""
    turns = read_turns({"messages": list(messages), **members})
    assert turns is not None
    return turns


def hash_single_turn(turn, **members):
    """The hash of a request with a single turn."""
    return read_messages(turn, **members).hash_turns(1)


# reading


@pytest.mark.parametrize(
    ("request_body", "length"),
    [
        ({"messages": [user("a"), assistant("b"), user("c")]}, 3),
        ({"contents": [{"parts": [{"text": "a"}]}]}, 1),
        ({"contents": {"parts": [{"text": "a"}]}}, 1),
        ({"chat_history": [{"message": "a"}, {"message": "b"}], "message": "c"}, 3),
        ({"message": "a"}, 1),
        ({"input": {"messages": [user("a")]}}, 1),
        ({"thread": {"messages": [user("a"), user("b")]}}, 2),
        ({"input": {"prompt": "a"}}, 1),
        ({"input": "a"}, 1),
        ({"input": ["a", "b"]}, 2),
        ({"inputs": "a"}, 1),
        ({"prompt": "a"}, 1),
        ({"inputText": "a"}, 1),
    ],
)
def test_each_api_has_its_members_for_turns(request_body, length):
    """A list has several turns; any other value is a single turn."""
    assert length == len(read_turns(request_body))


@pytest.mark.parametrize("request_body", [{}, {"messages": []}, {"chat_history": [user("a")]}])
def test_a_request_without_turns_has_none(request_body):
    """An empty list is no conversation, nor is a history without a new message."""
    assert read_turns(request_body) is None


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([user("a")], 1),
        ([{"role": "system", "content": "s"}, user("a"), assistant("b"), user("c")], 2),
        ([assistant("How can I help?"), user("a")], 2),
        ([{"role": "SYSTEM", "content": "s"}, user("a")], 2),
        ([assistant("a"), assistant("b")], 2),
        (["a", "b"], 1),
    ],
)
def test_the_opening_ends_with_the_first_turn_of_the_user(turns, expected):
    """A turn without a role is the user's; without a user, all turns are the opening."""
    assert expected == read_messages(*turns).opening_length


@pytest.mark.parametrize(
    ("turns", "expected"), [([user("a")], True), ([user("a"), assistant("b"), user("c")], False)]
)
def test_is_opening_until_the_model_has_answered(turns, expected):
    """A list that goes beyond the opening has an answer in it."""
    assert expected is read_messages(*turns).is_opening


# hashes of turns


@pytest.mark.parametrize(
    "turn",
    [
        user([{"type": "text", "text": "hello"}]),
        user([{"text": "hello"}]),
        user("hello", type="message"),
        user("hello", name=None),
        user("hello", cache_control={"type": "ephemeral"}),
        user([{"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}]),
        user([{"text": "hello"}, {"cachePoint": {"type": "default"}}]),
        {"role": "user", "parts": [{"text": "hello"}]},
    ],
)
def test_equal_turns_have_one_hash(turn):
    """The form of a text, cache markers and default members make no difference."""
    assert hash_single_turn(user("hello")) == hash_single_turn(turn)


@pytest.mark.parametrize(
    "turn",
    [
        assistant("hello"),
        user("Hello"),
        user("hello", name="ann"),
        user(["hello", "hello"]),
        user([{"type": "text", "text": "hello", "citations": []}]),
        user({"image": "hello"}),
    ],
)
def test_different_turns_have_different_hashes(turn):
    """Role, text, further members and blocks count."""
    assert hash_single_turn(user("hello")) != hash_single_turn(turn)


def test_the_system_prompt_is_part_of_every_hash():
    """The same turns with another system prompt are another conversation."""
    turn = user("hello")
    assert hash_single_turn(turn, system="s") == hash_single_turn(
        turn, system=[{"type": "text", "text": "s"}]
    )
    assert hash_single_turn(turn, system="s") != hash_single_turn(turn, system="t")


def test_the_hash_of_a_prefix_is_the_hash_of_the_shorter_list():
    """So a later call is recognised by the list of an earlier call."""
    turns = [user(f"turn {number}") for number in range(60)]
    whole = read_messages(*turns)
    for length in (1, 2, 15, 16, 17, 18, 40, 60):
        assert whole.hash_turns(length) == read_messages(*turns[:length]).hash_turns(length)


@pytest.mark.parametrize("number", [0, 7, 52, 59])
def test_the_hash_of_a_long_list_covers_both_ends(number):
    """Eight turns at each end."""
    turns = [user(f"turn {number}") for number in range(60)]
    changed = [*turns]
    changed[number] = user("another")
    assert read_messages(*turns).hash_turns(60) != read_messages(*changed).hash_turns(60)


def test_the_hash_of_a_long_list_covers_its_length():
    """Lists of equal turns differ by their number."""
    turns = read_messages(*[user("again")] * 60)
    assert turns.hash_turns(50) != turns.hash_turns(51)


# hashes of answers

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
def test_an_answer_has_the_hash_of_the_turn_that_repeats_it(provider):
    """The response and the next request agree, in each provider's form."""
    body, member = ANSWERS[provider]
    turns = read_messages(user("q"), {"role": "x", member: "a"})
    assert turns.hash_answer(1) == hash_answer(body)


def test_different_answers_have_different_hashes():
    """The text of an answer is part of its hash."""
    first, second = ({"message": {"role": "assistant", "content": text}} for text in "ab")
    assert hash_answer(first) != hash_answer(second)


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [1]}, {"content": []}])
def test_a_body_without_an_answer_has_no_hash(body):
    """Such as an error, or a part of a stream."""
    assert hash_answer(body) is None


# openings

OPENINGS = [
    {"messages": [{"role": "system", "content": "s"}, user("q"), assistant("a"), user("r")]},
    {"messages": [{"role": "system", "content": [{"type": "text", "text": "s"}]}, user("q")]},
    {"messages": [{"role": "SYSTEM", "content": "s"}, {"role": "User", "parts": [{"text": "q"}]}]},
]


@pytest.mark.parametrize("request_body", OPENINGS)
def test_the_opening_is_written_in_one_form(request_body):
    """This form is a contract: the chat ids of derived conversations are made from it."""
    expected = [None, ["system", "s"], ["user", "q"]]
    assert json.dumps(expected).encode() == b"".join(read_turns(request_body).write_opening())


def test_the_opening_has_the_system_prompt():
    """It is the first element; a turn that is only a text is the user's."""
    turns = read_turns({"instructions": "s", "input": ["q", "r"]})
    assert b'["s", ["user", "q"]]' == b"".join(turns.write_opening())
