"""The rules for values: what keys, tokens and numbers of today's services look like, one row a family."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional, Tuple

from .checks import has_digit, is_credential, is_mixed, is_random, passes_luhn

__all__ = ["RULES", "Rule", "has_digit", "is_mixed"]


class Rule(NamedTuple):
    """One family of secret values.

    Attributes:
        id: Short name, shown by explanations.
        literals: Lower-case parts, one of which every match contains; they decide whether ``regex``
            runs at all. One that begins with letters or digits and a separator (``sk-``) is looked
            up by its first piece; one that begins with a blank, at the start of pieces only.
        regex: What is hidden: its group ``secret`` if it has one, else all that it matches. Every
            repeat is bounded, or ends at a character it can't contain, so that the time is linear.
        reason: Why it is a secret, and where its form is documented.
        examples: Texts with a match.
        near_misses: Texts that resemble one and must stay as they are.
        check: A second look at what matched.
        concealed: Whether nothing of it is shown, because what is left would be easily guessed.
    """

    id: str
    literals: Tuple[str, ...]
    regex: str
    reason: str
    examples: Tuple[str, ...]
    near_misses: Tuple[str, ...] = ()
    check: Optional[Callable[[str], bool]] = None
    concealed: bool = False


# Made-up bodies, so that this file holds nothing that looks like a key.
_ALNUM = "7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eUo0iXtBqWyPzHkMnVrCgSjDlFa2E4u6O8I" * 6
_HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" * 4

# Where a token begins: `re` finds the literal quickest when the look back comes after it.
def _start(literal: str, before: str = "A-Za-z0-9") -> str:
    return rf"{literal}(?<![{before}]{literal})"


RULES: tuple[Rule, ...] = (
    Rule(
        "sk-key",
        ("sk-",),
        _start("sk-") + r"[A-Za-z0-9_\-]{17,}",
        "API keys of OpenAI, Anthropic, OpenRouter, DeepSeek, Moonshot, Stability, LiteLLM and others.",
        (
            f"sk-{_HEX[:40]}",
            f"key is sk-proj-{_ALNUM[:24]}-{_ALNUM[30:54]}_{_ALNUM[60:90]}.",
            f"sk-ant-api03-{_ALNUM[:40]}-{_ALNUM[:40]}-{_ALNUM[:8]}AA",
            f"(sk-or-v1-{_HEX[:64]})",
        ),
        ("sk-learn-column-transformer-pipeline", "sk-short", f"task-{_HEX[:32]}", f"disk-{_HEX[:20]}"),
        is_random,
    ),
    Rule(
        "bearer",
        ("bearer",),
        r"(?i:(?<![A-Za-z0-9])bearer(?:\s|\+|:){1,4}[A-Za-z0-9_\-.~+/]{6,}={0,2})",
        "HTTP bearer tokens: RFC 6750.",
        (f"Bearer {_ALNUM[:20]}", f"authorization=bearer+{_HEX[:32]}"),
        ('Bearer realm="api"', "bearer of good news", "Bearer authentication is required"),
        is_credential,
    ),
    Rule(
        "basic",
        ("basic",),
        r"(?i:(?<![A-Za-z0-9])basic(?:\s|\+){1,4}[A-Za-z0-9+/_\-]{8,}={0,2})(?![A-Za-z0-9])",
        "HTTP basic credentials, user and password in base64: RFC 7617.",
        ("Basic dXNlcjpzM2NyZXQ=", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ('Basic realm="api"', "basic authentication", "Basic understanding of things"),
        is_credential,
    ),
    Rule(
        "card-number",
        ("#digits",),
        r"(?<![\w.\-])(?:4\d{3}|5[1-5]\d\d|2(?:2[2-9]|[3-6]\d|7[01])\d|6(?:011|4[4-9]\d|5\d\d)|35\d\d|62\d\d)"
        r"(?P<a>[ \-]?)\d{4}(?P=a)\d{4}(?P=a)\d{4}(?![\w\-]|\.\d)"
        r"|(?<![\w.\-])3[47]\d\d(?P<b>[ \-]?)\d{6}(?P=b)\d{5}(?![\w\-]|\.\d)",
        "Payment card numbers by their issuers' ranges (ISO/IEC 7812), check digit verified.",
        ("4111111111111111", "5555 5555 5555 4444", "378282246310005", "6011-1111-1111-1117"),
        ("4111111111111112", "1732459871234567", "0.4111111111111111", "4111111111111111a"),
        passes_luhn,
    ),
    Rule(
        "us-ssn",
        ("#ssn",),
        r"(?<![\w.\-])(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w\-]|\.\d)",
        "US social security numbers, as the Social Security Administration issues them.",
        ("123-45-6789", "ssn is 536-22-1234"),
        ("000-12-3456", "987-65-4321", "123-45-67890", "2024-01-2024"),
        None,
        concealed=True,
    ),
)
