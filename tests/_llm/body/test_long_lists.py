"""The list of messages of a long chat is read by its beginning and its newest messages."""

import json

import pytest

from lupis_instrument._llm.body.long_lists import LongLists

MESSAGES = [
    {"role": ("user", "assistant")[number % 2], "content": f'{number} "é" {{[,]}} ' + "w " * 20}
    for number in range(600)
]


def write_body(messages, separators=(", ", ": "), **members):
    """Return a request with these messages between other members."""
    body = {"model": "m", "messages": messages, "stream": True, **members}
    return json.dumps(body, ensure_ascii=False, separators=separators).encode()


@pytest.fixture
def lists():
    """A reader that has read no request."""
    return LongLists(lambda text: len(text) < 10_000_000)


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":"), (" ,\n ", " : ")])
@pytest.mark.parametrize("lengths", [(600,), (500, 502, 504, 600), (600, 300, 100, 17, 5)])
def test_a_chat_is_read_as_it_is(lists, lengths, separators):
    """With and without an earlier call of the chat, from the newest message to the oldest."""
    for length in lengths:
        members = lists.read_members(write_body(MESSAGES[:length], separators))
        messages = members["messages"]
        assert (length, "m", True) == (len(messages), members["model"], members["stream"])
        assert MESSAGES[:length] == [messages[number] for number in reversed(range(length))][::-1]


def test_only_new_messages_are_searched(lists):
    """The elements before the checkpoint are not."""
    for length in (500, 502):
        messages = lists.read_members(write_body(MESSAGES[:length]))["messages"]
    assert len(messages._positions) < 100
    assert MESSAGES[490:502] == messages[490:502]


def test_a_chat_that_differs_is_read_again(lists):
    """Its messages before the checkpoint are others, or have another length."""
    lists.read_members(write_body(MESSAGES))
    others = [*MESSAGES[:300], *MESSAGES[302:]]
    assert others == lists.read_members(write_body(others))["messages"][:]


def test_only_the_text_behind_the_checkpoint_must_be_parsed():
    """The text before it was parsed in an earlier call."""
    sizes = []
    lists = LongLists(lambda text: sizes.append(len(text)) or True)
    for length in (500, 502):
        lists.read_members(write_body(MESSAGES[:length]))
    assert sizes[0] > 10 * sizes[1]


def test_a_text_that_must_not_be_parsed_is_not():
    """The caller scans it."""
    assert None is LongLists(lambda _: False).read_members(write_body(MESSAGES))


@pytest.mark.parametrize("size", [70_000, 1000])
def test_a_list_far_from_the_start_is_not_read(lists, size):
    """The members before it would have to be parsed first."""
    body = json.dumps({"system": "s" * size, "messages": MESSAGES}).encode()
    assert (size > 64 * 1024) == (lists.read_members(body) is None)


@pytest.mark.parametrize("content", ["text", [], [1, [2]], [{}], None, {"a": [1]}])
def test_other_lists_are_read(lists, content):
    """Short ones, empty ones, and members that are no list."""
    members = lists.read_members(json.dumps({"input": content, "model": "m"}).encode())
    value = members["input"]
    assert (content, "m") == (
        value[:] if isinstance(content, list) else value,
        members["model"],
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"messages": [',
        b'{"messages": [1, 2',
        b'{"messages": [1}',
        b'{"messages": [1 2]}',
        b'{"messages": [1]',
        b"{1: 2}",
        b'{"a" 2}',
        b'{"a": 2]',
        b'{"messages": [' + b"[" * 100_000,
        b'{"messages": [' + b"1," * 300_000 + b"1]}",
    ],
)
def test_broken_json_gives_nothing(lists, body):
    """The caller scans it then."""
    assert lists.read_members(body) is None


def test_checkpoints_have_a_bound(lists):
    """Many chats with one beginning share a few."""
    for number in range(40):
        lists.read_members(write_body([*MESSAGES[:100], *MESSAGES[: 40 + number]]))
    (checkpoints,) = lists._checkpoints._entries.values()
    assert len(checkpoints) <= 8
