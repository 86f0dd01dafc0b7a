"""`lupis doctor`: what would be recorded here, and why not."""

import json
import os
import subprocess
import sys

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
                "from lupis_instrument._report import main; main()",
                "doctor",
                *list(arguments),
            ],
            env={**own, "LUPIS_OTLP_ENDPOINT": sink.traces_url, **env},
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
