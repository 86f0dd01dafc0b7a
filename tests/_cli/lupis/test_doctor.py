"""`lupis doctor`: the command and its output."""

import pytest
from servers.recorded import read_results

SECRET = "hush-hush-0123456789"


def test_sound_environment_has_no_wrong_result(doctor, sink):
    """The exit status is 0, and the report has versions, clients, settings and delivery."""
    done = doctor("--format", "json")
    results = read_results(done)
    assert (0, "") == (done.returncode, done.stderr)
    assert f"{sink.traces_url} answers" == results["spans"]["text"]
    assert {"lupis-instrument", "opentelemetry-sdk", "httpx", "http.client"} <= set(results)
    assert [] == [name for name, result in results.items() if result["wrong"]]


@pytest.mark.slow
def test_text_has_a_heading_for_each_topic(doctor):
    """It is the output by default."""
    done = doctor()
    assert 0 == done.returncode
    for heading in ("Versions", "HTTP clients", "Settings", "Delivery"):
        assert heading in done.stdout.splitlines()
