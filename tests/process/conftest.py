"""Runners of programs that make calls, for several files of tests."""

import pytest


@pytest.fixture
def run_caller(run, llm):
    """Runs a program that can use the function `call`; see servers/caller.py."""
    from servers.caller import CallerRunner

    return CallerRunner(run, llm.url)


@pytest.fixture(scope="module")
def run_pair(request, tmp_path_factory):
    """Runs a case of the file's table `CASES` without and with lupis-run."""
    from servers.comparison import PairRunner

    return PairRunner(request.module.CASES, tmp_path_factory.mktemp("pairs") / "run")
