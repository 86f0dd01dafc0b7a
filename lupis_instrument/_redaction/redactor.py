"""Filters secrets out of texts, attributes and nested data, failing closed."""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

from lupis_instrument._redaction.checks import is_generated
from lupis_instrument._redaction.engine import Engine, Redaction
from lupis_instrument._redaction.modes import MODES, REDACTED, Mode, is_mark
from lupis_instrument._redaction.names import CARRIERS, Name, NameList
from lupis_instrument._redaction.patterns import compile_pattern

TOO_DEEP = "[TOO DEEP]"
CYCLE = "[CYCLE]"
_DEPTH = 32
# Spans have the names of headers in lower case, in which few keys keep their form.
_HEADERS = ("http.request.header.", "http.response.header.")
_LONG_PIECE = re.compile(r"[A-Za-z0-9]{20,}")
_KNOWN_NAMES = 4096
_KNOWN_VALUES = 2048
_SHORT = 128
_LISTS = (tuple, list)
_ONLY_TEXT = {str}
_PLAIN = (bool, float, type(None))
# Smaller numbers can't be those of a payment card.
_CARD = 10**12


class Redactor:
    """Hides secrets in everything that leaves the process.

    None of the methods raises: what can't be filtered is replaced with ``[REDACTED]``.

    Args:
        mode: ``mask`` shows the first and last four characters, ``remove`` nothing, ``hash`` a hash
            by which equal secrets can be recognised.
        patterns: Names and regular expressions to hide besides the built-in ones; see
            `compile_pattern`.
        hash_key: Makes ``hash`` a keyed one (HMAC-SHA-256), so that secrets can't be guessed.

    Raises:
        PatternError: A pattern is not usable.
        ValueError: The mode is unknown.
    """

    def __init__(
        self,
        mode: str = "mask",
        patterns: Sequence[str] = (),
        hash_key: str | bytes | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"redaction mode {mode!r}: expected one of {', '.join(MODES)}")
        key = hash_key.encode("utf-8", "surrogatepass") if isinstance(hash_key, str) else hash_key
        compiled = [compile_pattern(pattern) for pattern in patterns]
        self._names = NameList(own.name for own in compiled if own.name)
        extra = [(own.literal, own) for own in compiled if not own.name]
        self._engine = Engine(Mode(mode, key or None), self._names, extra)
        self._known: dict[str, tuple[str, Name | None]] = {}
        self._clean: set[str] = set()

    def redact_text(self, value: str) -> str:
        """The text without its secrets; the same object if it has none."""
        try:
            return self._engine.redact(value)
        except Exception:
            return REDACTED

    def explain_text(self, text: str) -> list[Redaction]:
        """Which rules hide which parts of a text."""
        try:
            return [Redaction(hit.rule, hit.start, hit.end) for hit in self._engine.hits(text)]
        except Exception:
            return [Redaction("failed", 0, len(text))]

    def explain_name(self, name: str) -> str | None:
        """The rule by which an attribute or property of this name hides its value, if one does."""
        row = (self._known.get(name) or self._learn(name))[1]
        return f"name:{row.words}" if row else None

    def redact_attribute(self, name: str, value: Any) -> Any:
        """The value of one span attribute or property, as its name and its content allow."""
        try:
            return self._value(value, (self._known.get(name) or self._learn(name))[1], ())
        except Exception:
            return REDACTED

    def redact_attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """All attributes of a span; empty if they can't be filtered."""
        try:
            return self._attributes(attributes)
        except Exception:
            return {}

    def redact_data(self, value: Any) -> Any:
        """Nested data as JSON can hold it: keys and values, to a bounded depth."""
        try:
            return self._value(value, None, ())
        except Exception:
            return REDACTED

    def _attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        pending: list[tuple[str, Any, Sequence[str]]] = []
        # Most values are the same as in the span before: hosts, models, header fields.
        clean = self._clean
        for name, value in attributes.items():
            shown, row = self._known.get(name) or self._learn(name)
            kind = type(value)
            if row is None and (kind in _PLAIN or (kind is str and value in clean)):
                result[shown] = value
                continue
            texts = _texts_of(value) if row is None else None
            result[shown] = self._safely(value, row) if texts is None else value
            if texts and not clean.issuperset(texts):
                pending.append((shown, value, texts))
        if pending:
            self._sift(pending, result)
        return result

    def _sift(self, pending: list[tuple[str, Any, Sequence[str]]], result: dict[str, Any]) -> None:
        """Look at all unknown texts at once; mostly, no rule has to see any of them."""
        together = [text for _, _, texts in pending for text in texts]
        needs_work = self._engine.sift(together)
        if needs_work is None:
            self._remember(together)
            return
        for shown, value, texts in pending:
            if any(map(needs_work, texts)):
                result[shown] = self._safely(value, None)

    def _remember(self, texts: list[str]) -> None:
        if len(self._clean) > _KNOWN_VALUES:
            self._clean.clear()
        self._clean.update([text for text in texts if len(text) <= _SHORT])

    def _learn(self, name: str) -> tuple[str, Name | None]:
        """How an attribute's name is shown, and the row by which it hides its value."""
        if len(self._known) >= _KNOWN_NAMES:
            self._known.clear()
        # What follows a carrier is a text of its own, which may be a key that stands for itself.
        carrier = next((each for each in CARRIERS if name.startswith(each)), "")
        shown = carrier + self._engine.redact(name[len(carrier) :])
        if carrier in _HEADERS:
            shown = carrier + _LONG_PIECE.sub(self._hide_generated, shown[len(carrier) :])
        known = self._engine.redact(shown), self._names.find_attribute(name)
        self._known[name] = known
        return known

    def _hide_generated(self, piece: re.Match[str]) -> str:
        text = piece.group()
        return self._engine.mode.value(text) if is_generated(text) else text

    def _safely(self, value: Any, row: Name | None) -> Any:
        try:
            return self._value(value, row, ())
        except Exception:
            return REDACTED

    def _value(self, value: Any, row: Name | None, above: tuple[int, ...]) -> Any:
        if isinstance(value, str):
            return self._hide(value) if row else self._engine.redact(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return self._engine.mode.named if row and row.numbers else self._number(value)
        if id(value) in above:
            return CYCLE
        if len(above) >= _DEPTH:
            return TOO_DEEP
        return self._container(value, row, (*above, id(value)))

    def _hide(self, value: str) -> str:
        """A value hidden for its name: shown as a value rule shows it, if one matches all of it."""
        if not value or is_mark(value):
            return value
        return self._engine.mark_hidden(value)

    def _number(self, value: float) -> Any:
        """A number, unless it is that of a payment card."""
        if abs(value) < _CARD or value != value:  # noqa: PLR0124 - not a number
            return value
        text = str(value)
        hidden = self._engine.redact(text)
        return value if hidden is text else hidden

    def _container(self, value: Any, row: Name | None, above: tuple[int, ...]) -> Any:
        if isinstance(value, (list, tuple)):
            items = [self._value(item, row, above) for item in value]
            if _has_options(items):
                items = self._arguments(items)
            return items if isinstance(value, list) else tuple(items)
        if isinstance(value, Mapping):
            return self._mapping(value, row, above)
        if isinstance(value, (bytes, bytearray)):
            return self._bytes(bytes(value), row)
        if isinstance(value, (set, frozenset)):
            return [self._value(item, row, above) for item in value]
        return self._value(str(value), row, above)

    def _arguments(self, items: list[Any]) -> list[Any]:
        """The arguments of a command, in which an option may stand before its value."""
        command = "curl " if any(isinstance(item, str) and "curl" in item for item in items) else ""
        for place, (option, value) in enumerate(zip(items, items[1:]), 1):
            if isinstance(value, str) and isinstance(option, str) and option[:1] == "-":
                items[place] = self._argument(f"{command}{option}\n", value)
        return items

    def _argument(self, option: str, value: str) -> str:
        """An option's value, without what the option makes a secret."""
        hits = [hit for hit in self._engine.hits(option + value) if hit.start >= len(option)]
        # Of what a name hides, an argument ends nowhere but at its end.
        if any(hit.rule.startswith("name:") for hit in hits):
            return self._engine.mode.named
        for hit in reversed(hits):
            first, last = hit.start - len(option), hit.end - len(option)
            value = f"{value[:first]}{self._engine.mode.named}{value[last:]}"
        return value

    def _bytes(self, value: bytes, row: Name | None) -> Any:
        text = value.decode("utf-8", "backslashreplace")
        hidden = self._value(text, row, ())
        return value if hidden is text else hidden

    def _mapping(self, value: Mapping[Any, Any], row: Name | None, above: tuple[int, ...]) -> Any:
        result = {}
        for key, item in value.items():
            name = key if isinstance(key, str) else str(key)
            shown, own = self._known.get(name) or self._learn(name)
            result[shown if isinstance(key, str) else key] = self._value(item, row or own, above)
        return result


def _has_options(items: Sequence[Any]) -> bool:
    """Whether a list may be the arguments of a command."""
    return len(items) > 1 and any(isinstance(item, str) and item[:1] == "-" for item in items)


def _texts_of(value: Any) -> Sequence[str] | None:
    """The texts that an attribute consists of; None if there is anything else in it."""
    kind = type(value)
    if kind is str:
        return (value,)
    if kind in _LISTS and {*map(type, value)} <= _ONLY_TEXT and not _has_options(value):
        return value  # type: ignore[no-any-return]
    return None
