"""Attributes of received spans, filtered once."""

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from lupis_instrument._redaction import Redactor
from lupis_instrument._tracing.content import is_content
from lupis_instrument._tracing.stages.redact import SpanRedactor
from lupis_instrument._viewer.known_attributes import KnownAttributes, list_exceptions

KEY = "sk-1234567890abcdef1234567890abcdef12345678"


def encode(name, value):
    """An attribute with a text."""
    pair = KeyValue(key=name)
    pair.value.string_value = value
    return pair.SerializeToString()


MODEL, NOTE = encode("model", "gpt-4o"), encode("note", KEY)


def test_attribute_is_filtered_once():
    """The next batch finds it in the table; an attribute with a secret is filtered again."""
    filtered = []

    class Counting(SpanRedactor):
        def redact_attributes(self, attributes):
            filtered.extend(attributes)
            return super().redact_attributes(attributes)

    known = KnownAttributes(Counting(Redactor()), is_content)
    for _ in range(2):
        table = known.read_attributes([[MODEL, NOTE], [MODEL]])
    assert ["model", "note", "note"] == sorted(filtered)
    assert ("gpt-4o", False) == (table[MODEL].value, KEY in table[NOTE].value)


def test_content_is_left_out():
    """The table has no value for it."""
    prompt = encode("gen_ai.prompt", "p")
    table = KnownAttributes(SpanRedactor(Redactor()), is_content).read_attributes([[prompt]])
    assert {prompt: None} == table


def test_texts_of_exceptions_are_marked():
    """They are filtered with their whole span."""
    message = encode("exception.message", "m")
    known = KnownAttributes(SpanRedactor(Redactor()), is_content)
    assert [message] == list_exceptions(known.read_attributes([[message, MODEL]]))
