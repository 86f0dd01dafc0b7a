"""Items become requests, which are split or given up if an endpoint does not accept them."""

import json

import pytest

from lupis_instrument import LupisConfig
from lupis_instrument._export.otlp import destinations
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.otlp.responses import ExportResponse, ExportResult
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._tracing.context import EMPTY, Conversation
from lupis_instrument._tracing.events import make_event


class Endpoint:
    """A sender that does not accept requests with spans of certain names, each of three digits."""

    def __init__(self, *bad_names, result=ExportResult.SPLIT):
        self.bad_names = bad_names
        self.result = result
        self.requests = 0

    def send_request(self, url, body, headers, **_):
        """Takes the place of `Sender.send_request`."""
        self.requests += 1
        is_bad = any(b"*\x03" + name.encode() in body for name in self.bad_names)
        return ExportResponse(self.result if is_bad else ExportResult.ACCEPTED)


@pytest.fixture
def destination(target_of):
    """An endpoint that is never really contacted."""
    return destinations.Destination(target_of("http://127.0.0.1:1/v1/traces"), {})


def send_items(destination, sender, items):
    """Send items; return each result with the names of its spans."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    return [
        (response.result, [Span.FromString(item.body).name for item in group])
        for response, group in destination.send_items(sender, items)
    ]


def test_a_bad_span_is_found_by_halving(destination, items):
    """All other spans of its request are accepted."""
    results = send_items(destination, Endpoint("137"), items(100, first=100))
    assert [["137"]] == [names for result, names in results if result == ExportResult.SPLIT]
    assert 99 == sum(len(names) for result, names in results if result == ExportResult.ACCEPTED)
    assert list(map(str, range(100, 200))) == [name for _, names in results for name in names]


def test_the_number_of_halvings_is_limited(destination, items):
    """An endpoint that accepts nothing is not asked for each span."""
    sender = Endpoint("1")
    sender.send = lambda *_, **__: (
        setattr(sender, "requests", sender.requests + 1) or ExportResponse(ExportResult.SPLIT)
    )
    results = send_items(destination, sender, items(512))
    assert 512 == sum(len(names) for _, names in results)
    assert sender.requests < 100


def test_a_refused_request_is_not_split(destination, items):
    """A wrong key would be wrong for a half as well."""
    assert [(ExportResult.REFUSED, ["100", "101"])] == send_items(
        destination, Endpoint("100", result=ExportResult.REFUSED), items(2, first=100)
    )


def test_after_a_request_to_retry_nothing_is_sent(destination, items):
    """The other groups get the same result."""
    sender = Endpoint("100", result=ExportResult.RETRY)
    results = send_items(destination, sender, items(1200, first=100))
    assert {ExportResult.RETRY} == {result for result, _ in results}
    assert (1, 1200) == (sender.requests, sum(len(names) for _, names in results))


def test_requests_are_bounded_in_bytes(destination, items):
    """A big span has a request of its own."""
    items = items(3, size=destinations.MAX_REQUEST_BYTES // 2) + items(2, first=3)
    results = send_items(destination, Endpoint(), items)
    assert [["0"], ["1"], ["2", "3", "4"]] == [names for _, names in results]


def config(**settings):
    """Return settings with a key and a header of the user."""
    return LupisConfig(project_id="shop", api_key="k", otlp_headers={"x-more": "1"}, **settings)


def test_the_headers_name_project_and_key(sink):
    """The user can add headers."""
    destination = destinations.span_destination(config(otlp_endpoint=sink.otlp_url), str)
    assert {"x-project-id": "shop", "x-api-key": "k", "x-more": "1"} == destination.headers


@pytest.mark.parametrize(
    ("settings", "url", "wire_format"),
    [
        ({"otlp_endpoint": "http://h/api/traces"}, "http://h/api/events", "events"),
        ({"otlp_endpoint": "http://h/v1/traces"}, "http://h/v1/logs", "logs"),
        ({"events_endpoint": "http://other/v1/logs/"}, "http://other/v1/logs/", "logs"),
        ({"events_endpoint": "http://other/in"}, "http://other/in", "events"),
    ],
)
def test_the_endpoint_of_events_follows_from_the_settings(settings, url, wire_format):
    """It takes log records if its path is the standard one, and else JSON."""
    target = destinations.event_destination(config(**settings), str).target
    assert (url, wire_format) == (target.url, target.wire_format)


def test_events_may_have_no_endpoint():
    """No rule leads from this endpoint of spans to one of events."""
    assert None is destinations.event_destination(config(otlp_endpoint="http://h/other"), str)


EVENTS = [make_event("one", {"a": 1}, EMPTY), make_event("two", None, Conversation("c"))]


def send_events(sink, resource, **settings):
    """Send two events to the sink."""
    destination = destinations.event_destination(config(**settings), str)
    ((response, _),) = destination.send_items(
        Sender({}), ItemEncoder(resource).encode_events(EVENTS)
    )
    assert ExportResult.ACCEPTED == response.result


def test_the_lupis_endpoint_gets_a_json_array(sink, finished):
    """The request is not compressed."""
    send_events(sink, finished().resource, otlp_endpoint=sink.traces_url)
    (request,) = sink.requests
    assert (EVENTS, EVENTS) == (sink.events, json.loads(request.raw))
    assert "application/json" == request.headers["content-type"]


def test_a_standard_endpoint_gets_log_records(sink, finished):
    """The event's name, properties and chat id are attributes."""
    send_events(sink, finished().resource, otlp_endpoint=sink.otlp_url)
    first, second = sink.logs
    assert {"event.name": "one", "a": 1} == first["attributes"]
    assert {
        "event.name": "two",
        "lupis.metadata.chat_id": "c",
        "lupis.chat.id": "c",
        "gen_ai.conversation.id": "c",
    } == second["attributes"]
    assert {"service.name": "s"} == first["resource"]
