"""`opentelemetry-instrument` with our distro selected, and with it only installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("opentelemetry-instrument"))
SELECTED = {"OTEL_PYTHON_DISTRO": "lupis", "OTEL_PYTHON_CONFIGURATOR": "lupis"}
PLAIN = {
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}
PASSED_OVER = "Configuration of "
"""How the line begins by which upstream tells of each configurator that it leaves out."""

PROGRAM = """
import json, os, subprocess, sys, urllib.request
import requests
url = os.environ["LLM_URL"] + "/v1/chat/completions"
body = b'{"model": "gpt-4o-mini", "messages": []}'
headers = {"content-type": "application/json"}
requests.post(url, data=body, headers=headers)
urllib.request.urlopen(urllib.request.Request(url, body, headers)).read()
hooked = [type(each).__name__ for each in sys.meta_path]
print(json.dumps({"hooked": "ImportHook" in hooked}))
"""


@pytest.fixture
def launch(run, sink, llm):
    """Runs a program under a launcher, and gives what it left behind."""

    def launched(*command, **env):
        file = run.folder / "program.py"
        file.write_text(PROGRAM)
        done = subprocess.run(
            [*command, sys.executable, str(file)],
            env={**run.environment({}), "LLM_URL": llm.url, **env},
            cwd=run.folder,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        return done

    return launched


def outline(spans):
    """What two runs of a program have in common: no ids, times and ports."""
    own = ("lupis.", "gen_ai.", "http.request.method", "http.response.status_code")
    changing = ("time_to_first_chunk", "lupis.run.id")
    return sorted(
        json.dumps(
            [
                span["name"],
                span["scope"]["name"],
                {
                    key: value
                    for key, value in span["attributes"].items()
                    if key.startswith(own) and not key.endswith(changing)
                },
            ],
            sort_keys=True,
        )
        for span in spans
    )


def foreign_lines(done):
    """Stderr without upstream's lines on what it passes over."""
    return [line for line in done.stderr.splitlines() if not line.startswith(PASSED_OVER)]


def test_selected_it_gives_what_lupis_run_gives(launch, sink):
    """The same spans, and as much on the terminal."""
    ours = launch(sys.executable, "-m", "lupis_instrument")
    expected = outline(sink.spans)
    sink.spans.clear()
    done = launch(COMMAND, **SELECTED)
    assert 2 == len(expected)
    assert expected == outline(sink.spans)
    assert (ours.stdout, []) == (done.stdout, foreign_lines(done))


def test_selected_it_sets_no_global_provider(launch, run, llm):
    """That is the program's to set, as below lupis-run."""
    code = "from opentelemetry import trace; print(type(trace.get_tracer_provider()).__name__)"
    done = subprocess.run(
        [COMMAND, sys.executable, "-c", code],
        env={**run.environment({}), **SELECTED},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    assert "ProxyTracerProvider\n" == done.stdout


def test_installed_only_it_changes_nothing(launch, sink):
    """Upstream's distro and configurator do what they would do alone."""
    endpoint = sink.traces_url.replace("/api/traces", "/v1/traces")
    done = launch(COMMAND, **PLAIN, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=endpoint)
    assert ({"hooked": False}, []) == (json.loads(done.stdout), foreign_lines(done))
    scopes = [span["scope"]["name"] for span in sink.spans]
    assert ["opentelemetry.instrumentation.requests"] == scopes
    assert [] == [key for span in sink.spans for key in span["attributes"] if "lupis" in key]


@pytest.mark.parametrize(
    ("env", "kinds"),
    [
        ({}, ["NoneType", "OpenTelemetryConfigurator"]),
        ({"OTEL_PYTHON_DISTRO": "distro"}, ["NoneType", "OpenTelemetryConfigurator"]),
        (SELECTED, ["LupisDistro", "LupisConfigurator"]),
    ],
)
def test_each_stands_back_unless_it_is_selected(env, kinds):
    """Whichever upstream comes across first, without a name to choose by."""
    code = (
        "import json; from lupis_instrument._runtime import distro as d;"
        "print(json.dumps([type(d.distro()).__name__, type(d.configurator()).__name__]))"
    )
    own = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**own, **env}, stdout=subprocess.PIPE, check=True
    )
    assert kinds == json.loads(done.stdout)
