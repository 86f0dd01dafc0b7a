"""Filters the attributes of received spans, and remembers those that need no filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Collection, Dict, Iterable, NamedTuple, Optional

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from lupis_instrument._diagnostics import internal_errors
from lupis_instrument._export.otlp.encoding import encode_attributes
from lupis_instrument._redaction.exception_text import NAMES
from lupis_instrument._viewer.otlp_requests import read_attributes

if TYPE_CHECKING:
    from lupis_instrument._tracing.content import Selector
    from lupis_instrument._tracing.stages.redact import SpanRedactor

ATTRIBUTES_FIELD = 9
"""The attributes' number among the fields of a span."""
_MAX_KNOWN = 4096
_MAX_KNOWN_BYTES = 256
"""The largest attribute that is remembered."""


class CleanAttribute(NamedTuple):
    """An attribute without secrets.

    Attributes:
        name: its name.
        value: its value.
        encoded: the attribute as a field of a span.
        is_exception: whether it describes an exception, which is filtered with its whole span.
    """

    name: str
    value: Any
    encoded: bytes
    is_exception: bool = False


AttributeTable = Dict[bytes, Optional[CleanAttribute]]
"""By encoded attribute: the attribute, filtered; None for content, which is left out."""
_EXCEPTION = CleanAttribute("", None, b"", is_exception=True)


class KnownAttributes:
    """The attributes of the spans of libraries, or of `lupis-run`: their rules differ.

    It remembers attributes that no filter changes, so it keeps neither secrets nor content.
    """

    def __init__(self, redact: SpanRedactor, is_content: Selector) -> None:
        """Make an empty table.

        Args:
            redact: the filter for secrets.
            is_content: returns whether an attribute is content.
        """
        self._redact = redact
        self._is_content = is_content
        self._known: dict[bytes, CleanAttribute] = {}

    def read_attributes(self, lists: Iterable[Collection[bytes]]) -> AttributeTable:
        """Return the attributes of many spans; each different one is filtered once."""
        find = self._known.get
        table: AttributeTable = {}
        unknown = []
        for encoded in set().union(*lists):
            known = find(encoded)
            if known is None:
                unknown.append(encoded)
            else:
                table[encoded] = known
        pairs = [(encoded, _decode_attribute(encoded)) for encoded in unknown]
        self._redact.learn_values([value for _, (_, value) in pairs])
        for encoded, (name, value) in pairs:
            table[encoded] = None
            with internal_errors("filtering a received attribute"):
                table[encoded] = self._filter_attribute(encoded, name, value)
        return table

    def _filter_attribute(self, encoded: bytes, name: str, value: Any) -> CleanAttribute | None:
        if value is None or self._is_content(name, value):
            return None
        if name in NAMES:
            return _EXCEPTION
        filtered = self._redact.redact_attributes({name: value})
        if not filtered:
            return None
        ((shown, shown_value),) = filtered.items()
        clean = CleanAttribute(shown, shown_value, encode_attributes(ATTRIBUTES_FIELD, filtered))
        if shown == name and shown_value is value and len(encoded) <= _MAX_KNOWN_BYTES:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[encoded] = clean
        return clean


def list_exceptions(table: AttributeTable) -> list[bytes]:
    """Return the attributes that describe an exception."""
    return [data for data, attribute in table.items() if attribute and attribute.is_exception]


def _decode_attribute(encoded: bytes) -> tuple[str, Any]:
    """Return the name and the value of an attribute; None for a value that is not kept."""
    pair = KeyValue.FromString(encoded)
    return pair.key, read_attributes([pair]).get(pair.key)
