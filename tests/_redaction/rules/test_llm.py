"""Keys of LLM providers are redacted; names of models and libraries stay."""

from __future__ import annotations

import base64

import pytest
from servers.rows import check_rows

from lupis_instrument._redaction.rules.llm import LLM_RULES

RULES = LLM_RULES

BODY = "7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eUo0iXtBqWy"


def test_examples_are_redacted(examples, check_redacted):
    """No mode shows a secret of a rule's example."""
    check_rows(check_redacted, examples)


def test_near_misses_stay(near_misses, find_secrets):
    """A rule finds nothing in a text that only resembles its secrets."""
    assert [] == [text for rule, text in near_misses if find_secrets(rule, text)]


@pytest.mark.parametrize(
    ("text", "rule_id"),
    [
        (f"OPENAI sk-proj-{BODY}", "sk-key"),
        (f"Incorrect API key provided: sk-ant-api03-{BODY}", "sk-key"),
        (f"OpenRouter: sk-or-v1-{'0123456789abcdef' * 4}", "sk-key"),
        (f"GET /v1beta/models?alt=sse&AIza{BODY[:35]}", "google-api-key"),
        (f"(ya29.{BODY})", "google-access-token"),
        (f"<gsk_{BODY}>", "groq"),
        (f"xai-{BODY}, no credits", "xai"),
        (f"user hf_{BODY}", "hugging-face"),
        (f"secret is ek_{BODY[:32]}", "openai-ephemeral"),
        (f"{'9f86d081' * 4}.{BODY[:16]}", "zhipu"),
        (f"Key 3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d:{'9f86d081' * 4}", "fal"),
        (f"v1.Cm{BODY * 4}.{BODY * 2}", "nebius"),
        (f"({'key_' + '9f86d081' * 16})", "runway"),
        (f"{BODY}{BODY[:10]}JQQJ99{BODY[:26]}", "azure-ai-key"),
    ],
)
def test_key_is_attributed_to_its_provider(text, rule_id, name_rules):
    """An explanation names the rule of the provider whose key it is."""
    assert name_rules(text) == [rule_id]


@pytest.mark.parametrize("prefix", ["sk-proj-", "sk-ant-", "sk-or-", "sk-svcacct-"])
def test_key_in_base64_is_redacted(prefix, remove_secrets):
    """A key in a Kubernetes secret is encoded in base64."""
    encoded = base64.b64encode(f"{prefix}{BODY}".encode()).decode()
    assert remove_secrets(f"data: {encoded}") == "data: [REDACTED]"


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-contrib-project-template",
        "gemini-2.5-pro-preview-05-06",
        "hf_hub_download",
        "key_value_store_of_the_application",
        "9f86d081884c7d659a2feaa0c55ad015.min.js",
        "3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d:3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d",
        "app-router-and-server-actions",
        "pa-rallel processing of many things in one go",
    ],
)
def test_name_of_a_model_or_library_stays(text, remove_secrets):
    """A chain of words that begins like a key is none."""
    assert remove_secrets(text) is text
