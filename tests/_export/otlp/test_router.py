"""A batch goes to an endpoint or to the store, as its turn comes."""

import pytest

from lupis_instrument._export.otlp.destinations import Destination, Router
from lupis_instrument._export.otlp.encoded_items import EVENT, SPAN


class Probe:
    """A probe with a fixed answer."""

    def __init__(self, listening):
        self.listening = listening

    def is_receiver(self):
        """Returns whether a server listens."""
        return self.listening


@pytest.fixture
def spans(target_of):
    """The endpoint of spans."""
    return Destination(target_of("http://127.0.0.1:1/v1/traces"), {})


@pytest.fixture
def events(target_of):
    """The endpoint of events."""
    return Destination(target_of("http://127.0.0.1:1/v1/logs", "logs"), {})


@pytest.mark.parametrize(
    ("exporter", "probe", "sent"),
    [
        ("otlp", None, True),
        ("otlp", Probe(listening=False), True),
        ("local", None, False),
        ("local", Probe(listening=True), False),
        ("auto", None, True),
        ("auto", Probe(listening=True), True),
        ("auto", Probe(listening=False), False),
    ],
)
def test_the_exporter_decides_whether_items_are_sent(exporter, probe, sent, spans, events):
    """With `auto`, the default endpoint is used only while a server listens there."""
    router = Router(exporter, spans, events, probe)
    assert (spans if sent else None) == router.choose_destination(SPAN)
    assert (events if sent else None) == router.choose_destination(EVENT)


def test_the_choice_follows_the_probe(spans, events):
    """A collector may start while the program runs."""
    probe = Probe(listening=False)
    router = Router("auto", spans, events, probe)
    assert None is router.choose_destination(SPAN)
    probe.listening = True
    assert spans == router.choose_destination(SPAN)


def test_events_without_an_endpoint_are_stored(spans, capsys):
    """A warning names the setting."""
    assert None is Router("otlp", spans, None, None).choose_destination(EVENT)
    assert "LUPIS_EVENTS_ENDPOINT" in capsys.readouterr().err


def test_events_that_the_user_keeps_are_stored_silently(spans, capsys):
    """LUPIS_EVENTS_ENDPOINT=none says so."""
    router = Router("otlp", spans, None, None, keeps_events=True)
    assert None is router.choose_destination(EVENT)
    assert "" == capsys.readouterr().err
