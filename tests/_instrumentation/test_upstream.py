"""Switching on upstream's instrumentors, beside the program's own use of them."""

import pytest
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from lupis_instrument._instrumentation.doors import hang
from lupis_instrument._instrumentation.upstream import switch_on


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


def test_it_is_laid_behind_the_doors(instrumentor, watched):
    """What stands in the class is not replaced."""

    class Client:
        def send(self):
            return "wire"

    def instrument(self, **_):
        Client.send = lambda _: "ours"

    hang(watched.gate, Client, "send")
    door = Client.send
    instrumentor._instrument = instrument
    switch_on(instrumentor, "provider", watched.gate.doors)
    assert (door, "ours") == (Client.send, Client().send())
