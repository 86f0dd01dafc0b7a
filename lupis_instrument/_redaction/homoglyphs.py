"""Reads invisible characters, and characters that look like a character of ASCII.

A reader takes ``password`` with a soft hyphen in it, or with a Cyrillic letter, for the name that
it looks like. `read_character` gives the ASCII character that a reader sees.
"""

from __future__ import annotations

import re
import unicodedata

# Default ignorable code points, and accents that are characters of their own: by Unicode's
# DerivedCoreProperties, https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
_INVISIBLE = (
    "\u00ad\u0300-\u036f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Wide, small, raised, circled and mathematical forms, and other blanks: compatibility characters.
_COMPATIBLE = (
    "\u00a0\u017f\u02b0-\u02b8\u1d2c-\u1d6a\u2000-\u200a\u202f\u205f\u2071\u207f\u2090-\u209c\u212a"
    "\u24b6-\u24e9\u3000\ufb00-\ufb06\ufe50-\ufe6b\uff01-\uff5e\U0001d400-\U0001d7ff"
)
_SMALL_CAPITALS = dict(zip("ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡʏᴢ꞉∶", "abcdeghijklmnoprtuvwyz::"))  # noqa: RUF001 - they are the subject
# Letters of other scripts. They are read as ASCII letters only where an ASCII letter stands beside
# them: a word that is Cyrillic throughout is no disguise.
_CONFUSABLE = dict(zip(
    "аеорсухіјѕԁԛԝһкАВЕКМНОРСТХЅІЈαορνικτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijsdqwhkABEKMHOPCTXSIJaopviktuxABEZHIKMNOPTYX",
))  # fmt: skip
_TYPOGRAPHIC = dict(zip("“”„‟«»「」『』‘’‚‛‹›", '""""""""""' + "''''''"))  # noqa: RUF001 - the same

_TO_ASCII = {**_SMALL_CAPITALS, **_CONFUSABLE, **_TYPOGRAPHIC}

# Contents of character classes: characters that are always read as others, quotation marks, and
# letters of other scripts.
ALWAYS_READ = f"{_INVISIBLE}{_COMPATIBLE}{''.join(_SMALL_CAPITALS)}"
QUOTES = "".join(_TYPOGRAPHIC)
CONFUSABLE_LETTERS = "".join(_CONFUSABLE)
_COLON = "[:=\uff1a\uff1d]"
# A colon or equals sign must stand beside a quotation mark: then it encloses a name or a value, and
# not a word of prose.
QUOTE_CONTEXT = (
    rf"(?<=[{QUOTES}])"
    rf"(?:(?=\s{{0,2}}{_COLON})|(?<={_COLON}[{QUOTES}])|(?<={_COLON}\s[{QUOTES}]))"
)

_ASCII = bytes(range(128))
_ALWAYS_READ = re.compile(f"[{ALWAYS_READ}]")
_INVISIBLE_CHARACTER = re.compile(f"[{_INVISIBLE}]")
_QUOTE = re.compile(f"[{QUOTES}]")
_QUOTE_IN_CONTEXT = re.compile(f"[{QUOTES}]{QUOTE_CONTEXT}")
_CONFUSABLE_LETTER = re.compile(f"[{CONFUSABLE_LETTERS}]")
_MIXED_SCRIPTS = re.compile(
    f"[A-Za-z](?:(?=[{CONFUSABLE_LETTERS}])|(?<=[{CONFUSABLE_LETTERS}][A-Za-z]))"
)


def has_homoglyphs(text: str) -> bool:
    """Return whether a text has characters that a reader takes for others."""
    # Most of a text is ASCII; without these characters there is little to search.
    encoded = text.encode("utf-8", "surrogatepass").translate(None, _ASCII)
    beyond_ascii = encoded.decode("utf-8", "surrogatepass")
    return bool(
        _ALWAYS_READ.search(beyond_ascii)
        or (_QUOTE.search(beyond_ascii) and _QUOTE_IN_CONTEXT.search(text))
        or (_CONFUSABLE_LETTER.search(beyond_ascii) and has_mixed_scripts(text))
    )


def has_mixed_scripts(text: str) -> bool:
    """Return whether a confusable letter of another script stands beside an ASCII letter."""
    return bool(_MIXED_SCRIPTS.search(text))


def read_character(character: str) -> str:
    """Return the ASCII characters that a reader sees; the character itself if there are none.

    An invisible character gives an empty string, a ligature several characters.
    """
    if _INVISIBLE_CHARACTER.match(character):
        return ""
    plain = _TO_ASCII.get(character) or unicodedata.normalize("NFKC", character)
    return plain if plain.isascii() else character
