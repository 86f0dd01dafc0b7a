"""Variables of OpenTelemetry that are wrong here, or that a library in the program sets."""

import pytest

LATER = """
import os, sys
if sys.argv[1] == "child":
    import subprocess
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
    subprocess.run([sys.executable, "-c", os.environ["PROGRAM"], "call"], check=True)
else:
    if sys.argv[1] == "early":
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
        os.environ["OTEL_EXPORTER_OTLP_TRACES_HEADERS"] = "x-later=1"
    exec(os.environ["CALL"])
"""
CALL = """
import os, urllib.request
body = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
urllib.request.urlopen(os.environ["SERVER"] + "/v1/chat/completions", body).read()
"""


@pytest.mark.parametrize("when", ["early", "child"])
def test_a_library_does_not_redirect_spans(when, run, llm, sink):
    """Its exporter's variables, set in the process or before a child starts, are not for us."""
    env = {
        "LUPIS_OTLP_ENDPOINT": "",
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
        "SERVER": llm.url,
        "PROGRAM": LATER,
        "CALL": CALL,
    }
    done = run(LATER, when, env=env)
    assert (0, "") == (done.returncode, done.stderr)
    assert 1 == len(done.spans)
    assert all("x-later" not in request.headers for request in sink.requests)


def test_an_unknown_propagator_stops_no_recording(run, llm):
    """One line names the variable, and the usual trace header is sent."""
    done = run(CALL, env={"OTEL_PROPAGATORS": "tracecontext,absent", "SERVER": llm.url})
    (line,) = done.stderr.splitlines()
    assert "OTEL_PROPAGATORS='tracecontext,absent'" in line
    assert 1 == len(done.spans)
    assert "traceparent" in llm.seen[0].headers
