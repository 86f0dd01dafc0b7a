"""OTEL_PROPAGATORS may name a propagator that is not installed."""

import os

import pytest

from lupis_instrument._instrumentation import propagators


@pytest.fixture
def loaded(monkeypatch):
    """The values of the variable with which the module was imported; only `good` succeeds."""
    values = []

    def import_module(_name):
        values.append(os.environ.get("OTEL_PROPAGATORS"))
        if values[-1] not in {"good", "tracecontext,baggage"}:
            raise ValueError

    monkeypatch.setattr(propagators, "import_module", import_module)
    return values


def test_names_that_load_are_used(loaded, monkeypatch):
    """Nothing is said."""
    monkeypatch.setenv("OTEL_PROPAGATORS", "good")
    assert propagators.load_propagators() is None
    assert ["good"] == loaded


def test_a_name_that_fails_is_reported_and_the_default_is_used(loaded, monkeypatch):
    """The variable stays as it is for the program."""
    monkeypatch.setenv("OTEL_PROPAGATORS", "good,b3")
    assert propagators.load_propagators() == (
        "OTEL_PROPAGATORS='good,b3' names a propagator that is not installed;"
        " tracecontext,baggage are used"
    )
    assert ["good,b3", "tracecontext,baggage"] == loaded
    assert "good,b3" == os.environ["OTEL_PROPAGATORS"]


@pytest.mark.usefixtures("loaded")
def test_another_error_is_raised(monkeypatch):
    """Where the variable is not set, OpenTelemetry itself fails."""
    monkeypatch.delenv("OTEL_PROPAGATORS", raising=False)
    with pytest.raises(ValueError):
        propagators.load_propagators()
