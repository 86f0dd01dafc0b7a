"""The conversation ids that requests contain."""

from __future__ import annotations

import pytest

from lupis_instrument._llm.conversation.ids import RequestIds, read_ids


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ({"conversation": "conv_1"}, RequestIds(conversation="conv_1")),
        ({"conversation": {"id": "conv_1"}}, RequestIds(conversation="conv_1")),
        ({"thread_id": "thread_1"}, RequestIds(conversation="thread_1")),
        ({"container": "cnt_1"}, RequestIds(conversation="cnt_1")),
        ({"container": {"id": "cnt_1"}}, RequestIds(conversation="cnt_1")),
        ({"sessionId": "s-1"}, RequestIds(conversation="s-1")),
        ({"previous_response_id": "resp_1"}, RequestIds(previous_answer="resp_1")),
        ({"previous_interaction_id": "int_1"}, RequestIds(previous_answer="int_1")),
        ({"conversation_id": "ann"}, RequestIds(caller="ann")),
        ({"session_id": "ann"}, RequestIds(caller="ann")),
        ({"model": "m", "user": "ann"}, RequestIds()),
    ],
)
def test_members_of_the_body_are_read(request_body, expected):
    """Each member that holds an id has its kind; other members have none."""
    assert expected == read_ids("/", request_body)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/threads/thread_1/runs", "thread_1"),
        ("/v1/threads/thread_1", None),  # no call of a model
        ("/v1/conversations/conv_1", "conv_1"),
        ("/v1/conversations/conv_1?stream=true", "conv_1"),
        ("/v1/conversations", None),
        ("/agents/A/agentAliases/B/sessions/s%3A1/text", "s:1"),
        ("/v1/chat/completions", None),
    ],
)
def test_paths_are_read(path, expected):
    """Percent-encoded characters are decoded."""
    assert RequestIds(conversation=expected) == read_ids(path, {})


def test_the_body_has_precedence_over_the_path():
    """Both name a conversation of the provider."""
    assert "body" == read_ids("/conversations/path", {"conversation": "body"}).conversation


def test_the_kinds_are_independent():
    """One request may have an id of each kind."""
    request_body = {"conversation": "c", "previous_response_id": "p", "session_id": "s"}
    assert RequestIds("c", "p", "s") == read_ids("/", request_body)


@pytest.mark.parametrize("value", ["", 7, None, [], {}, {"id": 7}, {"id": {}}, "x" * 257])
def test_other_values_are_no_ids(value):
    """An id is a string of 1 to 256 characters."""
    assert RequestIds() == read_ids("/", {"conversation": value, "previous_response_id": value})


def test_a_long_id_in_a_path_is_cut():
    """Its first 256 characters identify the conversation."""
    assert "x" * 256 == read_ids(f"/conversations/{'x' * 300}", {}).conversation
