"""What waits in the store is sent once, by one process at a time."""

import pytest
from opentelemetry.sdk.resources import Resource

from lupis_instrument._export.otlp.destinations import WIRE_FORMATS, Destination
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.otlp.responses import ExportResponse, ExportResult
from lupis_instrument._export.store import outbox
from lupis_instrument._export.store import store as store_module


@pytest.fixture
def target(store, target_of):
    """Where events wait to be sent, of more than one request."""
    target = target_of("http://127.0.0.1:1/api/events", "events")
    event = {"timestamp": 1, "name": "e", "properties": {}, "metadata": {}}
    store.add_items(
        ItemEncoder(Resource({})).encode_events([event] * WIRE_FORMATS["events"].max_items * 3),
        target,
    )
    return target


def test_a_lease_lasts_as_long_as_its_holder_sends(store, target, monkeypatch):
    """However slow the endpoint is."""
    now = [1000.0]
    monkeypatch.setattr(store_module, "time", lambda: now[0])
    others = []

    class Slow:
        def send_request(self, *_, **__):
            now[0] += 40
            others.append(store.acquire_lease(target, "another"))
            return ExportResponse(ExportResult.ACCEPTED)

    outbox.drain_outbox(store, Destination(target, {}), Slow(), "me")
    assert [False] * 3 == others
    assert store.acquire_lease(target, "another")


def test_who_has_lost_the_lease_sends_no_more(store, target, monkeypatch):
    """The machine may have slept meanwhile."""
    now = [1000.0]
    monkeypatch.setattr(store_module, "time", lambda: now[0])

    class Asleep:
        requests = 0

        def send_request(self, *_, **__):
            self.requests += 1
            now[0] += 3600
            assert store.acquire_lease(target, "another")
            return ExportResponse(ExportResult.ACCEPTED)

    asleep = Asleep()
    outbox.drain_outbox(store, Destination(target, {}), asleep, "me")
    assert 1 == asleep.requests
    assert not store.acquire_lease(target, "me")
