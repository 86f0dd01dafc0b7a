"""The types of a setting's value: how its text becomes a value, is checked, and becomes text again.

Imported when `lupis-run` checks settings, before it becomes the program: modules that the
interpreter has not loaded already are imported inside functions.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Mapping, Sequence

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")
_FIRST_PRINTABLE = " "
_DELETE = "\x7f"
_MAX_PORT = 65535
NO_URL = "none"
"""The value of a setting for a URL that says there is none."""


class InvalidValueError(ValueError):
    """A setting's value is not valid; users see it as `LupisConfigError` or as a warning.

    Attributes:
        valid_part: the part that is valid (the other items of a list), or None if there is none.
    """

    def __init__(self, detail: str, *, valid_part: Any = None) -> None:
        super().__init__(detail)
        self.valid_part = valid_part


def describe_expected(expected: str, *, word: str = "", words: Sequence[str] = ()) -> str:
    """Return the sentence that says which values are valid.

    Args:
        expected: the valid values in a few words, such as "true or false".
        word: the value that is not valid.
        words: the valid words; the sentence suggests the one nearest to `word`.
    """
    near = find_nearest(word, words) if words else None
    return f"expected {expected}" + (f"; did you mean {near!r}?" if near else "")


def find_nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the entry of `words` that `word` is probably a typing error of."""
    import difflib  # takes 5 ms to load, which only a wrong value has to pay

    by_folded = {known.lower(): known for known in words}
    close = difflib.get_close_matches(word.lower(), by_folded, n=1)
    return by_folded[close[0]] if close else None


def join_words(words: Sequence[str]) -> str:
    """Return the words as prose: `a, b or c`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def is_one_line(text: str) -> bool:
    """Return whether `text` has no control characters."""
    return not any(char < _FIRST_PRINTABLE or char == _DELETE for char in text)


def is_authority(text: str) -> bool:
    """Return whether `text` is a host with an optional port (RFC 3986, section 3.2)."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):  # no port, or an IPv6 address such as [::1]
        host, port = text, ""
    is_port = not port or (port.isdigit() and 0 < int(port) <= _MAX_PORT)
    return bool(host) and is_port and not any(char.isspace() for char in host)


def check_items(items: tuple[Any, ...], check_item: Callable[[Any], object]) -> tuple[Any, ...]:
    """Return `items` if `check_item` accepts each of them.

    Raises:
        InvalidValueError: `check_item` raised a ValueError for an item; `valid_part` has the
            others.
    """
    valid = []
    errors = []
    for item in items:
        try:
            check_item(item)
        except (ValueError, OverflowError, RecursionError) as error:
            errors.append(str(error))
        else:
            valid.append(item)
    if errors:
        raise InvalidValueError(errors[0], valid_part=tuple(valid))
    return items


class ValueType:
    """The base of all types of values.

    A value takes two steps: `parse_text` reads the text of a variable or an option and leaves
    unchanged whatever it cannot read; `check_value` then takes its result, or a value given in
    code, and returns the one form in which values are stored. `format_value` goes back to text.

    Attributes:
        words: the valid words of a type that has a list of them.
        metavar: the value's placeholder in `lupis-run --help`.
        repeatable: whether an option can be given several times.
        is_flag: whether the option takes no value, and has a `--no-…` form.
    """

    __slots__ = ("words",)

    metavar = "TEXT"
    repeatable = False
    is_flag = False

    def __init__(self, *words: str) -> None:
        self.words = words

    def parse_text(self, text: str) -> Any:
        """Return the value that `text` stands for."""
        return text.strip()

    def check_value(self, value: Any) -> Any:
        """Return `value` in its stored form.

        Raises:
            InvalidValueError: it is not valid.
        """
        raise NotImplementedError

    def format_value(self, value: Any) -> str:
        """Return the text that `parse_text` reads as `value`."""
        return str(value)

    def join_texts(self, texts: Sequence[str]) -> str:
        """Return one text for an option that was given several times; the last one counts."""
        return texts[-1]


class Text(ValueType):
    """One line of text that is not empty."""

    __slots__ = ()

    def check_value(self, value: Any) -> Any:
        """Return `value` if it is a line of text."""
        if not isinstance(value, str) or not value.strip():
            raise InvalidValueError(describe_expected("text that is not empty"))
        if not is_one_line(value):
            raise InvalidValueError(
                describe_expected("one line of text without control characters")
            )
        return value


class File(Text):
    """The path of a file, given as text or as a `Path`."""

    __slots__ = ()

    metavar = "FILE"

    def check_value(self, value: Any) -> Any:
        """Return the path as text."""
        return super().check_value(value.__fspath__() if hasattr(value, "__fspath__") else value)


class Folder(File):
    """The path of a folder, given as text or as a `Path`."""

    __slots__ = ()

    metavar = "FOLDER"


class Token(Text):
    """Text that is sent as an HTTP header (RFC 9110, section 5.5: visible ASCII)."""

    __slots__ = ()

    def check_value(self, value: Any) -> Any:
        """Return `value` if an HTTP header can hold it."""
        text = super().check_value(value)
        if not text.isascii():
            raise InvalidValueError(
                describe_expected("printable ASCII, since it is sent as an HTTP header")
            )
        return text


class Flag(ValueType):
    """True or false."""

    __slots__ = ()

    metavar = "true|false"
    is_flag = True

    def parse_text(self, text: str) -> Any:
        """Return True, False, or the text itself."""
        word = text.strip().lower()
        if word in _TRUE:
            return True
        return False if word in _FALSE else text

    def check_value(self, value: Any) -> Any:
        """Return `value` if it is a bool."""
        if isinstance(value, bool):
            return value
        words = ("true", "false")
        raise InvalidValueError(describe_expected(join_words(words), word=str(value), words=words))

    def format_value(self, value: Any) -> str:
        """Return `true` or `false`."""
        return "true" if value else "false"


class FlagOrWord(Flag):
    """True, false, or one other word."""

    __slots__ = ("word",)

    def __init__(self, word: str) -> None:
        self.word = word

    @property
    def metavar(self) -> str:  # type: ignore[override]
        """The words with bars between them."""
        return f"true|false|{self.word}"

    def parse_text(self, text: str) -> Any:
        """Return True, False, the word in lower case, or the text itself."""
        lower = text.strip().lower()
        return lower if lower == self.word else super().parse_text(text)

    def check_value(self, value: Any) -> Any:
        """Return `value` if it is a bool or the word."""
        if isinstance(value, bool) or value == self.word:
            return value
        words = ("true", "false", self.word)
        raise InvalidValueError(describe_expected(join_words(words), word=str(value), words=words))

    def format_value(self, value: Any) -> str:
        """Return `true`, `false` or the word."""
        return self.word if value == self.word else super().format_value(value)


class OptionalFlag(Flag):
    """True, false, or None for `auto`: decided while the program runs."""

    __slots__ = ()

    metavar = "auto|true|false"

    def parse_text(self, text: str) -> Any:
        """Return True, False, None, or the text itself."""
        return None if text.strip().lower() == "auto" else super().parse_text(text)

    def check_value(self, value: Any) -> Any:
        """Return `value` if it is a bool or None."""
        if value is None or isinstance(value, bool):
            return value
        words = ("auto", "true", "false")
        raise InvalidValueError(describe_expected(join_words(words), word=str(value), words=words))

    def format_value(self, value: Any) -> str:
        """Return `auto`, `true` or `false`."""
        return "auto" if value is None else super().format_value(value)


class Choice(ValueType):
    """One word of a list, in upper or lower case."""

    __slots__ = ()

    @property
    def metavar(self) -> str:  # type: ignore[override]
        """The words with bars between them."""
        return "|".join(self.words)

    def check_value(self, value: Any) -> Any:
        """Return the word as the list spells it."""
        word = value.lower() if isinstance(value, str) else value
        if word in self.words:
            return word
        raise InvalidValueError(
            describe_expected(join_words(self.words), word=str(word), words=self.words)
        )


class Number(ValueType):
    """A finite number that is not below `minimum`.

    Attributes:
        minimum: the smallest valid number.
        expected: the valid numbers in a few words, with their unit.
    """

    __slots__ = ()

    minimum = 0.0
    expected = "a number"

    def parse_text(self, text: str) -> Any:
        """Return a float, or the text itself."""
        try:
            return float(text)
        except ValueError:
            return text

    def check_value(self, value: Any) -> Any:
        """Return `value` as a float."""
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # A comparison with NaN is false, so NaN is refused too.
        if is_number and self.minimum <= value < float("inf"):
            return float(value)
        raise InvalidValueError(describe_expected(self.expected))

    def format_value(self, value: Any) -> str:
        """Return the number with as few digits as it needs."""
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)


class Seconds(Number):
    """A duration in seconds."""

    __slots__ = ()

    metavar = "SECONDS"
    expected = "seconds, 0 or more, such as 2.5"


class Megabytes(Number):
    """A size in MiB."""

    __slots__ = ()

    metavar = "MIB"
    minimum = 1.0
    expected = "MiB, 1 or more, such as 256"


class Dollars(Number):
    """An amount in USD."""

    __slots__ = ()

    metavar = "USD"
    expected = "an amount in USD, 0 or more, such as 2.50"

    def parse_text(self, text: str) -> Any:
        """Return a float, or the text itself; a dollar sign may come first."""
        value = super().parse_text(text.strip()[1:] if text.strip().startswith("$") else text)
        return value if isinstance(value, float) else text


class Url(Text):
    """A full HTTP URL."""

    __slots__ = ()

    metavar = "URL"

    def check_value(self, value: Any) -> Any:
        """Return `value` if it has the scheme http or https, a host, and no impossible port."""
        text = super().check_value(value)
        scheme, separator, remainder = text.partition("://")
        host = remainder.partition("/")[0].partition("?")[0].rpartition("@")[2]
        if separator and scheme.lower() in {"http", "https"} and is_authority(host):
            return text
        # `localhost:4318` lacks only the scheme, and the message suggests it.
        suggestion = f"http://{text}"
        lacks_scheme = not separator and is_authority(text.partition("/")[0])
        raise InvalidValueError(
            describe_expected(
                "a full URL such as http://127.0.0.1:4318/v1/traces",
                word=suggestion,
                words=(suggestion,) if lacks_scheme else (),
            )
        )


class TracesUrl(Url):
    """A full HTTP URL for spans; without a path it gets the path of OTLP/HTTP."""

    __slots__ = ()

    def check_value(self, value: Any) -> Any:
        """Return the URL, with a path."""
        text = super().check_value(value)
        address, question_mark, query = text.partition("?")
        scheme, separator, remainder = address.partition("://")
        authority, _, path = remainder.partition("/")
        if path.strip("/"):
            return text
        return f"{scheme}{separator}{authority}/v1/traces{question_mark}{query}"


class UrlOrNone(Url):
    """A full HTTP URL, or the word `none`."""

    __slots__ = ()

    metavar = "URL|none"

    def check_value(self, value: Any) -> Any:
        """Return the URL or the word."""
        if isinstance(value, str) and value.strip().lower() == NO_URL:
            return NO_URL
        return super().check_value(value)


class Items(ValueType):
    """A list of texts: `a,b`, or a JSON array if an item holds a comma.

    Attributes:
        separator: the character between two items.
    """

    __slots__ = ()

    metavar = "ITEM,…"
    repeatable = True
    separator = ","

    def parse_text(self, text: str) -> Any:
        """Return the items as a tuple."""
        array = _parse_json_array(text)
        if array is not None:
            return array
        return tuple(filter(None, (item.strip() for item in text.split(self.separator))))

    def check_value(self, value: Any) -> Any:
        """Return `value`, any iterable, as a tuple of texts that are not empty."""
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            raise InvalidValueError(describe_expected("a list of texts"))
        return check_items(tuple(value), self.check_item)

    def check_item(self, item: Any) -> None:
        """Check one item.

        Raises:
            InvalidValueError: it is not valid.
        """
        if not isinstance(item, str) or not item.strip():
            raise InvalidValueError(describe_expected("a list of texts that are not empty"))

    def format_value(self, value: Any) -> str:
        """Return the items with the separator between them, or a JSON array if items hold it."""
        text = self.separator.join(value)
        if self.parse_text(text) == tuple(value):
            return text
        import json

        return json.dumps(list(value), ensure_ascii=False)

    def join_texts(self, texts: Sequence[str]) -> str:
        """Return one text with all items of all texts."""
        if len(texts) == 1:
            return texts[0]
        return self.format_value(
            tuple(str(item) for text in texts for item in self.parse_text(text))
        )


def _parse_json_array(text: str) -> tuple[Any, ...] | None:
    if not text.lstrip().startswith("["):
        return None
    import json

    try:
        array = json.loads(text)
    except ValueError:  # a regular expression such as [a-z]+ may begin like an array
        return None
    return tuple(array) if isinstance(array, list) else None


class Lines(Items):
    """A list of texts that may hold commas: a JSON array, or one item a line."""

    __slots__ = ()

    metavar = "PATTERN"
    separator = "\n"

    def format_value(self, value: Any) -> str:
        """Return a JSON array: one line, which a shell, a Dockerfile and a manifest can hold."""
        import json

        return json.dumps(list(value), ensure_ascii=False)


class Names(Items):
    """A list of words, each from the list of valid words."""

    __slots__ = ()

    metavar = "NAME,…"

    def parse_text(self, text: str) -> Any:
        """Return a tuple of lower-case names."""
        return super().parse_text(text.lower())

    def check_item(self, item: Any) -> None:
        """Check that `item` is a valid word."""
        if item not in self.words:
            detail = describe_expected(join_words(self.words), word=str(item), words=self.words)
            raise InvalidValueError(f"{item!r}: {detail}")


class NamesOrAll(Names):
    """A list of words, each from the list of valid words; empty, or the word `all`, means all."""

    __slots__ = ()

    metavar = "all|NAME,…"

    def parse_text(self, text: str) -> Any:
        """Return a tuple of names, empty for all."""
        names = super().parse_text(text)
        return () if names == ("all",) else names


class Regexes(Items):
    """A list of regular expressions."""

    __slots__ = ()

    metavar = "REGEX,…"

    def check_item(self, item: Any) -> None:
        """Check that `item` compiles."""
        super().check_item(item)
        import re

        try:
            re.compile(item)
        except (re.error, OverflowError, RecursionError) as error:
            raise InvalidValueError(
                f"{item!r}: expected a regular expression, but it has a fault: {error}"
            ) from None


class Globs(Items):
    """A list of names with `*` and `?`; the word `all` means `*`, the word `none` no name."""

    __slots__ = ()

    metavar = "all|none|GLOB,…"

    def parse_text(self, text: str) -> Any:
        """Return a tuple of globs."""
        word = text.strip().lower()
        if word in {"all", "*"}:
            return ("*",)
        return () if word == "none" else super().parse_text(text)

    def check_item(self, item: Any) -> None:
        """Check that `item` is neither `all` nor `none`, which have no meaning beside globs."""
        super().check_item(item)
        if item.lower() in {"all", "none"}:
            raise InvalidValueError(
                describe_expected(f"{item!r} to stand alone, or a list of names and globs")
            )

    def check_value(self, value: Any) -> Any:
        """Return `value` as a tuple of globs; `["all"]`, given in code, means `all`."""
        globs = tuple(value) if isinstance(value, (list, tuple)) else value
        # One item may be a word for all or none; `parse_text` leaves any other glob as it is.
        is_single = len(globs) == 1 and isinstance(globs[0], str) if globs else False
        return super().check_value(self.parse_text(globs[0]) if is_single else globs)

    def format_value(self, value: Any) -> str:
        """Return `all`, `none`, or the globs."""
        if tuple(value) == ("*",):
            return "all"
        return super().format_value(value) if value else "none"


class Pairs(ValueType):
    """Names with values, `k=v,k=v`; a value that holds a comma or a `%` is percent-encoded.

    OTEL_EXPORTER_OTLP_HEADERS is written like this (OpenTelemetry, Protocol Exporter). The values
    may be secrets, so no message shows one.
    """

    __slots__ = ()

    metavar = "K=V,…"
    repeatable = True
    expected = "name=value pairs with commas between them"

    def parse_text(self, text: str) -> Any:
        """Return a tuple of pairs; a part without `=` becomes a pair with None."""
        parts = filter(None, (part.strip() for part in text.split(",")))
        return tuple(_parse_pair(part) for part in parts)

    def check_value(self, value: Any) -> Any:
        """Return `value`, a mapping or pairs, as a dict with names in lower case."""
        pairs = tuple(value.items()) if hasattr(value, "items") else value
        if not isinstance(pairs, (list, tuple)):
            raise InvalidValueError(describe_expected(self.expected))
        valid = {pair[0].strip().lower(): pair[1] for pair in pairs if self._is_valid_pair(pair)}
        if not all(map(self._is_valid_pair, pairs)):
            raise InvalidValueError(describe_expected(self.expected), valid_part=valid)
        return valid

    def _is_valid_pair(self, pair: Any) -> bool:
        if len(pair) != 2 or not all(isinstance(text, str) for text in pair):  # noqa: PLR2004 - a pair
            return False
        name, value = pair
        return bool(name.strip()) and " " not in name.strip() and is_one_line(name + value)

    def format_value(self, value: Mapping[str, str]) -> str:
        """Return the pairs with commas between them."""
        return ",".join(f"{name}={_encode_percent(text)}" for name, text in value.items())

    def join_texts(self, texts: Sequence[str]) -> str:
        """Return one text with all pairs; the last pair of a name counts."""
        return ",".join(texts)


class ProviderHosts(Pairs):
    """Hosts with an optional port, each with the provider whose API it speaks.

    For example `llm.corp.example:8443=openai`.
    """

    __slots__ = ()

    metavar = "HOST=PROVIDER,…"
    expected = "host=provider pairs such as llm.corp.example:8443=openai"

    def _is_valid_pair(self, pair: Any) -> bool:
        return (
            super()._is_valid_pair(pair) and bool(pair[1].strip()) and is_authority(pair[0].strip())
        )


class Tags(Pairs):
    """A few short labels with values, `team=search,env=test`."""

    __slots__ = ()

    metavar = "KEY=VALUE"
    expected = (
        "key=value pairs with commas between them: at most 32 pairs, keys of letters, digits,"
        " '_', '-' and '.' (64 at most), values of 1 to 256 characters"
    )
    max_pairs = 32
    max_key, max_value = 64, 256

    def check_value(self, value: Any) -> Any:
        """Return `value` as a dict if there are not too many pairs."""
        pairs = super().check_value(value)
        if len(pairs) > self.max_pairs:
            first_pairs = dict(list(pairs.items())[: self.max_pairs])
            raise InvalidValueError(describe_expected(self.expected), valid_part=first_pairs)
        return pairs

    def _is_valid_pair(self, pair: Any) -> bool:
        if not super()._is_valid_pair(pair):
            return False
        key, value = (text.strip() for text in pair)
        is_key = key.isascii() and all(char.isalnum() or char in "_-." for char in key)
        return is_key and len(key) <= self.max_key and 0 < len(value) <= self.max_value


def _parse_pair(part: str) -> tuple[str, str | None]:
    name, equals, value = part.partition("=")
    return name.strip(), _decode_percent(value.strip()) if equals else None


def _decode_percent(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


def _encode_percent(text: str) -> str:
    if "%" not in text and "," not in text and text == text.strip():
        return text
    from urllib.parse import quote

    return quote(text, safe="")
