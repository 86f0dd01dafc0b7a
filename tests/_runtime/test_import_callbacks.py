"""The reactions to the import of a client, a server or multiprocessing."""

import types

import pytest

from lupis_instrument._config.clients import Client
from lupis_instrument._process import greenlets
from lupis_instrument._runtime import import_callbacks
from lupis_instrument._runtime.first_modules import FIRST_MODULES
from lupis_instrument._runtime.import_callbacks import ImportCallbacks


@pytest.fixture
def adapter(monkeypatch):
    """An adapter that keeps the modules it was given and their activations."""
    module = types.SimpleNamespace(wrapped=[])
    module.wrap_client = lambda client, activation: module.wrapped.append((client, activation))
    monkeypatch.setattr(import_callbacks, "import_module", lambda _name: module)
    return module


@pytest.fixture
def client():
    """A row of the table of clients."""
    return Client("fancy", "fancy", "fancy", "fancy")


def make_module():
    """Returns a module of the client."""
    return types.ModuleType("fancy")


def test_an_imported_client_is_wrapped(adapter, client):
    """Its adapter gets the module and a dormant activation."""
    module = make_module()
    ImportCallbacks().use_client(client, module)
    ((wrapped, activation),) = adapter.wrapped
    assert (module, True) == (wrapped, activation.dormant)


def test_the_same_module_is_wrapped_once(adapter, client):
    """`importlib.reload` calls back again."""
    callbacks, module = ImportCallbacks(), make_module()
    callbacks.use_client(client, module)
    callbacks.use_client(client, module)
    assert 1 == len(adapter.wrapped)


def test_a_second_import_before_the_first_request_is_wrapped_too(adapter, client):
    """Its classes are new."""
    callbacks = ImportCallbacks()
    callbacks.use_client(client, make_module())
    callbacks.use_client(client, make_module())
    assert 2 == len(adapter.wrapped)


def test_a_second_import_after_the_first_request_is_left_alone(adapter, client):
    """The instrumentor is behind the classes of the first import."""
    callbacks = ImportCallbacks()
    callbacks.use_client(client, make_module())
    adapter.wrapped[0][1].dormant = False
    callbacks.use_client(client, make_module())
    assert 1 == len(adapter.wrapped)


def test_all_clients_share_the_current_calls(adapter, client):
    """The wire of http.client serves the calls of other clients too."""
    callbacks = ImportCallbacks()
    callbacks.use_client(client, make_module())
    callbacks.use_client(Client("plain", "plain", "plain", "plain"), make_module())
    assert 1 == len({id(activation._calls) for _, activation in adapter.wrapped})


def test_a_client_that_cannot_be_wrapped_is_reported(run_code):
    """The program imports it all the same."""
    done = run_code(
        """
        from lupis_instrument._runtime import bootstrap
        bootstrap.start()
        import lupis_instrument._instrumentation.clients.requests as adapter
        adapter.wrap_client = lambda *_: 1 / 0
        import requests
        print("imported")
        """
    )
    assert "imported\n" == done.output
    assert "requests" in done.messages
    assert "is not instrumented: ZeroDivisionError" in done.messages


@pytest.mark.parametrize("has_client", [False, True])
def test_a_child_without_a_client_watches_no_signals(has_client, adapter, client, monkeypatch):
    """It has nothing to deliver yet."""
    states = []
    monkeypatch.setattr(
        import_callbacks.shutdown_hooks,
        "watch_children",
        lambda _util, _finish, is_idle: states.append(is_idle),
    )
    monkeypatch.setattr(import_callbacks.shutdown_hooks, "watch_signals", lambda _finish: None)
    callbacks = ImportCallbacks()
    callbacks.watch_children(types.ModuleType("multiprocessing.util"))
    if has_client:
        callbacks.use_client(client, make_module())
    assert [not has_client] == [is_idle() for is_idle in states]


def test_celerys_workers_deliver_at_their_end(monkeypatch):
    """They leave by `os._exit`, but announce it with a signal of celery."""
    finished, receivers = [], []
    monkeypatch.setattr(import_callbacks, "finish", lambda: finished.append(True))
    shutdown = types.SimpleNamespace(connect=lambda receiver, weak: receivers.append(receiver))
    ImportCallbacks().watch_celery(types.SimpleNamespace(worker_process_shutdown=shutdown))
    receivers[0](sender=None, pid=1, exitcode=0)
    assert [True] == finished


@pytest.mark.parametrize("patched", [True, False])
def test_the_first_request_loads_in_parts_among_greenlets(patched, adapter, client, monkeypatch):
    """Other programs load all at once."""
    parts = []
    monkeypatch.setattr(greenlets, "import_beside_greenlets", parts.append)
    monkeypatch.setattr(import_callbacks, "is_patched", lambda: patched)
    monkeypatch.setattr(import_callbacks, "_activate_client", lambda *_: None)
    ImportCallbacks().use_client(client, make_module())
    adapter.wrapped[0][1].begin_request()
    assert [FIRST_MODULES] * patched == parts
