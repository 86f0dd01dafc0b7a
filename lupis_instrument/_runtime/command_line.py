"""Describes the command line of this process for `lupis runs`, without content and secrets."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Callable

_PLAIN_WORD = re.compile(r"[\w./:=@%+,~\\-]{1,64}", re.ASCII)
"""Anything else may be a prompt or a document: blanks, quotes, other scripts, long words."""
_GAP = "[\u2026]"
_MAX_WORDS = 16


def describe_command(redact: Callable[[str], str]) -> str | None:
    """Return the command line in a few words; None if this process has none.

    An argument that may be content becomes `[…]`, and a path shows its last part alone.

    Args:
        redact: removes secrets from a text.
    """
    words = [_describe_word(word) for word in _read_words()]
    if not words:
        return None
    shown = [*words[:_MAX_WORDS], *([_GAP] if len(words) > _MAX_WORDS else [])]
    return redact(" ".join(shown))


def _read_words() -> list[str]:
    """Return the interpreter and its arguments; before Python 3.10, the options are not known."""
    known: Any = getattr(sys, "orig_argv", None)
    words = known or [sys.executable or "python", *getattr(sys, "argv", ())]
    return [word for word in words if isinstance(word, str)]


def _describe_word(word: str) -> str:
    if not _PLAIN_WORD.fullmatch(word):
        return _GAP
    return Path(word).name if Path(word).is_absolute() else word
