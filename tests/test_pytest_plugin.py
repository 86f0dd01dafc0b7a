"""The plugin for pytest captures the calls of a test, and reports calls and cost."""

import os
import re
import subprocess
import sys
from textwrap import dedent

import pytest
from servers.program import FOREIGN_PREFIXES

CALL = """
import http.client, json, sys
from urllib.parse import urlsplit
LLM = urlsplit({url!r})

def call():
    connection = http.client.HTTPConnection(LLM.hostname, LLM.port, timeout=60)
    body = json.dumps({{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": "hi"}}]}})
    connection.request("POST", "/v1/chat/completions", body)
    connection.getresponse().read()
    connection.close()
"""


@pytest.fixture
def run_tests(tmp_path, llm):
    """Runs pytest on a text with the plugin alone, and returns its status and output."""

    def run(text, *options):
        file = tmp_path / "test_program.py"
        file.write_text(CALL.format(url=llm.url) + dedent(text), encoding="utf-8")
        environ = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN_PREFIXES)}
        environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        environ.pop("PYTEST_ADDOPTS", None)
        command = [sys.executable, "-m", "pytest", "-p", "lupis_instrument._pytest_plugin"]
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", *options, str(file)],
            cwd=tmp_path,
            env={**environ, "LUPIS_DATA_DIR": str(tmp_path / "data")},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        return done.returncode, done.stdout

    return run


def test_the_fixture_counts_calls_and_cost(run_tests):
    """Its helpers fail a test that is too dear, with one line and no stack trace."""
    status, output = run_tests(
        """
        def test_passes(lupis_calls):
            call()
            lupis_calls.max_calls(1)
            lupis_calls.max_cost(0.01)
            assert 1 == len(lupis_calls) == len(list(lupis_calls))
            assert 0 == lupis_calls.errors == lupis_calls.unpriced
            assert 0 < lupis_calls.cost < 0.01

        def test_many(lupis_calls):
            call(); call()
            lupis_calls.max_calls(1)

        def test_dear(lupis_calls):
            call()
            lupis_calls.max_cost(0.000001)
        """
    )
    assert 1 == status
    assert "1 passed" in output
    assert "2 failed" in output
    assert "2 LLM calls, expected at most 1" in output
    assert re.search(r"the LLM calls cost \$0\.0000\d\d, expected at most \$0\.000001", output)


def test_the_report_shows_calls_and_cost_of_each_test(run_tests):
    """The fixture's calls are in it, and tests without calls are not."""
    status, output = run_tests(
        """
        def test_plain():
            call(); call(); call()

        def test_fixture(lupis_calls):
            call()

        def test_nothing():
            pass
        """,
        "--lupis-report",
    )
    assert 0 == status
    rows = [line.split() for line in output.splitlines() if "$" in line]
    assert [["3", "test_plain"], ["1", "test_fixture"], ["4", "total"]] == [
        [row[0], row[3].rpartition("::")[2]] for row in rows
    ]


def test_the_plugin_loads_nothing_before_it_is_used(run_tests):
    """Most test runs use neither the fixture nor the option."""
    status, output = run_tests(
        """
        def test_nothing():
            loaded = {name for name in sys.modules if name.startswith(("lupis", "opentelemetry"))}
            assert loaded <= {"lupis_instrument", "lupis_instrument._pytest_plugin"}
        """
    )
    assert 0 == status, output
    assert "LLM calls" not in output


def test_an_unknown_price_fails_the_limit():
    """It is never counted as 0."""
    from types import SimpleNamespace

    from lupis_instrument._pytest_plugin import LupisCalls

    call = {"attributes": {"lupis.cost.status": "unpriced"}}
    with pytest.raises(pytest.fail.Exception, match="the price of 1 LLM calls is unknown"):
        LupisCalls(SimpleNamespace(calls=[call])).max_cost(1)


def test_an_early_import_of_the_package_makes_no_warning(monkeypatch, pytestconfig):
    """The launcher imports it before pytest; a warning would end runs whose warnings are errors."""
    warned = []
    monkeypatch.setattr(
        pytestconfig, "issue_config_time_warning", lambda warning, **_: warned.append(warning)
    )
    pytest.register_assert_rewrite("lupis_instrument")
    assert [] == warned
