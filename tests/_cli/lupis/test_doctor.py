"""`lupis doctor`: what would be recorded here, and why not."""

import json
import os
import socket
import subprocess
import sys
import venv
from pathlib import Path

import pytest

SECRET = "hush-hush-0123456789"


@pytest.fixture
def doctor(sink, tmp_path):
    """Runs the command with these variables; the endpoint answers unless they say otherwise."""

    def run(*arguments, **env):
        foreign = ("LUPIS_", "OTEL_", "PYTHON")
        own = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        return subprocess.run(
            [
                sys.executable,
                "-c",
                "from lupis_instrument._cli.lupis import main; main()",
                "doctor",
                *list(arguments),
            ],
            env={
                **own,
                "XDG_DATA_HOME": str(tmp_path / "data"),
                "LUPIS_OTLP_ENDPOINT": sink.traces_url,
                **env,
            },
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    return run


def findings(done):
    """The report, by name."""
    return {each["name"]: each for each in json.loads(done.stdout)}


def test_all_is_well(doctor, sink):
    """Exit status 0; versions, clients, settings and delivery are told."""
    done = doctor("--format", "json")
    found = findings(done)
    assert (0, "") == (done.returncode, done.stderr)
    assert f"{sink.traces_url} answers" == found["spans"]["text"]
    assert {"lupis-instrument", "opentelemetry-sdk", "httpx", "http.client"} <= set(found)
    assert [] == [name for name, each in found.items() if each["wrong"]]


def test_the_text_has_the_same(doctor):
    """Under headings, a line each."""
    done = doctor()
    assert 0 == done.returncode
    for heading in ("Versions", "HTTP clients", "Settings", "Delivery"):
        assert heading in done.stdout.splitlines()


def test_an_endpoint_that_does_not_answer_is_wrong(doctor):
    """Exit status 1, and the reason."""
    done = doctor("--format", "json", LUPIS_OTLP_ENDPOINT="http://127.0.0.1:1/v1/traces")
    assert (1, True) == (done.returncode, findings(done)["spans"]["wrong"])


def test_a_wrong_setting_is_wrong(doctor):
    """With what it should be."""
    done = doctor("--format", "json", LUPIS_REDACTION_MODE="masked")
    setting = findings(done)["LUPIS_REDACTION_MODE"]
    assert (1, True) == (done.returncode, setting["wrong"])
    assert "did you mean 'mask'?" in setting["text"]


def test_secrets_are_hidden(doctor):
    """But that they are set is told."""
    done = doctor("--format", "json", LUPIS_API_KEY=SECRET, LUPIS_HASH_KEY=SECRET)
    assert SECRET not in done.stdout + done.stderr
    assert "*** (LUPIS_API_KEY)" == findings(done)["LUPIS_API_KEY"]["text"]


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({"LUPIS_DISABLED_INSTRUMENTATIONS": "httpx"}, "switched off"),
        ({"LUPIS_INSTRUMENT": "requests"}, "not named by LUPIS_INSTRUMENT"),
        ({}, "instrumented at its first request"),
    ],
)
def test_clients_say_why_not(env, text, doctor):
    """Each by its own line."""
    assert text in findings(doctor("--format", "json", **env))["httpx"]["text"]


def test_without_an_endpoint_none_is_asked(doctor, sink):
    """The other exporters need none."""
    done = doctor(
        "--format", "json", LUPIS_EXPORTER="none", LUPIS_OTLP_ENDPOINT="http://127.0.0.1:1/x"
    )
    assert (0, "LUPIS_EXPORTER=none") == (done.returncode, findings(done)["spans"]["text"])


def test_a_test_span_is_sent(doctor, sink):
    """It goes the way of all spans, and arrives."""
    done = doctor("--format", "json")
    assert findings(done)["test span"]["text"].startswith("arrived in ")
    assert ["lupis doctor"] == [span["name"] for span in sink.spans]


def test_a_refused_test_span_is_wrong(doctor, sink):
    """With the reason, though something answers at the endpoint."""
    sink.fail(400)
    found = findings(doctor("--format", "json"))
    assert (False, True) == (found["spans"]["wrong"], found["test span"]["wrong"])
    assert found["test span"]["text"].startswith("did not arrive: ")
    assert "empty" == found["outbox"]["text"]


def test_none_is_sent_where_instrumentation_is_off(doctor, sink):
    """Which is what the user wants, so it is not wrong."""
    done = doctor("--format", "json", LUPIS_ENABLED="false")
    found = findings(done)
    assert (0, []) == (done.returncode, sink.spans)
    assert "not instrumented: instrumentation is off" == found["http.client"]["text"]


def test_a_client_that_cannot_be_instrumented_is_wrong(doctor, tmp_path):
    """With the reason, as at a program's first request."""
    (tmp_path / "httpx.py").write_text("")
    (tmp_path / "httpx-1.0.dist-info").mkdir()
    (tmp_path / "httpx-1.0.dist-info" / "METADATA").write_text("Name: httpx\nVersion: 1.0\n")
    done = doctor("--format", "json", PYTHONPATH=str(tmp_path))
    found = findings(done)["httpx"]
    assert (1, True) == (done.returncode, found["wrong"])
    assert "1.0, not instrumented: LupisError: this version has no HTTPTransport" == found["text"]


def test_a_command_is_not_run(doctor, tmp_path):
    """Only looked into: its interpreter is, with all that is there."""
    (tmp_path / "agent.py").write_text("open('run', 'w')\nprint('run')\n")
    done = doctor("--format", "json", "--", sys.executable, "agent.py", "--format", "text")
    found = findings(done)
    assert (0, "") == (done.returncode, done.stderr)
    assert {"httpx", "lupis_instrument", "virtual environment"} <= set(found)
    assert not (tmp_path / "run").exists()


def test_a_module_of_the_programs_that_hides_one_of_ours_is_wrong(doctor, tmp_path):
    """The program would run as it is; one beside another program is no matter."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "requests.py").write_text("")
    command = ("--format", "json", "--", sys.executable)
    found = findings(doctor(*command, str(app / "agent.py")))["conflict"]
    assert (True, str(app / "requests.py")) == (found["wrong"], found["text"].partition(" ")[0])
    assert "conflict" not in findings(doctor(*command, "agent.py"))


def test_an_isolated_command_is_wrong(doctor):
    """It would run uninstrumented."""
    done = doctor("--format", "json", "--", sys.executable, "-I", "agent.py")
    assert 1 == done.returncode
    assert findings(done)["obstacle"]["text"].startswith("python -I ignores PYTHONPATH")


def test_a_command_that_is_not_there_is_wrong(doctor):
    """Nothing else of it can be told."""
    done = doctor("--format", "json", "--", "no-such-command")
    assert (1, True) == (done.returncode, findings(done)["no-such-command"]["wrong"])


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another virtual environment, which has nothing of ours."""
    folder = tmp_path_factory.mktemp("other")
    venv.create(folder, with_pip=False)
    return str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")


def test_another_environment_borrows(doctor, other_store):
    """The launcher's own packages, if its interpreter is of the same version."""
    done = doctor("--format", "json", "--", other, "agent.py")
    found = findings(done)
    assert 0 == done.returncode, done.stdout
    assert found["lupis_instrument"]["text"].startswith("not installed: borrowed from ")
    assert str(Path(other).parents[1]) == found["virtual environment"]["text"]


def test_an_interpreter_that_cannot_borrow_is_wrong(doctor, tmp_path):
    """With the line that a program there would show."""
    python = tmp_path / "python"
    site = "-c 'import sys; sys.version_info = (2, 7)'"
    python.write_text(
        f'#!/bin/sh\nunset LUPIS_LAUNCHER_SITE\nexec "{sys.executable}" -S "$@" {site}\n'
    )
    python.chmod(0o755)
    done = doctor("--format", "json", "--", str(python), "agent.py")
    found = findings(done)
    assert (1, True) == (done.returncode, found["bootstrap"]["wrong"])
    assert "-S: no sitecustomize is run" == found["no_site"]["text"]


def test_what_is_no_python_is_wrong(doctor, tmp_path):
    """It says something else, or nothing."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho hello\n")
    python.chmod(0o755)
    done = doctor("--format", "json", "--", str(python), "agent.py")
    assert (1, "does not run") == (done.returncode, findings(done)["Python"]["text"])


def test_a_data_folder_that_cannot_be_written_is_wrong(doctor, tmp_path):
    """Nothing would be kept there."""
    file = tmp_path / "file"
    file.write_text("")
    done = doctor("--format", "json", LUPIS_DATA_DIR=str(file / "data"))
    assert (1, True) == (done.returncode, findings(done)["data folder"]["wrong"])


def test_what_waits_in_the_outbox_is_told(doctor, run, sink, tmp_path):
    """How much, and for which endpoint."""
    sink.fail(503)
    code = """
        from lupis_instrument import LupisSDK
        with LupisSDK.get_instance().create_span("one"):
            pass
    """
    folder = {"LUPIS_DATA_DIR": str(tmp_path / "kept")}
    assert 0 == run(code, env=folder).returncode
    sink.heal()
    found = findings(doctor("--format", "json", **folder))
    assert f"1 waiting for {sink.traces_url}" == found["outbox"]["text"]


def test_without_an_endpoint_the_local_store_is_named(doctor):
    """Which is not wrong: nobody has to run the desktop app."""
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 9009))
        except OSError:
            pytest.skip("something listens at the default address")
        done = doctor("--format", "json", LUPIS_OTLP_ENDPOINT="")
    found = findings(done)
    assert 0 == done.returncode, done.stdout
    assert found["spans"]["text"].startswith(
        "to the local store, because no Lupis desktop app is at "
    )


def test_the_accounts_of_processes_are_told(doctor, tmp_path):
    """Added up: created is what was delivered, stored or dropped."""
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
    told = findings(done)["account"]["text"]
    assert "12 created = 6 delivered, 4 stored, 2 dropped (queue full)" == told
