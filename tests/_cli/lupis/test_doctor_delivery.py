"""The checks of endpoint, data folder and outbox."""

import os
import socket

import pytest
from servers.recorded import read_results

from lupis_instrument._cli.lupis.doctor_delivery import check_endpoint
from lupis_instrument._config.config import LupisConfig, resolve_settings

SECRET = "hush-hush-0123456789"


def test_endpoint_that_does_not_answer_is_wrong(doctor):
    """The exit status is 1."""
    done = doctor("--format", "json", LUPIS_OTLP_ENDPOINT="http://127.0.0.1:1/v1/traces")
    assert (1, True) == (done.returncode, read_results(done)["spans"]["wrong"])


@pytest.mark.slow
def test_other_exporters_need_no_endpoint(doctor, sink):
    """The endpoint in the settings is not contacted."""
    done = doctor(
        "--format", "json", LUPIS_EXPORTER="none", LUPIS_OTLP_ENDPOINT="http://127.0.0.1:1/x"
    )
    assert (0, "LUPIS_EXPORTER=none") == (done.returncode, read_results(done)["spans"]["text"])


def test_test_span_arrives(doctor, sink):
    """It takes the same path as the spans of a program."""
    done = doctor("--format", "json")
    assert read_results(done)["test span"]["text"].startswith("arrived in ")
    assert ["lupis doctor"] == [span["name"] for span in sink.spans]


@pytest.mark.slow
def test_refused_test_span_is_wrong(doctor, sink):
    """The endpoint answers, and the outbox of the user stays empty."""
    sink.fail(400)
    results = read_results(doctor("--format", "json"))
    assert (False, True) == (results["spans"]["wrong"], results["test span"]["wrong"])
    assert results["test span"]["text"].startswith("did not arrive: ")
    assert "empty" == results["outbox"]["text"]


def test_no_test_span_is_sent_if_instrumentation_is_off(doctor, sink):
    """The user wants this, so nothing is wrong."""
    done = doctor("--format", "json", LUPIS_ENABLED="false")
    results = read_results(done)
    assert (0, []) == (done.returncode, sink.spans)
    assert "not instrumented: instrumentation is off" == results["http.client"]["text"]


@pytest.mark.slow
def test_read_only_data_folder_is_wrong(doctor, tmp_path):
    """The store could keep nothing there."""
    file = tmp_path / "file"
    file.write_text("")
    done = doctor("--format", "json", LUPIS_DATA_DIR=str(file / "data"))
    assert (1, True) == (done.returncode, read_results(done)["data folder"]["wrong"])


def test_waiting_items_are_counted(doctor, run, sink, tmp_path):
    """The count is for each endpoint."""
    sink.fail(503)
    code = """
        from lupis_instrument import LupisSDK
        with LupisSDK.get_instance().create_span("one"):
            pass
    """
    folder = {"LUPIS_DATA_DIR": str(tmp_path / "kept")}
    assert 0 == run(code, env={**folder, "LUPIS_SHUTDOWN_TIMEOUT": "0.5"}).returncode
    sink.heal()
    results = read_results(doctor("--format", "json", **folder))
    assert f"1 waiting for {sink.traces_url}" == results["outbox"]["text"]


@pytest.mark.slow
def test_local_store_replaces_a_missing_desktop_app(doctor):
    """Nothing is wrong: no user has to run the desktop app."""
    with socket.socket() as client:
        if not client.connect_ex(("127.0.0.1", 9009)):
            pytest.skip("another server has the port of the desktop app")
    done = doctor("--format", "json", LUPIS_OTLP_ENDPOINT="")
    results = read_results(done)
    assert 0 == done.returncode, done.stdout
    assert results["spans"]["text"].startswith(
        "to the local store, because no Lupis desktop app is at "
    )


def test_stranger_is_not_the_desktop_app(sink):
    """The result says that another program has the port, and a test span cannot go there."""
    sink.health = None
    config = LupisConfig("shop", otlp_endpoint=sink.traces_url)
    resolved = resolve_settings({}, None, launched=True)._replace(config=config)
    result, is_reachable = check_endpoint(resolved)
    assert result.text.endswith(": another program listens there")
    assert (False, False) == (result.wrong, is_reachable)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights are of POSIX")
def test_data_folder_that_others_can_change_is_wrong(doctor, tmp_path):
    """Programs do not use it."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    done = doctor("--format", "json", LUPIS_DATA_DIR=str(folder))
    result = read_results(done)["data folder"]
    expected = f"not used: {folder} can be changed by every user; set LUPIS_DATA_DIR to "
    assert (1, True) == (done.returncode, result["wrong"])
    assert result["text"].startswith(expected)


@pytest.mark.slow
def test_accounts_of_processes_are_added_up(doctor, tmp_path):
    """Created items are delivered, stored or dropped."""
    from lupis_instrument._export.accounting import Account
    from lupis_instrument._export.store.store import Process, Store

    for pid in (1, 2):
        store = Store(str(tmp_path / "store"), 1 << 24, Process("p", None, pid, "leader"))
        account = Account()
        account.add_created(6)
        account.add_delivered(3)
        account.add_stored(2)
        account.add_dropped(1, "queue full")
        store.write_account(account, {})
        store.database.close()
    done = doctor("--format", "json", LUPIS_DATA_DIR=str(tmp_path / "store"))
    text = read_results(done)["account"]["text"]
    assert "12 created = 6 delivered, 4 stored, 2 dropped (queue full)" == text
