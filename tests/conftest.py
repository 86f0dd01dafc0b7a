"""Fixtures for all tests: a collector, a server like an LLM provider, and a runner of programs."""

import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # so that every test can import `servers`
pytest.register_assert_rewrite("servers.comparison")
# No test fails because the machine is slow.
settings.register_profile(
    "steady", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
# `nohup` and `&` ignore signals, and the programs that the tests start inherit this.
for _ignored in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_ignored) is signal.SIG_IGN:
        _handler = signal.default_int_handler if _ignored is signal.SIGINT else signal.SIG_DFL
        signal.signal(_ignored, _handler)


@pytest.fixture(autouse=True)
def _checked_log(caplog):
    """Fails a test if OpenTelemetry logged a misuse in the test's process."""
    from servers.program import check_log

    yield
    for record in (*caplog.get_records("setup"), *caplog.get_records("call")):
        check_log(record.getMessage())


@pytest.fixture
def sink():
    """A collector that keeps the spans, logs and events that it receives; see servers/otlp.py."""
    from servers import otlp

    with otlp.serving() as collector:
        yield collector


@pytest.fixture
def llm():
    """A server like an LLM provider: `.url`, and `.seen`, the requests that it received."""
    from servers import llm

    with llm.listening() as server:
        yield server


@pytest.fixture
def run(sink, tmp_path):
    """Runs a program, a Path or a text, under lupis-run, or alone with `launched=False`."""
    from servers.program import Runner

    return Runner(sink, tmp_path)
