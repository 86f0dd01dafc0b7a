"""Fixtures for all tests: a collector, a stand-in for LLM providers, and programs to run."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # so that `servers` is found from everywhere
pytest.register_assert_rewrite("servers.pair")
# No test fails for the time it takes, be the machine as busy as it likes.
settings.register_profile(
    "steady", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def _checked_log(caplog):
    """Fails a test in whose process OpenTelemetry has logged what it must never log."""
    from servers.program import check_log

    yield
    for record in (*caplog.get_records("setup"), *caplog.get_records("call")):
        check_log(record.getMessage())


@pytest.fixture
def sink():
    """A collector that keeps what it receives, as dicts; see servers/otlp.py."""
    from servers import otlp

    with otlp.serving() as collector:
        yield collector


@pytest.fixture
def llm():
    """A stand-in for LLM providers: `.url`, and `.seen`, the requests it got."""
    from servers import llm

    with llm.listening() as server:
        yield server


@pytest.fixture
def run(sink, tmp_path):
    """Runs a program, a Path or a text, under lupis-run (or not: `launched=False`)."""
    from servers.program import Runner

    return Runner(sink, tmp_path)
