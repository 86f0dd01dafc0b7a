"""Redacts secrets in texts, attributes and nested data; data that cannot be redacted is dropped.

`redact_attributes` runs for every span, so it avoids work. It remembers how each attribute name is
shown and whether the name hides its value, and it remembers short attributes without secrets. The
prefilter looks at all other texts at once, and only the texts that it suspects are searched.
"""

from __future__ import annotations

import re
from typing import Any, Collection, Iterable, Mapping, NamedTuple, Sequence

from lupis_instrument._redaction.checks import is_generated
from lupis_instrument._redaction.command_arguments import redact_arguments
from lupis_instrument._redaction.engine import Engine
from lupis_instrument._redaction.modes import MODES, REDACTED, Mode, is_mark
from lupis_instrument._redaction.named_values import find_named_field, list_pair_names
from lupis_instrument._redaction.names import (
    CARRIER_PREFIXES,
    HEADER_PREFIXES,
    NameList,
    NameRule,
)
from lupis_instrument._redaction.patterns import compile_pattern

TOO_DEEP = "[TOO DEEP]"
CYCLE = "[CYCLE]"
_MAX_DEPTH = 32
# Spans hold the names of headers in lower case, in which few keys match their rule.
_LONG_NAME_PIECE = re.compile(r"[A-Za-z0-9]{20,}")
_MAX_KNOWN_NAMES = 4096
_MAX_CLEAN_TEXTS = 2048
_MAX_CLEAN_PAIRS = 1024
_MAX_CLEAN_LENGTH = 128
_LIST_TYPES = (tuple, list)
_ONLY_TEXT = {str}
_HARMLESS_TYPES = (bool, float, type(None))
# Smaller numbers have too few digits for a payment card.
_MIN_CARD_NUMBER = 10**12


class Redaction(NamedTuple):
    """A secret in a text.

    Attributes:
        rule: Id of the rule that found it.
        start: Position of the first character.
        end: Position behind the last character.
    """

    rule: str
    start: int
    end: int


class Redactor:
    """Redacts secrets in everything that leaves the process.

    No method raises an error. A value that cannot be redacted becomes ``[REDACTED]``.

    Args:
        mode: ``mask`` shows the first and last four characters of a secret, ``remove`` shows
            nothing, ``hash`` shows a hash by which equal secrets can be recognised.
        patterns: Names and regular expressions to redact besides the built-in ones; see
            `compile_pattern`.
        hash_key: The key of the hash (HMAC-SHA-256), without which nobody can test guesses of a
            secret.

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
        self._names = NameList(pattern.name for pattern in compiled if pattern.name)
        finders = [(pattern.literal, pattern) for pattern in compiled if not pattern.name]
        self._engine = Engine(Mode(mode, key or None), self._names, finders)
        # By an attribute's name: the name as it is shown, and the rule that hides the value.
        self._known_names: dict[str, tuple[str, NameRule | None]] = {}
        self._clean_texts: set[str] = set()
        # Attributes that are shown as they are: name, and a text or a tuple of texts.
        self._clean_pairs: set[tuple[str, Any]] = set()

    def redact_text(self, text: str) -> str:
        """Return the text without its secrets; the same object if it has none."""
        try:
            if text in self._clean_texts:
                return text
            redacted = self._engine.redact_text(text)
            if redacted is text:
                self._remember_clean([text])
            return redacted
        except Exception:
            return REDACTED

    def learn_texts(self, texts: Collection[str]) -> None:
        """Look at the texts of many spans at once, which is faster than span by span.

        Args:
            texts: texts that the next calls will redact.
        """
        clean = self._clean_texts
        unknown = [text for text in texts if len(text) <= _MAX_CLEAN_LENGTH and text not in clean]
        try:
            is_suspect = self._engine.prefilter_texts(unknown)
        except Exception:
            return  # each text is looked at again when it is redacted
        self._remember_clean([text for text in unknown if not (is_suspect and is_suspect(text))])

    def redact_attribute(self, name: str, value: Any) -> Any:
        """Return the value of one span attribute or property, redacted by its name and content."""
        try:
            name_rule = (self._known_names.get(name) or self._learn_name(name))[1]
            return self._redact_value(value, name_rule, ())
        except Exception:
            return REDACTED

    def redact_attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return all attributes of a span, redacted; an empty dict if they cannot be read."""
        try:
            return self._redact_attributes(attributes)
        except Exception:
            return {}

    def redact_data(self, data: Any) -> Any:
        """Return nested data, its keys and values redacted.

        Data nested more than 32 levels deep becomes ``[TOO DEEP]``; a list or mapping that contains
        itself becomes ``[CYCLE]``.
        """
        try:
            return self._redact_value(data, None, ())
        except Exception:
            return REDACTED

    def explain_text(self, text: str) -> list[Redaction]:
        """Return which rules redact which parts of a text."""
        try:
            hits = self._engine.find_hits(text)
            return [Redaction(hit.rule, hit.start, hit.end) for hit in hits]
        except Exception:
            return [Redaction("failed", 0, len(text))]

    def explain_name(self, name: str) -> str | None:
        """Return the rule by which an attribute or property of this name hides its value.

        Returns:
            The rule's id; ``failed`` if the value of an attribute with this name is dropped.
        """
        try:
            name_rule = (self._known_names.get(name) or self._learn_name(name))[1]
            return f"name:{name_rule.words}" if name_rule else None
        except Exception:
            return "failed"

    def _redact_attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Sort out the values that are known to be clean, then redact all others."""
        result = dict(attributes)
        shown_names: dict[str, str] = {}  # of the names that are not shown as they are
        # Attributes whose texts were not seen before: name, value and texts.
        unknown: list[tuple[str, Any, Sequence[str]]] = []
        for name, value in self._find_unknown(result):
            shown_name, name_rule = self._known_names.get(name) or self._learn_name(name)
            if shown_name != name:
                shown_names[name] = shown_name
            if name_rule is not None:
                result[name] = self._redact_named(value, name_rule)
                continue
            texts = _list_texts(value)
            if texts is None:
                result[name] = self._redact_safely(value, None)
            elif texts:
                unknown.append((name, value, texts))
        if unknown:
            clean = self._redact_unknown(unknown, result)
            self._remember_pairs([pair for pair in clean if pair[0] not in shown_names])
        if shown_names:
            return {shown_names.get(name, name): value for name, value in result.items()}
        return result

    def _find_unknown(self, attributes: dict[str, Any]) -> Iterable[tuple[str, Any]]:
        """Return the attributes that are not known to be clean.

        Most are the same as in the span before: hosts, models, header fields.
        """
        clean = self._clean_pairs
        try:
            return [pair for pair in attributes.items() if pair not in clean]
        except TypeError:  # a value has no hash
            return list(attributes.items())

    def _redact_unknown(
        self, unknown: list[tuple[str, Any, Sequence[str]]], result: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Redact texts that were not seen before; mostly, one run of the prefilter is enough.

        Args:
            unknown: The name, value and texts of each attribute.
            result: The redacted attributes, in which the values are replaced.

        Returns:
            The name and value of each attribute that is clean and short.
        """
        known = self._clean_texts
        new_texts = [text for _, _, texts in unknown for text in texts if text not in known]
        is_suspect = self._engine.prefilter_texts(new_texts) if new_texts else None
        clean = []
        for name, value, texts in unknown:
            if is_suspect is not None and any(map(is_suspect, texts)):
                result[name] = self._redact_safely(value, None)
            elif type(value) is not list and _is_short(name, texts):
                clean.append((name, value))
        return clean

    def _remember_pairs(self, pairs: list[tuple[str, Any]]) -> None:
        if len(self._clean_pairs) > _MAX_CLEAN_PAIRS:
            self._clean_pairs.clear()
        self._clean_pairs.update(pairs)

    def _remember_clean(self, texts: list[str]) -> None:
        if len(self._clean_texts) > _MAX_CLEAN_TEXTS:
            self._clean_texts.clear()
        self._clean_texts.update([text for text in texts if len(text) <= _MAX_CLEAN_LENGTH])

    def _learn_name(self, name: str) -> tuple[str, NameRule | None]:
        """Return how an attribute's name is shown, and the rule by which it hides its value."""
        if len(self._known_names) >= _MAX_KNOWN_NAMES:
            self._known_names.clear()
        # The text behind a carrier prefix is redacted alone, because the rule of a key does not
        # match inside a longer name.
        prefix = next((prefix for prefix in CARRIER_PREFIXES if name.startswith(prefix)), "")
        carried = self._engine.redact_text(name[len(prefix) :])
        if prefix in HEADER_PREFIXES:
            carried = _LONG_NAME_PIECE.sub(self._mark_generated, carried)
        shown_name = self._engine.redact_text(prefix + carried)
        known = shown_name, self._names.find_attribute_rule(name)
        if len(name) <= _MAX_CLEAN_LENGTH:
            self._known_names[name] = known
        return known

    def _mark_generated(self, piece: re.Match[str]) -> str:
        """Return the mark of a piece of a header's name that looks random, or the piece."""
        text = piece.group()
        return self._engine.mode.mark_secret(text) if is_generated(text) else text

    def _redact_named(self, value: Any, name_rule: NameRule) -> Any:
        """Return the value of an attribute whose name hides it; a header's, mostly one text."""
        if type(value) in _LIST_TYPES and len(value) == 1 and type(value[0]) is str:
            return type(value)((self._redact_safely(value[0], name_rule),))
        return self._redact_safely(value, name_rule)

    def _redact_safely(self, value: Any, name_rule: NameRule | None) -> Any:
        """Return the redacted value; one value's error must not drop the other attributes."""
        try:
            return self._redact_value(value, name_rule, ())
        except Exception:
            return REDACTED

    def _redact_value(
        self, value: Any, name_rule: NameRule | None, parents: tuple[int, ...]
    ) -> Any:
        """Return a value without its secrets.

        Args:
            value: The value.
            name_rule: The rule by which a name above the value hides it; None if none does.
            parents: The ids of the containers that hold the value, the outermost first.
        """
        if isinstance(value, str):
            return self._mark_named(value) if name_rule else self._engine.redact_text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return self._redact_number(value, name_rule)
        if id(value) in parents:
            return CYCLE
        if len(parents) >= _MAX_DEPTH:
            return TOO_DEEP
        return self._redact_container(value, name_rule, (*parents, id(value)))

    def _mark_named(self, value: str) -> str:
        """Return the mark of a value that its name hides; marks and empty values stay."""
        if not value or is_mark(value):
            return value
        return self._engine.mark_named_value(value)

    def _redact_number(self, value: float, name_rule: NameRule | None) -> Any:
        """Return a number, or a mark if its name hides it or it is a payment card number."""
        if name_rule and name_rule.hides_numbers:
            return self._engine.mode.full_mark
        is_nan = value != value  # noqa: PLR0124 - only NaN differs from itself
        if abs(value) < _MIN_CARD_NUMBER or is_nan:
            return value
        text = str(value)
        redacted = self._engine.redact_text(text)
        return value if redacted is text else redacted

    def _redact_container(
        self, value: Any, name_rule: NameRule | None, parents: tuple[int, ...]
    ) -> Any:
        """Return a list, mapping or set with redacted items; any other object as redacted text."""
        if isinstance(value, (list, tuple)):
            items = self._redact_items(value, name_rule, parents)
            if _has_options(items):
                items = redact_arguments(items, self._engine)
            return items if isinstance(value, list) else tuple(items)
        if isinstance(value, Mapping):
            return self._redact_mapping(value, name_rule, parents)
        if isinstance(value, (bytes, bytearray)):
            return self._redact_bytes(bytes(value), name_rule)
        if isinstance(value, (set, frozenset)):
            return [self._redact_value(item, name_rule, parents) for item in value]
        return self._redact_value(str(value), name_rule, parents)

    def _redact_items(
        self, items: Sequence[Any], name_rule: NameRule | None, parents: tuple[int, ...]
    ) -> list[Any]:
        """Return redacted items; in a list of pairs, each second item by the first one, too."""
        names = None if name_rule else list_pair_names(items)
        if names is None:
            return [self._redact_value(item, name_rule, parents) for item in items]
        redacted: list[Any] = []
        for name, pair in zip(names, items):
            own_rule = self._find_name_rule(name)
            first = self._redact_value(pair[0], None, parents)
            second = self._redact_value(pair[1], own_rule, parents)
            redacted.append([first, second] if isinstance(pair, list) else (first, second))
        return redacted

    def _find_name_rule(self, name: str) -> NameRule | None:
        return (self._known_names.get(name) or self._learn_name(name))[1]

    def _redact_bytes(self, value: bytes, name_rule: NameRule | None) -> Any:
        text = value.decode("utf-8", "backslashreplace")
        redacted = self._redact_value(text, name_rule, ())
        return value if redacted is text else redacted

    def _redact_mapping(
        self, value: Mapping[Any, Any], name_rule: NameRule | None, parents: tuple[int, ...]
    ) -> Any:
        """Return a mapping with redacted keys and values, each value by its own key, too."""
        result = {}
        named = None if name_rule else find_named_field(value)
        for key, item in value.items():
            name = key if isinstance(key, str) else str(key)
            shown_name, own_rule = self._known_names.get(name) or self._learn_name(name)
            shown_key = shown_name if isinstance(key, str) else key
            if named and key == named[1]:
                own_rule = own_rule or self._find_name_rule(named[0])
            result[shown_key] = self._redact_value(item, name_rule or own_rule, parents)
        return result


def _has_options(items: Sequence[Any]) -> bool:
    """Return whether a list may be the arguments of a command."""
    return len(items) > 1 and any(isinstance(item, str) and item[:1] == "-" for item in items)


def _is_short(name: str, texts: Sequence[str]) -> bool:
    """Return whether an attribute may be kept in a cache, which is bounded in bytes."""
    size = sum(map(len, texts)) + len(texts)
    return len(name) <= _MAX_CLEAN_LENGTH and size <= _MAX_CLEAN_LENGTH


def _list_texts(value: Any) -> Sequence[str] | None:
    """Return the texts of an attribute's value; None if it may hold a secret that is no text."""
    kind = type(value)
    if kind is str:
        return (value,)
    if kind is int:
        return () if -_MIN_CARD_NUMBER < value < _MIN_CARD_NUMBER else None
    if kind not in _LIST_TYPES:
        return () if kind in _HARMLESS_TYPES else None
    if len(value) == 1:  # the values of most headers
        return value if type(value[0]) is str else None
    is_plain = {*map(type, value)} <= _ONLY_TEXT and not _has_options(value)
    return value if is_plain else None
