"""The costs of a launch, in a file that all its processes append to."""

import os

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._export.cost_ledger import CostLedger, Entry


@pytest.fixture
def make_ledger(tmp_path):
    """Opens the file of a launch, as one of its processes does."""
    return lambda launch_id="run": CostLedger(lambda: tmp_path, launch_id)


@pytest.fixture
def file(tmp_path, make_ledger):
    """The file of the launch, with one cost."""
    make_ledger().add_cost(1)
    return next(tmp_path.iterdir())


def test_all_processes_read_the_costs_in_one_order(make_ledger):
    """Each knows which of them are its own."""
    first, second = make_ledger(), make_ledger()
    first.add_cost(0.25)
    second.add_cost(None)
    first.add_cost(1e-9)
    assert [(0.25, True), (None, False), (1e-9, True)] == first.read_new()
    assert [(0.25, False), (None, True), (1e-9, False)] == second.read_new()


def test_a_cost_is_read_once(make_ledger):
    """The next read has the costs that came after it."""
    ledger = make_ledger()
    ledger.add_cost(1)
    ledger.read_new()
    assert [] == ledger.read_new()
    ledger.add_cost(2)
    assert [Entry(2, own=True)] == ledger.read_new()


def test_launches_have_separate_files(make_ledger):
    """Each has its own budget."""
    make_ledger("a").add_cost(1)
    assert [] == make_ledger("../b").read_new()


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), -1.0])
def test_an_impossible_cost_is_unknown(cost, make_ledger):
    """A file of own prices may lead to any number."""
    ledger = make_ledger()
    ledger.add_cost(cost)
    assert [Entry(None, own=True)] == ledger.read_new()


@pytest.mark.parametrize("line", [b"\n", b"0.5x\n", b"nan\n", b"-1\n", b"\xff\n"])
def test_a_damaged_line_counts_nothing(line, file, make_ledger):
    """The lines around it do."""
    file.write_bytes(b"1\n" + line + b"2\n")
    assert [1, 2] == [entry.cost for entry in make_ledger().read_new()]


def test_a_line_that_is_not_complete_waits(file, make_ledger):
    """Another process may be writing it."""
    ledger = make_ledger()
    file.write_bytes(b"1\n0.")
    assert [1] == [entry.cost for entry in ledger.read_new()]
    file.write_bytes(b"1\n0.5\n")
    assert [0.5] == [entry.cost for entry in ledger.read_new()]


def test_very_many_costs_are_read(file, make_ledger):
    """They are read in pieces."""
    file.write_bytes(b"0.001\n" * 50_000)
    assert 50_000 == len(make_ledger().read_new())


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_other_users_cannot_read_the_file(file):
    """Its mode is 0600."""
    assert 0o600 == file.stat().st_mode & 0o777


def test_a_file_of_an_ended_launch_is_removed(file, make_ledger):
    """It is a week old."""
    os.utime(file, (1, 1))
    make_ledger("other").add_cost(1)
    assert not file.exists()


def test_without_a_folder_the_process_counts_alone(capsys):
    """One line says so."""
    diagnostics.reset()

    def fail():
        raise PermissionError("no folder")

    ledger = CostLedger(fail, "run")
    ledger.add_cost(1)
    ledger.add_cost(None)
    assert [(1, True), (None, True)] == ledger.read_new()
    assert 1 == capsys.readouterr().err.count("counts the calls of this process alone: no folder")
