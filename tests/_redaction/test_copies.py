"""A value that a name hides is hidden everywhere in the text, if it looks random."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction import Redactor

REDACTOR = Redactor("remove")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "login hunter22! password: hunter22!, hunter22!",
            "login [REDACTED] password: [REDACTED], [REDACTED]",
        ),
        ("GET /u/a1b2c3d4e5 token=a1b2c3d4e5", "GET /u/[REDACTED] token=[REDACTED]"),
        ("password=hunter22x! and hunter22x!y", "password=[REDACTED] and hunter22x!y"),
        ("the cucumber: password=cucumber", "the cucumber: password=[REDACTED]"),
        ("pin 12ab: password=12ab", "pin 12ab: password=[REDACTED]"),
    ],
    ids=["before and after", "in a path", "longer word", "word", "short"],
)
def test_copies_of_a_value(text, expected):
    """A copy stands alone; a word or a short value may mean something else."""
    assert expected == REDACTOR.redact_text(text)


def test_many_values_take_linear_time():
    """A limited number of values is searched for."""
    text = " ".join(f"password=hunter{number:06}" for number in range(3000))
    assert "hunter0" not in REDACTOR.redact_text(text)
