"""Questions while many processes write to the store."""

import os
import sys

import pytest
from servers.program import ManagedProcess

from lupis_instrument._query.calls import list_calls
from lupis_instrument._query.runs import list_runs
from lupis_instrument._query.store_reader import open_store
from lupis_instrument._query.totals import add_up_calls, add_up_groups

WRITERS, CALLS = 16, 5
PROGRAM = """
import os
import sys
from pathlib import Path

from servers.recorded import StoreFiller

children = []
for number in range(int(sys.argv[2])):
    child = os.fork()
    if not child:
        filler = StoreFiller(Path(sys.argv[1]), run=format(number, "x") * 32)
        for _ in range(int(sys.argv[3])):
            filler.call(cost=0.5)
        filler.store.database.close()
        os._exit(0)
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are the cheapest processes")
def test_answers_are_whole_while_16_processes_write(tmp_path, store, monkeypatch, pytestconfig):
    """No question fails, the numbers grow, and in the end all calls are there."""
    store.call(cost=0.5)
    folder = tmp_path / "data"
    monkeypatch.setenv("LUPIS_DATA_DIR", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath / "tests"))
    arguments = [str(folder), str(WRITERS), str(CALLS)]
    program = ManagedProcess([sys.executable, "-c", PROGRAM, *arguments])
    counts = []
    while program.poll() is None:
        with open_store() as opened:
            total = add_up_groups(add_up_calls(opened.db)[0].values())
            counts.append(total.calls)
            assert total.cost == total.calls * 0.5
            assert list_calls(opened.db).calls
    assert counts == sorted(counts)
    assert 0 == program.returncode
    with open_store() as opened:
        assert WRITERS * CALLS + 1 == add_up_groups(add_up_calls(opened.db)[0].values()).calls
        assert WRITERS == len(list_runs(opened.db))
