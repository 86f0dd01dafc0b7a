"""`lupis flush`: sends waiting items to their endpoints, each with its own key and headers."""

import pytest

from lupis_instrument._config.settings import BY_NAME
from lupis_instrument._export.otlp.target import Target
from lupis_instrument._export.store.schema import REFUSED, WAITING


@pytest.fixture
def target(sink):
    """The sink as the target of stored items."""
    return Target(sink.traces_url, "traces", "shop", sink.traces_url)


def test_sends_waiting_and_refused_items(store, target, sink, lupis):
    """They are delivered, and not sent again."""
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
    """They are sent in the wire format of this endpoint."""
    store.event("clicked", target=Target(sink.events_url, "events", "shop", sink.events_url))
    assert 0 == lupis("flush").exit_code
    assert ["clicked"] == [event["name"] for event in sink.events]


def test_key_goes_only_to_the_endpoint_of_the_settings(store, other_store, target, sink, lupis):
    """Items for other endpoints and projects are sent without a key."""
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


def test_items_that_need_a_key_keep_waiting(store, target, sink, lupis):
    """Refused items would not be sent by the next program."""
    store.span(target=target)
    sink.fail(401)
    done = lupis("flush")
    assert 1 == done.exit_code
    assert (
        "status 401 without a key; set LUPIS_OTLP_ENDPOINT and LUPIS_PROJECT_ID=shop" in done.stdout
    )
    assert [(WAITING,)] == store.sql("SELECT state FROM item")


def test_address_with_a_secret_is_unknown(store, lupis):
    """The user must give it again in the settings."""
    store.span(
        target=Target("http://u:p@127.0.0.1:9/x", "traces", "shop", "http://u:***@127.0.0.1:9/x")
    )
    done = lupis("flush")
    assert 1 == done.exit_code
    assert "its address has a secret" in done.stdout


def test_endpoint_that_is_down_is_reported(store, sink, target, lupis):
    """The exit status is 1, and the items keep waiting."""
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


def test_refused_items_are_reported(store, sink, target, lupis):
    """The exit status is 1."""
    store.span(target=target)
    sink.fail(404)
    done = lupis("flush", LUPIS_OTLP_ENDPOINT=sink.traces_url, LUPIS_PROJECT_ID="shop")
    assert (1, f"{sink.traces_url}  0 sent, 1 refused: status 404\n") == (
        done.exit_code,
        done.stdout,
    )


def test_one_process_sends_at_a_time(store, sink, target, lupis):
    """A process that already sends goes on."""
    store.span(target=target)
    assert store.store.acquire_lease(target, "another")
    done = lupis("flush")
    assert (1, f"{sink.traces_url}  another process is sending\n") == (done.exit_code, done.stdout)
    assert [] == sink.spans
    store.store.release_lease(target, "another")
    assert 0 == lupis("flush").exit_code


def test_many_items_are_sent(store, target, sink, lupis):
    """They go in several requests, each item once."""
    spans = [store.tracer.start_span(f"span {number}") for number in range(1200)]
    for span in spans:
        span.end()
    store.store.add_items(store.encoder.encode_spans(spans), target)
    assert 0 == lupis("flush").exit_code
    assert [span.name for span in spans] == [span["name"] for span in sink.spans]


@pytest.fixture
def stranger(sink, monkeypatch):
    """A server at the default endpoint that is not the desktop app."""
    monkeypatch.setattr(BY_NAME["otlp_endpoint"], "default", sink.traces_url)
    sink.health = None
    return sink


def test_a_stranger_at_the_default_endpoint_gets_nothing(store, stranger, target, lupis):
    """The desktop app has ended, and another program has taken its port."""
    store.span("waits", target=target)
    done = lupis("flush", LUPIS_PROJECT_ID="shop", LUPIS_API_KEY="k-1")
    expected = f"{target.url}  not sent: no Lupis desktop app answers there\n"
    assert (1, expected, []) == (done.exit_code, done.stdout, stranger.requests)


def test_the_desktop_app_gets_its_items(store, stranger, target, lupis):
    """It says its name."""
    store.span("waits", target=target)
    stranger.health = b'{"name": "lupis"}'
    assert 0 == lupis("flush", LUPIS_PROJECT_ID="shop").exit_code
    assert 1 == len(stranger.spans)


def test_an_endpoint_of_the_settings_needs_no_name(store, stranger, target, lupis):
    """The user has chosen it."""
    store.span("waits", target=target)
    settings = {"LUPIS_OTLP_ENDPOINT": target.url, "LUPIS_PROJECT_ID": "shop"}
    assert 0 == lupis("flush", **settings).exit_code
    assert 1 == len(stranger.spans)


@pytest.mark.parametrize("damage", ["form = 'other'", "shown = x'00'", "project = x'00'"])
def test_damaged_target_is_left_out(damage, store, target, sink, lupis):
    """The items of other targets are sent."""
    store.span("lost", target=target._replace(project="lab"))
    store.span("sent", target=target)
    store.sql(f"UPDATE target SET {damage} WHERE id = 1")
    assert 0 == lupis("flush").exit_code
    assert ["sent"] == [span["name"] for span in sink.spans]


def test_damaged_event_keeps_no_other_from_being_sent(store, sink, lupis):
    """It counts as refused."""
    target = Target(sink.otlp_url, "logs", "shop", sink.otlp_url)
    for name in ("first", "second", "third"):
        store.event(name, target=target)
    store.sql("UPDATE body SET data = '{' WHERE id = 2")
    done = lupis("flush")
    assert f"{sink.otlp_url}  2 sent, 1 refused\n" == done.stdout


# A mended address


def test_refused_items_go_to_another_path_of_the_server(store, target, sink, lupis):
    """The settings have it."""
    wrong = f"{sink.url}/v1/trace"
    store.span(target=target._replace(url=wrong, display_url=wrong))
    store.store.set_state([1], REFUSED)
    done = lupis("flush", LUPIS_OTLP_ENDPOINT=sink.traces_url, LUPIS_PROJECT_ID="shop")
    assert (0, f"{sink.traces_url}  1 sent\n") == (done.exit_code, done.stdout)
    assert 1 == len(sink.spans)


def test_all_items_go_to_the_given_address(store, other_store, target, sink, lupis):
    """Each in its own project; only items of your own project go with your key."""
    down = "http://127.0.0.1:9/v1/traces"
    store.span(target=target._replace(url=down, display_url=down))
    other_store.span(target=target._replace(url=down, display_url=down, project="lab"))
    store.event("clicked", target=Target("http://127.0.0.1:9/x", "events", "shop", "http://a/x"))
    settings = {"LUPIS_PROJECT_ID": "shop", "LUPIS_API_KEY": "k-1", "LUPIS_OTLP_ENDPOINT": down}
    done = lupis("flush", "--to", sink.traces_url, **settings)
    assert (0, "") == (done.exit_code, done.stderr)
    assert (2, 1) == (len(sink.spans), len(sink.events))
    requests = [request for request in sink.requests if request.path == "/api/traces"]
    keys = {(seen.headers["x-project-id"], seen.headers.get("x-api-key")) for seen in requests}
    assert {("shop", "k-1"), ("lab", None)} == keys
    assert "Nothing waits.\n" == lupis("flush").stdout


def test_the_given_address_gets_a_path(store, target, sink, lupis):
    """As in the settings."""
    store.span(target=target)
    assert 0 == lupis("flush", "--to", sink.url).exit_code
    assert {"/v1/traces"} == {request.path for request in sink.requests}


def test_the_given_address_must_be_a_url(store, target, lupis):
    """Nothing is moved otherwise."""
    store.span(target=target)
    done = lupis("flush", "--to", "localhost:4318")
    assert 2 == done.exit_code
    assert "did you mean 'http://localhost:4318'?" in done.stderr


def test_items_of_another_sender_are_not_moved(store, target, sink, lupis):
    """It may be sending them right now."""
    store.span(target=target)
    assert store.store.acquire_lease(target, "another")
    done = lupis("flush", "--to", sink.otlp_url)
    assert 1 == done.exit_code
    assert "another process is sending" in done.stdout


def test_a_refusal_without_a_key_names_the_option(store, target, sink, lupis):
    """Where the reason is no missing key."""
    store.span(target=target)
    sink.fail(404)
    assert "`lupis flush --to URL`" in lupis("flush").stdout


def test_events_that_an_endpoint_does_not_take_stay_in_the_store(store, sink, lupis):
    """They are no reason to fail."""
    store.event("clicked", target=Target(sink.events_url, "events", "shop", sink.events_url))
    sink.fail(404)
    done = lupis("flush")
    assert (0, True) == (done.exit_code, "1 kept in the local store" in done.stdout)
