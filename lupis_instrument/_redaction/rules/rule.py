"""The fields of a value rule, and the parts from which most rules are built."""

from __future__ import annotations

import re
from typing import Callable, NamedTuple

from lupis_instrument._redaction.checks import is_random


class Rule(NamedTuple):
    """One family of secret values.

    Attributes:
        id: Short name, which explanations show.
        literals: Literals of the prefilter, one of which every match contains. They decide whether
            a regex runs at all; see `prefilter` for their notation.
        regexes: One regex for all literals, or one for each. A regex redacts its group ``secret``
            if it has one, and everything that it matches otherwise; a group ``head`` in a
            look-behind extends the secret to the left. A regex that begins with plain characters
            is searched for fastest. Every repeat is bounded, or ends where it must, so that the
            time is linear in the text.
        description: The secrets that the rule redacts, with a link to the documentation of their
            format.
        examples: Texts with a match.
        near_misses: Texts that resemble a match and must stay as they are.
        check: Returns whether a match is a secret; None if every match is.
        fully_hidden: Whether no character of the secret may be shown, because its ends would tell
            nearly all of it.
        lowercase: Whether the regexes search the text in lower case.
    """

    id: str
    literals: tuple[str, ...]
    regexes: tuple[str, ...]
    description: str
    examples: tuple[str, ...]
    near_misses: tuple[str, ...] = ()
    check: Callable[[str], bool] | None = None
    fully_hidden: bool = False
    lowercase: bool = False


# Made-up contents of keys, so that this file holds nothing that looks like a real key.
ALNUM = "7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eUo0iXtBqWyPzHkMnVrCgSjDlFa2E4u6O8I" * 6
HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" * 4
UPPER = "K7Q2MZX9P4LWR8STB3NVY6CJ5GFA5EUO6IXT" * 4
LOWER = UPPER.lower()
BASE32 = UPPER.translate({ord(digit): None for digit in "0189"})
UUID = "3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"
MIXED = f"{ALNUM[:22]}-{ALNUM[30:41]}_{ALNUM[50:70]}"

# Contents of character classes: characters that must not stand before a key. A key doesn't begin in
# the middle of a word or number; if its prefix is a word, it doesn't begin in a longer name either.
NOT_IN_WORD = r"A-Za-z0-9"
NOT_IN_NAME = r"A-Za-z0-9_\-"
# Bodies of keys: letters and digits without a separator; base64url, which has hyphens and
# underscores; a UUID.
PIECE = r"[A-Za-z0-9]{20,}"
URLSAFE = r"[A-Za-z0-9_\-]{20,}"
UUID_BODY = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"

# A body that begins with letters and digits only, and the least number of them.
_UNBROKEN_BODY = re.compile(r"\[[A-Za-z0-9\-]+\]\{([0-9]{2,})")


def match_prefix(prefix: str, not_before: str = NOT_IN_WORD) -> str:
    """Return a regex for a fixed prefix before which certain characters must not stand.

    The prefix comes first and the look-behind after it: `re` searches fast for plain characters.
    """
    escaped = re.sub(r"([.$|])", r"\\\1", prefix)
    return rf"{escaped}(?<![{not_before}]{escaped})"


def key_rule(
    rule_id: str,
    description: str,
    prefixes: str,
    body: str = URLSAFE,
    sample: str = ALNUM[:40],
    *,
    not_before: str = NOT_IN_WORD,
) -> Rule:
    """Return the rule for keys that begin with a fixed prefix.

    Args:
        rule_id: The rule's id.
        description: The description without its full stop.
        prefixes: The prefixes, separated by blanks.
        body: A regex for the characters behind the prefix.
        sample: A body for the examples.
        not_before: Characters that must not stand before the prefix.
    """
    fixed = prefixes.split()
    return Rule(
        rule_id,
        tuple(_write_literal(prefix, body) for prefix in fixed),
        tuple(match_prefix(prefix, not_before) + body for prefix in fixed),
        f"{description}.",
        tuple(f"{prefix}{sample}" for prefix in fixed),
        tuple(f"{prefix}abc" for prefix in fixed) + tuple(f"x{prefix}{sample}" for prefix in fixed),
        is_random if body == URLSAFE else None,
    )


def _write_literal(prefix: str, body: str) -> str:
    """Return the literal of a prefix in the prefilter's notation.

    A prefix without separators is a common start of words, so its literal also has the least
    length of the key.
    """
    lowered = prefix.lower()
    if set(lowered) & set("$~"):
        return f"!{lowered}"
    if set(lowered) & set("-_."):
        return lowered
    unbroken = _UNBROKEN_BODY.match(body)
    min_length = len(prefix) + int(unbroken.group(1)) if unbroken else 4
    return f"{min_length} {lowered}"
