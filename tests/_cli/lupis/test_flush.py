"""`lupis flush`: sends what waits, to whom it is for, with what is theirs."""

import pytest

from lupis_instrument._export.otlp.target import Target
from lupis_instrument._export.store.schema import REFUSED, WAITING


@pytest.fixture
def target(sink):
    """The sink, as what waits knows it."""
    return Target(sink.traces_url, "traces", "shop", sink.traces_url)


def test_sends_what_waits_and_what_was_refused(store, target, sink, lupis):
    """Once; it is delivered then."""
    for name in ("waits", "refused"):
        store.span(name, target=target)
    store.span("kept")
    store.store.set_state([2], REFUSED)
    done = lupis("flush")
    assert (0, f"{sink.traces_url}  2 sent\n", "") == (done.exit_code, done.stdout, done.stderr)
    assert ["waits", "refused"] == [span["name"] for span in sink.spans]
    done = lupis("flush")
    assert (0, "Nothing waits.\n") == (done.exit_code, done.stdout)
    assert 2 == len(sink.spans)


def test_events_go_to_their_endpoint(store, sink, lupis):
    """In the form that it takes."""
    store.event("clicked", target=Target(sink.events_url, "events", "shop", sink.events_url))
    assert 0 == lupis("flush").exit_code
    assert ["clicked"] == [event["name"] for event in sink.events]


def test_the_key_is_for_the_endpoint_of_the_settings_alone(store, other_store, target, sink, lupis):
    """And for its project: what is another's goes without."""
    store.span("mine", target=target)
    other_store.span("another project", target=target._replace(project="lab"))
    store.span("another endpoint", target=Target(sink.otlp_url, "traces", "shop", sink.otlp_url))
    settings = {"LUPIS_OTLP_ENDPOINT": sink.traces_url, "LUPIS_PROJECT_ID": "shop"}
    assert 0 == lupis("flush", **settings, LUPIS_API_KEY="k-1").exit_code
    keys = {
        (request.path, request.headers["x-project-id"], request.headers.get("x-api-key"))
        for request in sink.requests
    }
    assert {
        ("/api/traces", "shop", "k-1"),
        ("/api/traces", "lab", None),
        ("/v1/traces", "shop", None),
    } == keys
    assert 3 == len(sink.spans)


def test_what_wants_a_key_is_left_alone(store, target, sink, lupis):
    """It is not refused, which would keep the next program from sending it."""
    store.span(target=target)
    sink.fail(401)
    done = lupis("flush")
    assert 1 == done.exit_code
    assert (
        "status 401 without a key; set LUPIS_OTLP_ENDPOINT and LUPIS_PROJECT_ID=shop" in done.stdout
    )
    assert [(WAITING,)] == store.sql("SELECT state FROM item")


def test_an_address_with_a_secret_is_not_known(store, lupis):
    """The settings have to say it again."""
    store.span(
        target=Target("http://u:p@127.0.0.1:9/x", "traces", "shop", "http://u:***@127.0.0.1:9/x")
    )
    done = lupis("flush")
    assert 1 == done.exit_code
    assert "its address has a secret" in done.stdout


def test_an_endpoint_that_is_down_is_told(store, sink, target, lupis):
    """Exit status 1; nothing is lost."""
    store.span(target=target)
    store.span(target=target)
    sink.fail(503)
    settings = {"LUPIS_OTLP_ENDPOINT": sink.traces_url, "LUPIS_PROJECT_ID": "shop"}
    done = lupis("flush", **settings)
    assert (1, f"{sink.traces_url}  0 sent, 2 still wait: status 503\n") == (
        done.exit_code,
        done.stdout,
    )
    done = lupis("flush")
    assert (1, f"{sink.traces_url}  not sent: status 503\n") == (done.exit_code, done.stdout)
    sink.heal()
    assert 0 == lupis("flush").exit_code
    assert 2 == len(sink.spans)


def test_what_is_refused_is_told(store, sink, target, lupis):
    """Exit status 1."""
    store.span(target=target)
    sink.fail(404)
    done = lupis("flush", LUPIS_OTLP_ENDPOINT=sink.traces_url, LUPIS_PROJECT_ID="shop")
    assert (1, f"{sink.traces_url}  0 sent, 1 refused: status 404\n") == (
        done.exit_code,
        done.stdout,
    )


def test_one_sender_at_a_time(store, sink, target, lupis):
    """Another process that is sending goes on."""
    store.span(target=target)
    assert store.store.acquire_lease(target, "another")
    done = lupis("flush")
    assert (1, f"{sink.traces_url}  another process is sending\n") == (done.exit_code, done.stdout)
    assert [] == sink.spans
    store.store.release_lease(target, "another")
    assert 0 == lupis("flush").exit_code


def test_many_are_sent(store, target, sink, lupis):
    """In several requests, each once."""
    spans = [store.tracer.start_span(f"span {number}") for number in range(1200)]
    for span in spans:
        span.end()
    store.store.add_items(store.encoder.encode_spans(spans), target)
    assert 0 == lupis("flush").exit_code
    assert [span.name for span in spans] == [span["name"] for span in sink.spans]
