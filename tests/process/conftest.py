"""The runner of programs that make calls, for several files of tests."""

import pytest


@pytest.fixture
def run_caller(run, llm):
    """Runs a program that can use the function `call`; see servers/caller.py."""
    from servers.caller import CallerRunner

    return CallerRunner(run, llm.url)
