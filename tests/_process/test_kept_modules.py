"""The modules of OpenTelemetry that this package uses stay the same when a program drops them."""

import sys
import types

import pytest

from lupis_instrument._process import kept_modules
from lupis_instrument._process.kept_modules import use_kept_modules

NAME, LATER = "opentelemetry.lupis_test", "opentelemetry.lupis_test_later"


@pytest.fixture(autouse=True)
def own(monkeypatch):
    """A module that was kept; all changes are undone after the test."""
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(kept_modules, "kept_modules", {})
    with use_kept_modules():
        sys.modules[NAME] = own = types.ModuleType(NAME)
    return own


def test_a_loaded_module_stays(own):
    """It is loaded for the program too."""
    assert own is sys.modules[NAME]


@pytest.mark.parametrize("other", [types.ModuleType(NAME), None])
def test_a_block_uses_the_kept_module(own, other):
    """Afterwards the program has its own again, even if that forbids the import."""
    sys.modules[NAME] = other
    with use_kept_modules():
        assert own is sys.modules[NAME]
    assert other is sys.modules[NAME]


def test_a_dropped_module_stays_dropped(own):
    """The program may drop it to import it anew."""
    del sys.modules[NAME]
    with use_kept_modules():
        assert own is sys.modules[NAME]
        sys.modules[LATER] = later = types.ModuleType(LATER)
    assert {NAME, LATER}.isdisjoint(sys.modules)
    assert later is kept_modules.kept_modules[LATER]


def test_a_forbidden_module_can_be_loaded():
    """Programs test their behaviour without OpenTelemetry by None."""
    sys.modules[LATER] = None
    with use_kept_modules():
        assert LATER not in sys.modules
        sys.modules[LATER] = types.ModuleType(LATER)
    assert sys.modules[LATER] is None


def test_other_packages_are_not_kept():
    """Only OpenTelemetry has a context that this package shares with its instrumentors."""
    with use_kept_modules():
        sys.modules["opentelemetrys"] = types.ModuleType("opentelemetrys")
    assert "opentelemetrys" not in kept_modules.kept_modules
