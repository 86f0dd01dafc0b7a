"""How what is to be sent becomes requests, and what is tried where one is not taken."""

import json

import pytest

from lupis_instrument import LupisConfig
from lupis_instrument._export.otlp import destinations
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.otlp.responses import ExportResponse, ExportResult
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._tracing.context import EMPTY, Conversation
from lupis_instrument._tracing.events import make_event


class Picky:
    """A sender to an endpoint that takes no request with one of some names in it."""

    def __init__(self, *bad, outcome=ExportResult.SPLIT):
        self.bad = bad
        self.result = outcome
        self.requests = 0

    def send_request(self, url, body, headers, **_):
        self.requests += 1
        found = any(b"*\x03" + name.encode() in body for name in self.bad)
        return ExportResponse(self.result if found else ExportResult.ACCEPTED)


@pytest.fixture
def destination(target_of):
    """A way that nobody goes in earnest."""
    return destinations.Destination(target_of("http://127.0.0.1:1/v1/traces"), {})


def fates(destination, sender, items):
    """Outcomes, with the names they are of."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    return [
        (answer.result, [Span.FromString(item.body).name for item in group])
        for answer, group in destination.send_items(sender, items)
    ]


def test_a_bad_span_does_not_take_its_request_along(destination, items):
    """Halves are tried until it is alone."""
    found = fates(destination, Picky("137"), items(100, first=100))
    assert [["137"]] == [names for outcome, names in found if outcome == ExportResult.SPLIT]
    assert 99 == sum(len(names) for outcome, names in found if outcome == ExportResult.ACCEPTED)
    assert list(map(str, range(100, 200))) == [name for _, names in found for name in names]


def test_an_endpoint_that_takes_nothing_is_not_asked_for_ever(destination, items):
    """However many spans there are."""
    sender = Picky("1")
    sender.send = lambda *_, **__: (
        setattr(sender, "requests", sender.requests + 1) or ExportResponse(ExportResult.SPLIT)
    )
    found = fates(destination, sender, items(512))
    assert 512 == sum(len(names) for _, names in found)
    assert sender.requests < 100


def test_what_is_refused_for_good_is_not_split(destination, items):
    """A wrong key is as wrong for a half."""
    assert [(ExportResult.REFUSED, ["100", "101"])] == fates(
        destination, Picky("100", outcome=ExportResult.REFUSED), items(2, first=100)
    )


def test_the_rest_waits_where_one_has_to(destination, items):
    """Nothing more is sent after it."""
    sender = Picky("100", outcome=ExportResult.RETRY)
    found = fates(destination, sender, items(1200, first=100))
    assert {ExportResult.RETRY} == {outcome for outcome, _ in found}
    assert (1, 1200) == (sender.requests, sum(len(names) for _, names in found))


def test_requests_are_bounded_in_bytes(destination, items):
    """A big span goes alone."""
    items = items(3, size=destinations.MAX_REQUEST_BYTES // 2) + items(2, first=3)
    found = fates(destination, Picky(), items)
    assert [["0"], ["1"], ["2", "3", "4"]] == [names for _, names in found]


def config(**settings):
    """Settings with these endpoints."""
    return LupisConfig(project_id="shop", api_key="k", otlp_headers={"x-more": "1"}, **settings)


def test_headers_say_whose_it_is(sink):
    """Project, key, and what the user adds."""
    destination = destinations.span_destination(config(otlp_endpoint=sink.otlp_url), str)
    assert {"x-project-id": "shop", "x-api-key": "k", "x-more": "1"} == destination.headers


@pytest.mark.parametrize(
    ("settings", "url", "form"),
    [
        ({"otlp_endpoint": "http://h/api/traces"}, "http://h/api/events", "events"),
        ({"otlp_endpoint": "http://h/v1/traces"}, "http://h/v1/logs", "logs"),
        ({"events_endpoint": "http://other/v1/logs/"}, "http://other/v1/logs/", "logs"),
        ({"events_endpoint": "http://other/in"}, "http://other/in", "events"),
    ],
)
def test_events_go_beside_spans(settings, url, form):
    """As JSON, or as log records where the endpoint is a standard one."""
    target = destinations.event_destination(config(**settings), str).target
    assert (url, form) == (target.url, target.wire_format)


def test_events_may_have_nowhere_to_go():
    """No rule says where beside such an endpoint."""
    assert None is destinations.event_destination(config(otlp_endpoint="http://h/other"), str)


EVENTS = [make_event("one", {"a": 1}, EMPTY), make_event("two", None, Conversation("c"))]


def send_events(sink, resource, **settings):
    """Sends two events."""
    destination = destinations.event_destination(config(**settings), str)
    ((answer, _),) = destination.send_items(Sender({}), ItemEncoder(resource).encode_events(EVENTS))
    assert ExportResult.ACCEPTED == answer.result


def test_the_collector_gets_a_json_array(sink, finished):
    """Not packed: it is asked for JSON."""
    send_events(sink, finished().resource, otlp_endpoint=sink.traces_url)
    (request,) = sink.requests
    assert (EVENTS, EVENTS) == (sink.events, json.loads(request.raw))
    assert "application/json" == request.headers["content-type"]


def test_a_standard_endpoint_gets_log_records(sink, finished):
    """With the event's name, properties and conversation as attributes."""
    send_events(sink, finished().resource, otlp_endpoint=sink.otlp_url)
    one, two = sink.logs
    assert {"event.name": "one", "a": 1} == one["attributes"]
    assert {
        "event.name": "two",
        "lupis.metadata.chat_id": "c",
        "lupis.chat.id": "c",
        "gen_ai.conversation.id": "c",
    } == two["attributes"]
    assert {"service.name": "s"} == one["resource"]
