"""Who may keep us from making a span."""

from opentelemetry.context import get_current
from opentelemetry.instrumentation.utils import (
    is_http_instrumentation_enabled,
    suppress_http_instrumentation,
    suppress_instrumentation,
)

from lupis_instrument._instrumentation.suppression import ALL, NOBODY, OUTER, lifted, objector


def test_the_program_may():
    """Who says that nothing is to be recorded means us too."""
    with suppress_instrumentation():
        assert ALL == objector()
    assert NOBODY == objector()


def test_an_instrumentor_further_out_may_not():
    """It only means that its span is enough for its own provider."""
    with suppress_http_instrumentation():
        assert OUTER == objector()
        with lifted():
            assert is_http_instrumentation_enabled()
            assert NOBODY == objector()
        assert not is_http_instrumentation_enabled()


def test_lifting_changes_nothing_else():
    """The rest of the context is as it was, inside and after."""
    before = get_current()
    with suppress_http_instrumentation(), lifted():
        assert dict(before) == dict(get_current())
    assert before is get_current()
