"""The settings select clients, and clients that cannot be instrumented are reported."""

import sys
import types

import pytest

from lupis_instrument._config.clients import CLIENTS, Client
from lupis_instrument._instrumentation import selection
from lupis_instrument.exceptions import LupisError

HTTPX = next(client for client in CLIENTS if client.module == "httpx")
MISSING = Client("missing", "lupis_test_missing", "missing", "lupis-test-missing")


def config(instrument=(), disabled=()):
    """Return the settings that select clients."""
    return types.SimpleNamespace(instrument=instrument, disabled_instrumentations=disabled)


@pytest.mark.parametrize(
    ("instrument", "disabled", "expected"),
    [
        ((), (), True),
        (("httpx",), (), True),
        (("requests",), (), False),
        ((), ("httpx",), False),
        (("httpx",), ("httpx",), False),
    ],
)
def test_settings_select_a_client(instrument, disabled, expected):
    """`LUPIS_DISABLED_INSTRUMENTATIONS` wins over `LUPIS_INSTRUMENT`."""
    assert expected is selection.is_selected(HTTPX, config(instrument, disabled))


def test_adapter_instruments_the_client(monkeypatch):
    """It gets the provider and the wrappers."""
    received = []
    adapter = types.ModuleType(MISSING.adapter)
    adapter.instrument_client = lambda *args: received.append(args)
    monkeypatch.setitem(sys.modules, MISSING.adapter, adapter)
    selection.instrument_client(MISSING, "activation", "provider", config())
    assert [("provider", "activation")] == received


def test_client_that_cannot_be_instrumented_is_reported(capsys):
    """The line names the client and the error."""
    selection.instrument_client(MISSING, "activation", "provider", config())
    line = capsys.readouterr().err
    assert line.startswith("lupis: warning: lupis-test-missing is not instrumented: ModuleNotFound")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (config(), "warning: httpx {} is not instrumented: this version has no HTTPTransport"),
        (config(("httpx",)), "error: httpx {} is not instrumented: this version has no HTTPTran"),
    ],
)
def test_reported_client_has_its_version(monkeypatch, capsys, settings, expected):
    """It is an error if `LUPIS_INSTRUMENT` names the client."""
    monkeypatch.setattr("importlib.metadata.version", lambda _: "1.0.dev6")
    selection.report_client(HTTPX, settings, LupisError("this version has no HTTPTransport"))
    assert expected.format("1.0.dev6") in capsys.readouterr().err


def test_disabled_client_is_not_reported(capsys):
    """Nobody wants it to be instrumented."""
    selection.report_client(HTTPX, config(disabled=("httpx",)), ValueError())
    assert "" == capsys.readouterr().err


def test_named_client_that_is_not_installed_is_reported(monkeypatch, capsys):
    """A client that is not named may be missing."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "requests" or None)
    selection.report_missing(config(("requests", "aiohttp")))
    assert "lupis: error: LUPIS_INSTRUMENT='aiohttp': aiohttp is not installed\n" == (
        capsys.readouterr().err
    )
