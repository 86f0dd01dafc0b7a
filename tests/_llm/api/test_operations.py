"""Operations that a request path means."""

from __future__ import annotations

import pytest

from lupis_instrument._llm.api.operations import (
    _BY_LAST_WORD,
    _OPERATIONS,
    ANYWHERE,
    KNOWN,
    LIKELY,
    NESTED_OPERATIONS,
    OTHER_API,
    find_nested_operation,
    find_operation,
)


@pytest.mark.parametrize(
    ("path", "trust", "name"),
    [
        ("/v1/chat/completions", ANYWHERE, "chat"),
        ("/v1/messages", ANYWHERE, "chat"),
        ("/v1/messages/batches", ANYWHERE, None),
        ("/v1/messages", LIKELY, "chat"),
        ("/responses", LIKELY, "chat"),
        ("/responses", ANYWHERE, None),
        ("/v1/survey/responses", LIKELY, None),
        ("/responses", KNOWN, "chat"),
        ("/v1beta/models/g:generateContent", ANYWHERE, "generate_content"),
        ("/v1beta/models/g:countTokens", ANYWHERE, "count_tokens"),
        ("/openai/deployments/d/embeddings", ANYWHERE, "embeddings"),
        ("/model/m/converse-stream", ANYWHERE, "chat"),
        ("/model/cohere.rerank-v3/invoke", ANYWHERE, "rerank"),
        ("/chat/completions/vote", KNOWN, None),
        ("/", KNOWN, None),
        ("", KNOWN, None),
    ],
)
def test_path_needs_trust_in_the_host(path, trust, name):
    """A path means an operation only on a host with enough trust."""
    operation = find_operation(path, trust)
    assert name == (operation and operation.name)


@pytest.mark.parametrize(
    ("path", "provider", "name"),
    [
        ("/v1/responses/resp_1", "openai", "chat"),
        ("/v1/responses/resp_1/cancel", "openai", "chat"),
        ("/v1/threads/t/runs/r", "openai", "invoke_agent"),
        ("/models/org/name", "hugging_face", "text_completion"),
        ("/models/org/name", "openai", None),
        ("/agents/a", "aws.bedrock", "invoke_agent"),
        ("/agents/a", "mistral_ai", None),
        ("/v1/files", "openai", None),
    ],
)
def test_nested_path_belongs_to_its_provider(path, provider, name):
    """A path that ends with the caller's name means an operation at one provider only."""
    operation = find_nested_operation(path, provider)
    assert name == (operation and operation.name)


def test_each_row_is_in_the_index():
    """Each row is found by a last word of its path."""
    indexed = {operation for rows in _BY_LAST_WORD.values() for operation in rows}
    assert set() == set(_OPERATIONS) - indexed


def test_the_path_of_each_row_is_found():
    """The path of a row means its own operation, or an earlier row with the same path."""
    for operation in _OPERATIONS:
        if not operation.is_pattern:
            assert operation.matches_path(f"/v1{operation.path}")
            assert find_operation(operation.path, KNOWN) is not None, operation


@pytest.mark.parametrize("path", ["/v1/responses/x", "/v1/chat/completions/x", "/predictions/x"])
def test_stored_result_uses_no_tokens(path):
    """Operations on stored results use no tokens."""
    provider = "replicate" if "predictions" in path else "openai"
    assert find_nested_operation(path, provider).uses_tokens is False


def test_moderation_is_another_api():
    """A moderation is an operation without tokens, whose response is not read."""
    operation = find_operation("/v1/moderations", KNOWN)
    assert (OTHER_API, False) == (operation.api, operation.uses_tokens)


def test_nested_rows_are_patterns():
    """All rows for nested paths are patterns, since their last word is unknown."""
    assert all(operation.is_pattern for operation in NESTED_OPERATIONS)
