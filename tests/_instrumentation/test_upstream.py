"""Instrumentors of upstream are used beside the program's own use of them."""

import importlib
import sys

import pytest
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from lupis_instrument._instrumentation.import_hook import ImportHook
from lupis_instrument._instrumentation.upstream import load_without, switch_on
from lupis_instrument._instrumentation.wrapping import wrap_method

BOTH = """
import importlib
try:
    client = importlib.import_module("lupis_test_client")
except ImportError:
    client = None
"""


@pytest.fixture
def instrumentor():
    """An instrumentor class that keeps the options that its instances get."""

    class Instrumentor(BaseInstrumentor):
        def instrumentation_dependencies(self):
            return ["nothing-of-that-name >= 1"]

        def _instrument(self, **options):
            self.received.append(options)

        def _uninstrument(self, **options):
            pass

    Instrumentor.received = []
    return Instrumentor


def test_instrumentor_gets_the_provider_and_the_options(instrumentor):
    """It instruments the client even if its table of versions excludes it."""
    switch_on(instrumentor, "provider", url_filter="filter")
    (options,) = instrumentor.received
    assert ("provider", "filter") == (options["tracer_provider"], options["url_filter"])


def test_instrumentor_records_no_metrics(instrumentor):
    """The global meter provider is the program's."""
    from opentelemetry.metrics import NoOpMeterProvider

    switch_on(instrumentor, "provider")
    assert isinstance(instrumentor.received[0]["meter_provider"], NoOpMeterProvider)


def test_program_can_instrument_too(instrumentor):
    """The program's instance is another than this package's."""
    switch_on(instrumentor, "lupis")
    instrumentor().instrument(tracer_provider="program", skip_dep_check=True)
    assert ["lupis", "program"] == [options["tracer_provider"] for options in instrumentor.received]


def test_instrumentor_that_declines_is_an_error(instrumentor):
    """It gives the reason on its own logger only."""
    instrumentor.instrument = lambda *_, **__: None
    with pytest.raises(RuntimeError, match="Instrumentor declined"):
        switch_on(instrumentor, "provider")


def test_instrumentor_goes_behind_the_wrappers(instrumentor, recorder):
    """The function in the class is still the wrapper."""

    class Client:
        def send(self):
            return "wire"

    def instrument(self, **_):
        Client.send = lambda _: "lupis"

    wrap_method(recorder.activation, Client, "send")
    wrapper = Client.send
    instrumentor._instrument = instrument
    switch_on(instrumentor, "provider", recorder.activation.wrappers)
    assert (wrapper, "lupis") == (Client.send, Client().send())


@pytest.fixture
def client_file(tmp_path, monkeypatch):
    """The file of a client, beside a module that imports the client if it can."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "lupis_test_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "both.py").write_text(BOTH)
    client = tmp_path / "lupis_test_client.py"
    client.touch()
    ImportHook({client.stem: lambda _: None}).install()
    yield client
    for name in [name for name in sys.modules if name.startswith("lupis_test_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def load():
    """Import that module without the client."""
    importlib.invalidate_caches()
    return load_without("lupis_test_client", "lupis_test_package.both")


def load_like_program():
    """Import that module like the program would."""
    return importlib.import_module("lupis_test_package.both")


@pytest.mark.usefixtures("client_file")
def test_client_that_is_not_imported_stays_out():
    """The next import of the module makes a new one, with the client."""
    module = load()
    assert (None, False) == (module.client, "lupis_test_client" in sys.modules)
    assert not hasattr(sys.modules["lupis_test_package"], "both")
    assert load_like_program().client is sys.modules["lupis_test_client"]


@pytest.mark.usefixtures("client_file")
def test_loaded_module_is_shared():
    """The program and this package get the same one."""
    module = load_like_program()
    assert (module, module) == (load(), load_like_program())


@pytest.mark.usefixtures("client_file")
def test_imported_client_is_found():
    """One module serves both then."""
    client = importlib.import_module("lupis_test_client")
    module = load()
    assert (client, module) == (module.client, load_like_program())


def test_missing_client_needs_no_second_module(client_file):
    """One module serves both then."""
    client_file.unlink()
    module = load()
    assert (None, module) == (module.client, load_like_program())


def test_failed_import_leaves_nothing_behind(client_file):
    """The program's own import of the module succeeds."""
    (client_file.parent / "lupis_test_package" / "both.py").write_text("import lupis_test_client")
    with pytest.raises(ImportError, match="lupis_test_client"):
        load()
    assert load_like_program().lupis_test_client is sys.modules["lupis_test_client"]
