"""Characters that no one sees, and those that look like one of ASCII's.

``password`` with a soft hyphen in it, or a Cyrillic letter, is read as the name it looks like.
"""

from __future__ import annotations

import re
import unicodedata

# Default ignorable code points, and accents that are characters of their own: by Unicode's
# DerivedCoreProperties, https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
_UNSEEN = (
    "\u00ad\u0300-\u036f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Wide, small, raised, circled and mathematical forms, and other blanks: compatibility characters.
_FORMS = (
    "\u00a0\u017f\u02b0-\u02b8\u1d2c-\u1d6a\u2000-\u200a\u202f\u205f\u2071\u207f\u2090-\u209c\u212a"
    "\u24b6-\u24e9\u3000\ufb00-\ufb06\ufe50-\ufe6b\uff01-\uff5e\U0001d400-\U0001d7ff"
)
_SMALL = dict(zip("ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡʏᴢ꞉∶", "abcdeghijklmnoprtuvwyz::"))  # noqa: RUF001 - they are meant
# Letters of other scripts, which stand for one of ASCII's only where one stands beside them.
_TWINS = dict(zip(
    "аеорсухіјѕԁԛԝһкАВЕКМНОРСТХЅІЈαορνικτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijsdqwhkABEKMHOPCTXSIJaopviktuxABEZHIKMNOPTYX",
))  # fmt: skip
_QUOTES = dict(zip("“”„‟«»「」『』‘’‚‛‹›", '""""""""""' + "''''''"))  # noqa: RUF001 - the same

_ASCII = bytes(range(128))
_SIGN = "[:=\uff1a\uff1d]"
# The parts of classes of characters; what may be read as others, alone or by what is around it.
ALWAYS = f"{_UNSEEN}{_FORMS}{''.join(_SMALL)}"
QUOTES = "".join(_QUOTES)
TWINS = "".join(_TWINS)
# Behind a quotation mark: whether it is one of a name or of a value.
QUOTED = rf"(?<=[{QUOTES}])(?:(?=\s{{0,2}}{_SIGN})|(?<={_SIGN}[{QUOTES}])|(?<={_SIGN}\s[{QUOTES}]))"
_ALWAYS = re.compile(f"[{ALWAYS}]")
_HIDDEN = re.compile(f"[{_UNSEEN}]")
_ANY_QUOTE = re.compile(f"[{QUOTES}]")
_QUOTED = re.compile(f"[{QUOTES}]{QUOTED}")
_TWIN = re.compile(f"[{TWINS}]")
_MIXED = re.compile(f"[A-Za-z](?:(?=[{TWINS}])|(?<=[{TWINS}][A-Za-z]))")
_PLAIN = {**_SMALL, **_TWINS, **_QUOTES}


def has_lookalikes(text: str) -> bool:
    """Whether a text has characters that may be read as others."""
    # Most of a text is ASCII: without that, there is little to search.
    data = text.encode("utf-8", "surrogatepass").translate(None, _ASCII)
    beyond = data.decode("utf-8", "surrogatepass")
    return bool(
        _ALWAYS.search(beyond)
        or (_ANY_QUOTE.search(beyond) and _QUOTED.search(text))
        or (_TWIN.search(beyond) and has_twins(text))
    )


def has_twins(text: str) -> bool:
    """Whether letters of other scripts stand beside those of ASCII."""
    return bool(_MIXED.search(text))


def read(character: str) -> str:
    """What a character is read as; itself if it is like none of ASCII's."""
    if _HIDDEN.match(character):
        return ""
    plain = _PLAIN.get(character) or unicodedata.normalize("NFKC", character)
    return plain if plain.isascii() else character
