"""Waiting items are sent once, from one process at a time."""

import pytest
from opentelemetry.sdk.resources import Resource

from lupis_instrument._export.otlp.destinations import WIRE_FORMATS, Destination
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.otlp.responses import ExportResponse, ExportResult
from lupis_instrument._export.store import outbox
from lupis_instrument._export.store import store as store_module

ACCEPTED = ExportResponse(ExportResult.ACCEPTED)


@pytest.fixture
def target(store, target_of):
    """An endpoint for which the events of three requests wait."""
    target = target_of("http://127.0.0.1:1/api/events", "events")
    event = {"timestamp": 1, "name": "e", "properties": {}, "metadata": {}}
    store.add_items(
        ItemEncoder(Resource({})).encode_events([event] * WIRE_FORMATS["events"].max_items * 3),
        target,
    )
    return target


def test_the_lease_is_renewed_while_its_holder_sends(store, target, monkeypatch):
    """Three slow requests take longer than one lease."""
    now = [1000.0]
    monkeypatch.setattr(store_module, "time", lambda: now[0])
    acquired = []

    class Slow:
        def send_request(self, *_, **__):
            now[0] += 40
            acquired.append(store.acquire_lease(target, "another"))
            return ACCEPTED

    outbox.drain_outbox(store, Destination(target, {}), Slow(), "me")
    assert [False] * 3 == acquired
    assert store.acquire_lease(target, "another")


def test_sending_stops_when_the_lease_is_lost(store, target, monkeypatch):
    """The machine may have slept during a request."""
    now = [1000.0]
    monkeypatch.setattr(store_module, "time", lambda: now[0])

    class Asleep:
        requests = 0

        def send_request(self, *_, **__):
            self.requests += 1
            now[0] += 3600
            assert store.acquire_lease(target, "another")
            return ACCEPTED

    asleep = Asleep()
    outbox.drain_outbox(store, Destination(target, {}), asleep, "me")
    assert 1 == asleep.requests
    assert not store.acquire_lease(target, "me")


class Endpoint:
    """A sender that answers with the given responses, and then accepts everything."""

    def __init__(self, *responses):
        self.responses = list(responses)
        self.requests = 0

    def send_request(self, *_, **__):
        """Takes the place of `Sender.send_request`."""
        self.requests += 1
        return self.responses.pop(0) if self.responses else ACCEPTED


def drain(store, target, endpoint, **options):
    """Send the outbox of the target."""
    return outbox.drain_outbox(store, Destination(target, {}), endpoint, "me", **options)


def test_all_waiting_items_are_sent(store, target):
    """They are delivered then."""
    result = drain(store, target, Endpoint())
    assert (150, 0, 0, False) == (result.accepted, result.refused, result.rejected, result.stuck)
    assert 0 == store.count_waiting(target)


def test_sending_stops_at_an_endpoint_that_is_down(store, target):
    """The remaining items still wait."""
    endpoint = Endpoint(ACCEPTED, ExportResponse(ExportResult.RETRY, "status 503", 503))
    result = drain(store, target, endpoint)
    assert (50, True, 2) == (result.accepted, result.stuck, endpoint.requests)
    assert 100 == store.count_waiting(target)


def test_refused_items_wait_no_more(store, target):
    """They are sent again only on demand."""
    endpoint = Endpoint(ExportResponse(ExportResult.REFUSED, "status 401", 401))
    result = drain(store, target, endpoint)
    assert (100, 50) == (result.accepted, result.refused)
    assert 50 == drain(store, target, Endpoint(), refused_too=True).accepted


def test_rejected_items_are_counted(store, target):
    """The endpoint has left them out of an accepted request."""
    result = drain(store, target, Endpoint(ACCEPTED._replace(rejected=3)))
    assert (147, 3) == (result.accepted, result.rejected)


def test_nothing_is_sent_while_another_process_sends(store, target):
    """It has the lease."""
    store.acquire_lease(target, "another")
    endpoint = Endpoint()
    result = drain(store, target, endpoint)
    assert (False, True, 0) == (result.leased, result.stuck, endpoint.requests)


def test_the_caller_can_end_the_sending(store, target, monkeypatch):
    """The lease is given back."""
    monkeypatch.setattr(outbox, "MAX_READ_ITEMS", 50)
    answers = iter([True, False])
    assert 50 == drain(store, target, Endpoint(), may_continue=lambda: next(answers)).accepted
    assert store.acquire_lease(target, "another")


def test_final_responses_are_passed_on(store, target):
    """A request that is to be retried has no final response."""
    refused = ExportResponse(ExportResult.REFUSED, "status 401", 401)
    endpoint = Endpoint(ACCEPTED, refused, ExportResponse(ExportResult.RETRY))
    seen = []
    drain(
        store,
        target,
        endpoint,
        on_response=lambda response, group: seen.append((response, len(group))),
    )
    assert [(ACCEPTED, 50), (refused, 50)] == seen


@pytest.mark.parametrize("status", [404, 405])
def test_events_that_an_endpoint_does_not_take_are_kept(status, store, target):
    """They wait for it no more."""
    response = ExportResponse(ExportResult.REFUSED, f"status {status}", status)
    result = drain(store, target, Endpoint(response, response, response))
    assert (0, 150) == (result.refused, result.kept)
    assert [(target, 0, 0)] == store.list_targets()
