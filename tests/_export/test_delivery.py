"""The settings decide which exporter runs, and where items are kept."""

import os

import pytest
from opentelemetry.sdk.resources import Resource

from lupis_instrument import LupisConfig
from lupis_instrument._export.accounting import Account
from lupis_instrument._export.delivery import Delivery
from lupis_instrument._export.exporters import ConsoleExporter, NoopExporter, OtlpExporter
from lupis_instrument._export.store.store import Process


@pytest.fixture
def account():
    """The counts of the items."""
    return Account()


@pytest.fixture
def make_delivery(tmp_path, account):
    """Makes the delivery of some settings; it stops with the test."""
    made = []

    def make(default_endpoint=False, **settings):
        config = LupisConfig(project_id="shop", data_dir=str(tmp_path / "data"), **settings)
        delivery = Delivery(
            config,
            Resource({"service.name": "s"}),
            str,
            Process("shop", None, os.getpid(), "leader"),
            account,
            default_endpoint=default_endpoint,
        )
        made.append(delivery)
        return delivery

    yield make
    for delivery in made:
        delivery.stop(1)
        delivery.store.database.close()


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"exporter": "none"}, NoopExporter),
        ({"exporter": "console"}, ConsoleExporter),
        ({"exporter": "otlp"}, OtlpExporter),
        ({"exporter": "local"}, OtlpExporter),
        ({"exporter": "auto"}, OtlpExporter),
        ({"exporter": "otlp", "enabled": False}, NoopExporter),
    ],
)
def test_the_settings_choose_the_exporter(settings, kind, make_delivery):
    """Without a choice of the user, it is `auto`."""
    assert kind is type(make_delivery(**settings).exporter)


def test_spans_are_sent_to_the_endpoint(make_delivery, sink, finished, account):
    """The store is not even made."""
    delivery = make_delivery(exporter="otlp", otlp_endpoint=sink.otlp_url)
    delivery.exporter.export_spans([finished("trip")])
    assert delivery.flush(10)
    assert (["trip"], 1) == ([span["name"] for span in sink.spans], account.delivered)
    assert not delivery.store.database.exists()


def test_local_spans_stay_in_the_store(make_delivery, sink, finished, account):
    """Nothing is sent to the endpoint."""
    delivery = make_delivery(exporter="local", otlp_endpoint=sink.otlp_url)
    delivery.exporter.export_spans([finished()])
    assert delivery.stop(10)
    assert ([], 1) == (sink.requests, account.stored)


def test_auto_stores_spans_while_no_collector_runs(make_delivery, finished, account):
    """It looks for one only at the default endpoint."""
    delivery = make_delivery(
        default_endpoint=True, exporter="auto", otlp_endpoint="http://127.0.0.1:1/v1/traces"
    )
    delivery.exporter.export_spans([finished()])
    assert delivery.stop(10)
    assert (1, []) == (account.stored, delivery.store.list_targets())


def test_auto_sends_to_the_desktop_app(make_delivery, sink, finished, account):
    """A server at the default endpoint says its name first."""
    delivery = make_delivery(
        default_endpoint=True, exporter="auto", otlp_endpoint=sink.traces_url, api_key="k-1"
    )
    delivery.exporter.export_spans([finished()])
    assert delivery.flush(10)
    assert (1, 0) == (account.delivered, account.stored)


def test_auto_stores_spans_while_a_stranger_listens(make_delivery, sink, finished, account):
    """It is sent neither spans nor a key, and nothing waits for it."""
    sink.health = None
    delivery = make_delivery(
        default_endpoint=True, exporter="auto", otlp_endpoint=sink.traces_url, api_key="k-1"
    )
    delivery.exporter.export_spans([finished()])
    assert delivery.stop(10)
    assert (1, [], []) == (account.stored, delivery.store.list_targets(), sink.requests)


def test_a_span_can_be_stored_before_the_program_goes_on(make_delivery, sink, finished, account):
    """It is sent soon afterwards."""
    delivery = make_delivery(exporter="otlp", otlp_endpoint=sink.otlp_url)
    assert delivery.store_span(finished("trip"))
    assert 1 == account.stored
    assert delivery.flush(10)
    assert (["trip"], 0) == ([span["name"] for span in sink.spans], account.stored)


@pytest.mark.parametrize("exporter", ["none", "console"])
def test_exporters_without_a_store_cannot_store_a_span(exporter, make_delivery, finished, account):
    """The worker exports it as usual."""
    assert not make_delivery(exporter=exporter).store_span(finished())
    assert 0 == account.created


def test_a_span_is_not_stored_where_no_store_can_be(make_delivery, finished, tmp_path, account):
    """A file is in the place of the data folder; the worker exports the span as usual."""
    (tmp_path / "data").write_text("")
    assert not make_delivery(exporter="local").store_span(finished())
    assert 0 == account.created


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_fork_the_parent_goes_on(make_delivery, sink, finished):
    """The child can open the store for itself."""
    delivery = make_delivery(exporter="otlp", otlp_endpoint=sink.otlp_url)
    delivery.exporter.export_spans([finished("before")])
    sink.wait_for(1)
    delivery.before_fork()
    child = os.fork()
    if not child:
        delivery.after_fork_in_child()
        delivery.store.add_items([])
        os._exit(0)
    delivery.after_fork_in_parent()
    assert 0 == os.waitpid(child, 0)[1]
    delivery.exporter.export_spans([finished("after")])
    assert delivery.flush(10)
    assert ["before", "after"] == [span["name"] for span in sink.spans]
