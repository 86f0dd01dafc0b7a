"""`opentelemetry-instrument` with this package's distro selected, and only installed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lupis_instrument._runtime import distro

COMMAND = str(Path(sys.executable).with_name("opentelemetry-instrument"))
SELECTED = {"OTEL_PYTHON_DISTRO": "lupis", "OTEL_PYTHON_CONFIGURATOR": "lupis"}
UPSTREAM_VARIABLES = {
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}

PROGRAM = """
import json, os, subprocess, sys, urllib.request
import requests
url = os.environ["LLM_URL"] + "/v1/chat/completions"
body = b'{"model": "gpt-4o-mini", "messages": []}'
headers = {"content-type": "application/json"}
requests.post(url, data=body, headers=headers)
urllib.request.urlopen(urllib.request.Request(url, body, headers)).read()
hooks = [type(hook).__name__ for hook in sys.meta_path]
print(json.dumps({"hooked": "ImportHook" in hooks}))
"""


@pytest.fixture
def launch(run, sink, llm):
    """Runs the program with a command, and returns the finished process."""

    def launch(*command, **env):
        file = run.folder / "program.py"
        file.write_text(PROGRAM)
        done = subprocess.run(
            [*command, sys.executable, str(file)],
            env={**run.build_environment({}), "LLM_URL": llm.url, **env},
            cwd=run.folder,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        return done

    return launch


def outline_spans(spans):
    """Returns spans without ids, times and ports, which differ between two runs."""
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


def test_the_selected_distro_records_the_same_as_lupis_run(launch, sink):
    """The spans and the output are the same."""
    launched = launch(sys.executable, "-m", "lupis_instrument")
    expected = outline_spans(sink.spans)
    sink.spans.clear()
    done = launch(COMMAND, **SELECTED)
    assert 2 == len(expected)
    assert expected == outline_spans(sink.spans)
    assert (launched.stdout, "") == (done.stdout, done.stderr)


def test_the_selected_distro_sets_no_global_provider(launch, run, llm):
    """The program sets it, as with lupis-run."""
    code = "from opentelemetry import trace; print(type(trace.get_tracer_provider()).__name__)"
    done = subprocess.run(
        [COMMAND, sys.executable, "-c", code],
        env={**run.build_environment({}), **SELECTED},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    assert "ProxyTracerProvider\n" == done.stdout


@pytest.mark.slow
def test_the_installed_distro_changes_nothing(launch, sink):
    """Upstream's distro and configurator work as without this package, and stderr is empty."""
    endpoint = sink.traces_url.replace("/api/traces", "/v1/traces")
    done = launch(COMMAND, **UPSTREAM_VARIABLES, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=endpoint)
    assert ({"hooked": False}, "") == (json.loads(done.stdout), done.stderr)
    scopes = [span["scope"]["name"] for span in sink.spans]
    assert ["opentelemetry.instrumentation.requests"] == scopes
    assert [] == [key for span in sink.spans for key in span["attributes"] if "lupis" in key]


@pytest.mark.parametrize(
    ("name", "kind"), [(None, "NoneType"), ("distro", "NoneType"), ("lupis", "LupisDistro")]
)
def test_the_distro_yields_to_upstream_unless_it_is_selected(name, kind, monkeypatch):
    """Upstream loads the first distro that it finds if no variable names it."""
    if name is None:
        monkeypatch.delenv("OTEL_PYTHON_DISTRO", raising=False)
    else:
        monkeypatch.setenv("OTEL_PYTHON_DISTRO", name)
    assert kind == type(distro.distro()).__name__
