"""How a setting's text becomes a value and back: the kinds that hold several values.

Imported at every interpreter start: nothing that is not already loaded there may be imported at
the top.
"""

from __future__ import annotations

from lupis_instrument._config.value_types import (
    Kind,
    WrongValue,
    enumerate_words,
    expected,
    is_authority,
    is_one_line,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Sequence


class Items(Kind):
    """Several texts: `a,b`, or a JSON array where one of them holds a comma."""

    __slots__ = ()

    metavar = "ITEM,…"
    repeatable = True
    separator = ","

    def parse(self, text: str) -> Any:
        """A tuple, or the text itself if it begins like a JSON array of something else."""
        listed = _parse_json_array(text)
        if listed is not None:
            return listed
        return tuple(filter(None, (item.strip() for item in text.split(self.separator))))

    def check(self, value: Any) -> Any:
        """`value` as a tuple of texts that are not empty."""
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            raise WrongValue(expected("a list of texts"))
        return check_each(tuple(value), self.check_item)

    def check_item(self, item: Any) -> None:
        """Raises `WrongValue` if `item` can't be one of the list."""
        if not isinstance(item, str) or not item.strip():
            raise WrongValue(expected("a list of texts that are not empty"))

    def spell(self, value: Any) -> str:
        """The items with the separator between them, or a JSON array if that would not do."""
        text = self.separator.join(value)
        if self.parse(text) == tuple(value):
            return text
        import json

        return json.dumps(list(value), ensure_ascii=False)

    def join(self, texts: Sequence[str]) -> str:
        """All items of all texts."""
        if len(texts) == 1:
            return texts[0]
        return self.spell(tuple(str(item) for text in texts for item in self.parse(text)))


def _parse_json_array(text: str) -> tuple[Any, ...] | None:
    if not text.lstrip().startswith("["):
        return None
    import json

    try:
        listed = json.loads(text)
    except ValueError:  # a regular expression may begin like this too
        return None
    return tuple(listed) if isinstance(listed, list) else None


def check_each(items: tuple[Any, ...], check_item: Callable[[Any], object]) -> tuple[Any, ...]:
    """`items` if `check_item` refuses none; else `WrongValue` with the others."""
    kept = []
    complaints = []
    for item in items:
        try:
            check_item(item)
        except (ValueError, OverflowError, RecursionError) as error:
            complaints.append(str(error))
        else:
            kept.append(item)
    if complaints:
        raise WrongValue(complaints[0], kept=tuple(kept))
    return items


class Lines(Items):
    """Several texts that may hold commas: a JSON array, or one a line."""

    __slots__ = ()

    metavar = "PATTERN"
    separator = "\n"

    def spell(self, value: Any) -> str:
        """A JSON array: one line, which every way of passing variables can hold."""
        import json

        return json.dumps(list(value), ensure_ascii=False)


class Names(Items):
    """Some words of a few."""

    __slots__ = ()

    metavar = "NAME,…"

    def parse(self, text: str) -> Any:
        """A tuple of lower-case names."""
        return super().parse(text.lower())

    def check_item(self, item: Any) -> None:
        """Raises `WrongValue` if `item` is not one of the words."""
        if item not in self.words:
            detail = expected(enumerate_words(self.words), word=str(item), words=self.words)
            raise WrongValue(f"{item!r}: {detail}")


class NamesOrAll(Names):
    """Some words of a few; none named, or the word `all`, means all of them."""

    __slots__ = ()

    metavar = "all|NAME,…"

    def parse(self, text: str) -> Any:
        """A tuple of names, empty for all."""
        names = super().parse(text)
        return () if names == ("all",) else names


class Regexes(Items):
    """Regular expressions."""

    __slots__ = ()

    metavar = "REGEX,…"

    def check_item(self, item: Any) -> None:
        """Raises `WrongValue` if `item` doesn't compile."""
        super().check_item(item)
        import re

        try:
            re.compile(item)
        except (re.error, OverflowError, RecursionError) as error:
            raise WrongValue(
                f"{item!r}: expected a regular expression, but it has a fault: {error}"
            ) from None


class Globs(Items):
    """Names with `*` and `?`; the word `all` stands for `*`, the word `none` for no name."""

    __slots__ = ()

    metavar = "all|none|GLOB,…"

    def parse(self, text: str) -> Any:
        """A tuple of globs."""
        word = text.strip().lower()
        if word in {"all", "*"}:
            return ("*",)
        return () if word == "none" else super().parse(text)

    def check_item(self, item: Any) -> None:
        """Raises `WrongValue` for `all` or `none` beside other globs."""
        super().check_item(item)
        if item.lower() in {"all", "none"}:
            raise WrongValue(expected(f"{item!r} to stand alone, or a list of names and globs"))

    def check(self, value: Any) -> Any:
        """`value` as a tuple of globs."""
        listed = tuple(value) if isinstance(value, (list, tuple)) else value
        alone = len(listed) == 1 and isinstance(listed[0], str) if listed else False
        return super().check(self.parse(listed[0]) if alone else listed)

    def spell(self, value: Any) -> str:
        """`all`, `none`, or the globs."""
        if tuple(value) == ("*",):
            return "all"
        return super().spell(value) if value else "none"


class Pairs(Kind):
    """Names with values: `k=v,k=v`, values percent-encoded where they hold a comma or a `%`.

    This is how OTEL_EXPORTER_OTLP_HEADERS is written (OpenTelemetry, Protocol Exporter). As the
    values may be secrets, no message shows one.
    """

    __slots__ = ()

    metavar = "K=V,…"
    repeatable = True
    lower_names = True

    def parse(self, text: str) -> Any:
        """A tuple of pairs, a part without `=` being a pair with None."""
        parts = filter(None, (part.strip() for part in text.split(",")))
        return tuple(_parse_pair(part) for part in parts)

    def check(self, value: Any) -> Any:
        """`value`, a mapping or pairs, as a dict."""
        pairs = tuple(value.items()) if hasattr(value, "items") else value
        if not isinstance(pairs, (list, tuple)):
            raise WrongValue(self._expected())
        kept = {self._fold(pair[0]): pair[1] for pair in pairs if self._is_good(pair)}
        if not all(map(self._is_good, pairs)):
            raise WrongValue(self._expected(), kept=kept)
        return kept

    def _fold(self, name: str) -> str:
        return name.strip().lower()

    def _expected(self) -> str:
        return expected("name=value pairs with commas between them")

    def _is_good(self, pair: Any) -> bool:
        if len(pair) != 2 or not all(isinstance(side, str) for side in pair):  # noqa: PLR2004 - a pair
            return False
        name, value = pair
        return bool(name.strip()) and " " not in name.strip() and is_one_line(name + value)

    def spell(self, value: Mapping[str, str]) -> str:
        """The pairs with commas between them."""
        return ",".join(f"{name}={_encode(text)}" for name, text in value.items())

    def join(self, texts: Sequence[str]) -> str:
        """All pairs of all texts; a later one of the same name counts."""
        return ",".join(texts)


class ProviderHosts(Pairs):
    """Hosts, with a port if need be, and the provider whose API they speak: `host:8443=openai`."""

    __slots__ = ()

    metavar = "HOST=PROVIDER,…"

    def _expected(self) -> str:
        return expected("host=provider pairs such as llm.corp.example:8443=openai")

    def _is_good(self, pair: Any) -> bool:
        return super()._is_good(pair) and bool(pair[1].strip()) and is_authority(pair[0].strip())


def _parse_pair(part: str) -> tuple[str, str | None]:
    name, found, value = part.partition("=")
    return name.strip(), _decode(value.strip()) if found else None


def _decode(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


def _encode(text: str) -> str:
    if "%" not in text and "," not in text and text == text.strip():
        return text
    from urllib.parse import quote

    return quote(text, safe="")
