"""Imports of this package let the other greenlets of the program run."""

import pytest

from lupis_instrument._process import greenlets


@pytest.fixture
def steps(monkeypatch):
    """Lists imports, and the turns of other greenlets; a module "missing" cannot be imported."""
    steps = []

    def import_module(name):
        if name == "missing":
            raise ModuleNotFoundError(name)
        steps.append(name)

    monkeypatch.setattr(greenlets, "import_module", import_module)
    monkeypatch.setattr(greenlets.time, "sleep", lambda _: steps.append("turn"))
    return steps


def test_other_greenlets_run_after_each_import(steps):
    """One import of all modules would stop them for long."""
    greenlets.import_beside_greenlets(["a", "b"])
    assert ["a", "turn", "b", "turn"] == steps


def test_a_module_that_cannot_be_imported_is_left_out(steps):
    """Versions of OpenTelemetry differ in their modules."""
    greenlets.import_beside_greenlets(["missing", "b"])
    assert ["turn", "b", "turn"] == steps


def test_the_greenlet_of_the_event_loop_stops(steps, monkeypatch):
    """It cannot wait: gevent and eventlet refuse."""

    def refuse(_):
        raise AssertionError

    monkeypatch.setattr(greenlets.time, "sleep", refuse)
    greenlets.import_beside_greenlets(["a", "b"])
    assert ["a"] == steps


def test_the_end_of_a_timeout_reaches_the_program(steps, monkeypatch):
    """A library raises it in the greenlet that waits."""

    def end(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(greenlets.time, "sleep", end)
    with pytest.raises(KeyboardInterrupt):
        greenlets.import_beside_greenlets(["a"])
