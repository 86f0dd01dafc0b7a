"""Keys of services that store, build and publish software are redacted."""

from __future__ import annotations

import pytest
from servers.rows import check_rows

from lupis_instrument._redaction.rules.development import DEVELOPMENT_RULES

RULES = DEVELOPMENT_RULES

BODY = "7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eUo0iXtBqWy"


def test_examples_are_redacted(examples, check_redacted):
    """No mode shows a secret of a rule's example."""
    check_rows(check_redacted, examples)


def test_near_misses_stay(near_misses, find_secrets):
    """A rule finds nothing in a text that only resembles its secrets."""
    assert [] == [text for rule, text in near_misses if find_secrets(rule, text)]


@pytest.mark.parametrize("prefix", ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"])
def test_github_token_in_a_git_url(prefix, remove_secrets):
    """A token in the URL of a repository is redacted; the URL stays readable."""
    url = f"https://{prefix}{BODY[:36]}@github.com/acme/app.git"
    assert remove_secrets(url) == "https://[REDACTED]@github.com/acme/app.git"


@pytest.mark.parametrize("key", ["_authToken", "_auth", "_password"])
def test_line_of_npmrc(key, remove_secrets):
    """The credentials of a registry are redacted, the registry's address stays."""
    line = f"//npm.example.com/:{key}="
    assert remove_secrets(f"{line}c2VjcmV0OnZhbHVl") == f"{line}[REDACTED]"


@pytest.mark.parametrize(
    "text", ["npm_config_registry", "pypi-server==2.3.2", "api-version: 2024-10-21", "ico-moon"]
)
def test_name_of_a_tool_stays(text, remove_secrets):
    """A name that begins like a token is none."""
    assert remove_secrets(text) is text
