"""Switching on upstream's instrumentors, beside the program's own use of them."""

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
    """An instrumentor class, whose instances note what they are given."""

    class Instrumentor(BaseInstrumentor):
        def instrumentation_dependencies(self):
            return ["nothing-of-that-name >= 1"]

        def _instrument(self, **options):
            self.given.append(options)

        def _uninstrument(self, **options):
            pass

    Instrumentor.given = []
    return Instrumentor


def test_it_is_given_the_provider_and_the_options(instrumentor):
    """And instruments, whatever upstream's table of versions says."""
    switch_on(instrumentor, "provider", url_filter="filter")
    (options,) = instrumentor.given
    assert ("provider", "filter") == (options["tracer_provider"], options["url_filter"])


def test_its_metrics_go_nowhere(instrumentor):
    """The global meter provider is the program's."""
    from opentelemetry.metrics import NoOpMeterProvider

    switch_on(instrumentor, "provider")
    assert isinstance(instrumentor.given[0]["meter_provider"], NoOpMeterProvider)


def test_the_program_can_switch_it_on_too(instrumentor):
    """Its instance is another than ours."""
    switch_on(instrumentor, "ours")
    instrumentor().instrument(tracer_provider="programs", skip_dep_check=True)
    assert ["ours", "programs"] == [each["tracer_provider"] for each in instrumentor.given]


def test_one_that_declines_is_an_error(instrumentor):
    """It would only say so on its own logger."""
    instrumentor.instrument = lambda *_, **__: None
    with pytest.raises(RuntimeError, match="Instrumentor declined"):
        switch_on(instrumentor, "provider")


def test_it_is_laid_behind_the_doors(instrumentor, recorder):
    """What stands in the class is not replaced."""

    class Client:
        def send(self):
            return "wire"

    def instrument(self, **_):
        Client.send = lambda _: "ours"

    wrap_method(recorder.activation, Client, "send")
    wrapper = Client.send
    instrumentor._instrument = instrument
    switch_on(instrumentor, "provider", recorder.activation.wrappers)
    assert (wrapper, "ours") == (Client.send, Client().send())


@pytest.fixture
def both(tmp_path, monkeypatch):
    """A module that imports a client, where there is one; and the client's file."""
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
    for name in [each for each in sys.modules if each.startswith("lupis_test_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def load():
    """Imports that module without the client."""
    importlib.invalidate_caches()
    return load_without("lupis_test_client", "lupis_test_package.both")


def load_as_others_do():
    """Imports it as the program would."""
    return importlib.import_module("lupis_test_package.both")


@pytest.mark.usefixtures("both")
def test_a_client_that_the_program_has_not_imported_stays_out():
    """Whoever imports the module next gets one with it."""
    module = load()
    assert (None, False) == (module.client, "lupis_test_client" in sys.modules)
    assert not hasattr(sys.modules["lupis_test_package"], "both")
    assert load_as_others_do().client is sys.modules["lupis_test_client"]


@pytest.mark.usefixtures("both")
def test_a_module_that_was_loaded_is_the_programs():
    """And ours."""
    module = load_as_others_do()
    assert (module, module) == (load(), load_as_others_do())


@pytest.mark.usefixtures("both")
def test_a_client_that_the_program_has_imported_is_found():
    """One module is enough then."""
    client = importlib.import_module("lupis_test_client")
    module = load()
    assert (client, module) == (module.client, load_as_others_do())


def test_a_client_that_is_not_installed_needs_no_keeping_out(both):
    """One module is enough then, too."""
    both.unlink()
    module = load()
    assert (None, module) == (module.client, load_as_others_do())


def test_a_module_that_needs_the_client_leaves_nothing_behind(both):
    """The program's import of it is to succeed."""
    (both.parent / "lupis_test_package" / "both.py").write_text("import lupis_test_client")
    with pytest.raises(ImportError, match="lupis_test_client"):
        load()
    assert load_as_others_do().lupis_test_client is sys.modules["lupis_test_client"]
