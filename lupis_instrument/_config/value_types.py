"""How a setting's text becomes a value and back: the kinds that hold one value.

Imported at every interpreter start: nothing that is not already loaded there may be imported at
the top.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Sequence

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")
_FIRST_PRINTABLE = " "
_DELETE = "\x7f"
_HIGHEST_PORT = 65535


class WrongValue(ValueError):  # noqa: N818 - it says what it is; the error shown is LupisConfigError
    """A value that is not valid.

    Attributes:
        kept: the part that is valid (the other items of a list), or None when there is none.
    """

    def __init__(self, detail: str, *, kept: Any = None) -> None:
        super().__init__(detail)
        self.kept = kept


def expected(what: str, *, word: str = "", words: Sequence[str] = ()) -> str:
    """The sentence that says what is valid, with the one of `words` nearest to `word`."""
    near = nearest(word, words) if words else None
    return f"expected {what}" + (f"; did you mean {near!r}?" if near else "")


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that `word` was probably meant to be."""
    import difflib  # 5 ms, which only a wrong value has to pay

    by_folded = {known.lower(): known for known in words}
    close = difflib.get_close_matches(word.lower(), by_folded, n=1)
    return by_folded[close[0]] if close else None


def is_one_line(text: str) -> bool:
    """Whether `text` has no control characters."""
    return not any(mark < _FIRST_PRINTABLE or mark == _DELETE for mark in text)


def enumerate_words(words: Sequence[str]) -> str:
    """`a, b or c`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


class Kind:
    """What the values of a setting have in common: any text of one line.

    `parse` undoes the spelling of a variable and leaves what it can't read as it is; `check`
    takes that, or what was given in code, and returns the value in its one stored form or raises
    `WrongValue`; `spell` is the way back to text.
    """

    __slots__ = ("words",)

    metavar = "TEXT"
    repeatable = False
    is_flag = False

    def __init__(self, *words: str) -> None:
        self.words = words

    def parse(self, text: str) -> Any:
        """What `text`, from a variable or an option, stands for."""
        return text.strip()

    def check(self, value: Any) -> Any:
        """`value` in the form that is stored; raises `WrongValue`."""
        if not isinstance(value, str) or not value.strip():
            raise WrongValue(expected("text that is not empty"))
        if not is_one_line(value):
            raise WrongValue(expected("one line of text without control characters"))
        return value

    def spell(self, value: Any) -> str:
        """The text that `parse` reads as `value`."""
        return str(value)

    def join(self, texts: Sequence[str]) -> str:
        """One text for an option that was given several times: the last one counts."""
        return texts[-1]


class File(Kind):
    """The path of a file."""

    __slots__ = ()

    metavar = "FILE"

    def check(self, value: Any) -> Any:
        """`value` as text."""
        return super().check(value.__fspath__() if hasattr(value, "__fspath__") else value)


class Token(Kind):
    """Text that travels as an HTTP header (RFC 9110, section 5.5: visible ASCII)."""

    __slots__ = ()

    def check(self, value: Any) -> Any:
        """`value` if it can be a header's value."""
        value = super().check(value)
        if not value.isascii():
            raise WrongValue(expected("printable ASCII, since it is sent as an HTTP header"))
        return value


class Flag(Kind):
    """True or false."""

    __slots__ = ()

    metavar = "true|false"
    is_flag = True

    def parse(self, text: str) -> Any:
        """True, False, or the text itself."""
        word = text.strip().lower()
        if word in _TRUE:
            return True
        return False if word in _FALSE else text

    def check(self, value: Any) -> Any:
        """`value` if it is a bool."""
        if isinstance(value, bool):
            return value
        raise WrongValue(expected("true or false", word=str(value), words=("true", "false")))

    def spell(self, value: Any) -> str:
        """`true` or `false`."""
        return "true" if value else "false"


class OptionalFlag(Flag):
    """True, false, or None: decided while the program runs (`auto`)."""

    __slots__ = ()

    metavar = "auto|true|false"

    def parse(self, text: str) -> Any:
        """True, False, None, or the text itself."""
        return None if text.strip().lower() == "auto" else super().parse(text)

    def check(self, value: Any) -> Any:
        """`value` if it is a bool or None."""
        if value is None or isinstance(value, bool):
            return value
        words = ("auto", "true", "false")
        raise WrongValue(expected(enumerate_words(words), word=str(value), words=words))

    def spell(self, value: Any) -> str:
        """`auto`, `true` or `false`."""
        return "auto" if value is None else super().spell(value)


class Choice(Kind):
    """One word of a few, in any case."""

    __slots__ = ()

    @property
    def metavar(self) -> str:  # type: ignore[override]
        """The words."""
        return "|".join(self.words)

    def check(self, value: Any) -> Any:
        """The word as it is listed."""
        word = value.lower() if isinstance(value, str) else value
        if word in self.words:
            return word
        raise WrongValue(expected(enumerate_words(self.words), word=str(word), words=self.words))


class Number(Kind):
    """A number that is finite and not below `least`."""

    __slots__ = ()

    least = 0.0
    what = "a number"

    def parse(self, text: str) -> Any:
        """A float, or the text itself."""
        try:
            return float(text)
        except ValueError:
            return text

    def check(self, value: Any) -> Any:
        """`value` as a float."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and self.least <= value < float("inf"):
            return float(value)
        raise WrongValue(expected(self.what))

    def spell(self, value: Any) -> str:
        """The shortest number."""
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)


class Seconds(Number):
    """A time span in seconds."""

    __slots__ = ()

    metavar = "SECONDS"
    what = "seconds, 0 or more, such as 2.5"


class Megabytes(Number):
    """A size in MiB."""

    __slots__ = ()

    metavar = "MIB"
    least = 1.0
    what = "MiB, 1 or more, such as 256"


class Url(Kind):
    """A full HTTP URL."""

    __slots__ = ()

    metavar = "URL"

    def check(self, value: Any) -> Any:
        """`value` if it has a scheme, a host and, if any, a port that exists."""
        text = super().check(value)
        scheme, found, rest = text.partition("://")
        host = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
        if found and scheme.lower() in {"http", "https"} and is_authority(host):
            return text
        hint = "" if found or not is_authority(text.partition("/")[0]) else f"http://{text}"
        what = "a full URL such as http://127.0.0.1:4318/v1/traces"
        raise WrongValue(expected(what, word=hint, words=(hint,) if hint else ()))


def is_authority(text: str) -> bool:
    """Whether `text` is a host, with a port if any (RFC 3986, section 3.2)."""
    host, found, port = text.rpartition(":")
    if not found or text.endswith("]"):
        host, port = text, ""
    good_port = not port or (port.isdigit() and 0 < int(port) <= _HIGHEST_PORT)
    return bool(host) and good_port and not any(mark.isspace() for mark in host)
