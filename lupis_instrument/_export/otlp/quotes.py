"""Quotes the answer of an endpoint that refuses a request: few characters, without secrets."""

from __future__ import annotations

import re
from typing import Callable, Iterable

from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._export.otlp.protobuf import read_fields
from lupis_instrument._redaction.modes import REDACTED

MAX_QUOTE_LENGTH = 200
"""The number of characters of an answer that a warning repeats."""
_MAX_READ_LENGTH = 16 * 1024
_STATUS_MESSAGE = 2
"""The field of google.rpc.Status that holds the text (OTLP/HTTP, Failures)."""
_MIN_SECRET_LENGTH = 4
_MARKUP = re.compile(r"(?s)<(script|style)\b.*?</\1>|<[^<>]*>")


def quote_answer(
    answer: bytes, content_type: str, secrets: Iterable[str], redact_text: Callable[[str], str]
) -> str:
    """Return the beginning of an answer as it may be shown; empty if it has no text.

    Args:
        answer: the body of the response.
        content_type: its media type.
        secrets: the values that the request carried, which the answer may repeat.
        redact_text: removes other secrets.
    """
    text = _read_text(answer, content_type)
    if len(text) > _MAX_READ_LENGTH:  # without the last word, which may be a part of a secret
        text = text[:_MAX_READ_LENGTH].rpartition(" ")[0]
    for secret in secrets:
        for word in {secret, *secret.split()}:
            if len(word) >= _MIN_SECRET_LENGTH:
                text = text.replace(word, REDACTED)
    quote = escape_controls(" ".join(redact_text(text).split()))
    return quote if len(quote) <= MAX_QUOTE_LENGTH else quote[: MAX_QUOTE_LENGTH - 1] + "…"


def _read_text(answer: bytes, content_type: str) -> str:
    """Return the text of an answer: of a status message, of a page, or the answer itself."""
    if content_type == "application/x-protobuf":
        answer = _find_message(answer)
    text = answer.decode("utf-8", "replace")
    return _MARKUP.sub(" ", text[: 4 * _MAX_READ_LENGTH]) if "html" in content_type else text


def _find_message(answer: bytes) -> bytes:
    """Return the text in a google.rpc.Status; empty if the answer is not one."""
    try:
        for number, value in read_fields(answer):
            if number == _STATUS_MESSAGE and isinstance(value, bytes):
                return value
    except (ValueError, TypeError):
        pass  # no protobuf message, although the content type says so: nothing is quoted
    return b""
