"""The table of HTTP clients."""

import importlib.util
from importlib import import_module

import pytest

from lupis_instrument._config.clients import CLIENTS
from lupis_instrument._config.config import resolve_settings

ROWS = [pytest.param(client, id=client.module) for client in CLIENTS]


@pytest.mark.parametrize("client", ROWS)
def test_each_client_has_an_adapter(client):
    """The adapter has the two functions that the table promises."""
    if importlib.util.find_spec(client.module.partition(".")[0]) is None:
        pytest.skip(f"{client.module} is not installed")
    adapter = import_module(client.adapter)
    assert callable(adapter.wrap_client)
    assert callable(adapter.instrument_client)


def test_each_module_is_watched_once():
    """The import hook has one callback for each module."""
    modules = [client.module for client in CLIENTS]
    assert sorted(set(modules)) == sorted(modules)


@pytest.mark.parametrize("variable", ["LUPIS_INSTRUMENT", "LUPIS_DISABLED_INSTRUMENTATIONS"])
@pytest.mark.parametrize("client", ROWS)
def test_the_settings_know_each_client(variable, client):
    """Both settings accept the client's name."""
    config = resolve_settings({variable: client.name}, None, launched=True).config
    named = (*config.instrument, *config.disabled_instrumentations)
    assert (client.name,) == named
