"""One row of the rules for values, and what most rows are made of."""

from __future__ import annotations

import re
from typing import Callable, NamedTuple

from lupis_instrument._redaction.checks import is_random


class Rule(NamedTuple):
    """One family of secret values.

    Attributes:
        id: Short name, shown by explanations.
        literals: Lower-case parts, one of which every match contains: they decide whether a regex
            runs at all. See `prefilter` for how they are written.
        regexes: One for all literals, or one for each. What is hidden is the group ``secret`` if
            there is one, else all that matches, and before it the group ``head`` of a look-behind.
            Those that begin with plain characters are searched for quickest. Every repeat is
            bounded, or ends where it must, so that the time is linear in the text.
        description: Why it is a secret, and where its form is documented if not by its owner.
        examples: Texts with a match.
        near_misses: Texts that resemble one and must stay as they are.
        check: A second look at what matched.
        concealed: Whether nothing of it may be shown, as its ends would tell nearly all.
        fold: Whether the regexes are for the text in lower case.
    """

    id: str
    literals: tuple[str, ...]
    regexes: tuple[str, ...]
    description: str
    examples: tuple[str, ...]
    near_misses: tuple[str, ...] = ()
    check: Callable[[str], bool] | None = None
    concealed: bool = False
    fold: bool = False


# Made-up bodies, so that this file holds nothing that looks like a key.
ALNUM = "7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eUo0iXtBqWyPzHkMnVrCgSjDlFa2E4u6O8I" * 6
HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" * 4
UPPER = "K7Q2MZX9P4LWR8STB3NVY6CJ5GFA5EUO6IXT" * 4
LOWER = UPPER.lower()
UUID = "3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"
CHAIN = f"{ALNUM[:22]}-{ALNUM[30:41]}_{ALNUM[50:70]}"

# A key doesn't begin in the middle of a word or number; if its prefix is a word, of a name either.
BEFORE = r"A-Za-z0-9"
BEFORE_NAME = r"A-Za-z0-9_\-"
# Bodies: letters and digits in one piece; base64url, in which hyphens and underscores occur.
PIECE = r"[A-Za-z0-9]{20,}"
URLSAFE = r"[A-Za-z0-9_\-]{20,}"
UUID_FORM = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"

# A body that begins with letters and digits only, and how many at least.
_UNBROKEN = re.compile(r"\[[A-Za-z0-9\-]+\]\{([0-9]{2,})")


def begin(prefix: str, before: str = BEFORE) -> str:
    """A fixed prefix that none of some characters stands before, the prefix foremost."""
    escaped = re.sub(r"([.$|])", r"\\\1", prefix)
    return rf"{escaped}(?<![{before}]{escaped})"


def key(
    name: str,
    owner: str,
    prefixes: str,
    body: str = URLSAFE,
    sample: str = ALNUM[:40],
    *,
    start: str = BEFORE,
) -> Rule:
    """A row for keys that begin with a fixed prefix; several prefixes are set apart by blanks."""
    fixed = prefixes.split()
    return Rule(
        name,
        tuple(_as_literal(prefix, body) for prefix in fixed),
        tuple(begin(prefix, start) + body for prefix in fixed),
        f"{owner}.",
        tuple(f"{prefix}{sample}" for prefix in fixed),
        tuple(f"{prefix}abc" for prefix in fixed) + tuple(f"x{prefix}{sample}" for prefix in fixed),
        is_random if body == URLSAFE else None,
    )


def _as_literal(prefix: str, body: str) -> str:
    """The literal of a key by its prefix; of one without separators, with its least length."""
    lowered = prefix.lower()
    least = _UNBROKEN.match(body)
    if set(lowered) & set("$~"):
        return f"!{lowered}"
    if set(lowered) & set("-_."):
        return lowered
    return f"{len(prefix) + int(least.group(1)) if least else 4} {lowered}"
