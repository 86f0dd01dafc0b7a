"""Texts of exceptions lose their content at any depth of an event's properties."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction.exception_data import filter_data
from lupis_instrument._redaction.exception_text import GAP, NAMES, ExceptionFilter

TEXT = "got length b'PLANTED the diagnosis is gout'"
SHOWN = "got length […]"
FILTER = ExceptionFilter(lambda _file: False)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"exception.message": TEXT}, {"exception.message": SHOWN}),
        ({"error": {"exception.message": TEXT}}, {"error": {"exception.message": SHOWN}}),
        ({"exception": {"message": TEXT}}, {"exception": {"message": SHOWN}}),
        ({"a": {"error": [{"message": TEXT}]}}, {"a": {"error": [{"message": SHOWN}]}}),
        ([[[{"error.message": TEXT}]]], [[[{"error.message": SHOWN}]]]),
        (
            [{"name": "exception.message", "value": TEXT}],
            [{"name": "exception.message", "value": SHOWN}],
        ),
        ([["exception.message", TEXT], ["n", 1]], [["exception.message", SHOWN], ["n", 1]]),
        ({"exception.message": {"text": TEXT}}, {"exception.message": GAP}),
        ({"exception.message": [TEXT]}, {"exception.message": GAP}),
    ],
)
def test_messages_lose_their_content(data, expected):
    """In each notation that nested data has for a name and its value."""
    assert expected == filter_data(data, FILTER)


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("depth", range(4))
def test_every_name_counts_at_every_depth(name, depth):
    """Also in lists in mappings."""
    data = {name: TEXT}
    for _ in range(depth):
        data = {"last": [1, data]}
    assert "PLANTED" not in repr(filter_data(data, FILTER))


def test_stack_traces_keep_the_type():
    """The type stands beside the trace."""
    trace = f"Traceback (most recent call last):\nacme.Failure: {TEXT}"
    data = {"exception": {"type": "acme.Failure", "stacktrace": trace}}
    expected = f"Traceback (most recent call last):\nacme.Failure: {SHOWN}"
    assert expected == filter_data(data, FILTER)["exception"]["stacktrace"]


def test_other_data_stay():
    """Also a message of anything else."""
    data = {"message": TEXT, "form": {"message": TEXT}, "list": [["a", TEXT], 1, None]}
    assert data == filter_data(data, FILTER)
