"""A program that makes many mixed calls keeps neither descriptors nor threads, and all totals are exact."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
BENCHMARK = Path(__file__).parents[1] / "bench" / "soak.py"
CALLS = 2000


@pytest.fixture(scope="module")
def soak():
    """The results of the benchmark: `rows`, `wrong` and `stderr`."""
    for name in ("aiohttp", "httpx", "requests"):
        pytest.importorskip(name)
    command = [sys.executable, BENCHMARK, "--calls", str(CALLS), "--variants", "lupis", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=220)
    return json.loads(done.stdout)


def test_all_totals_of_mixed_calls_are_exact(soak):
    """The summary, the account and the collector have each request, its tokens and each event once."""
    assert CALLS == soak["rows"][-1]["calls"], soak["stderr"]
    assert [] == soak["wrong"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc counts them")
@pytest.mark.parametrize("name", ["descriptors", "threads"])
def test_mixed_calls_leave_no_descriptor_and_no_thread(soak, name):
    """After the last call, there are as many as before the first call."""
    first, *_, last = (row[name] for row in soak["rows"])
    assert first == last
