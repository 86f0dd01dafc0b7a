"""The totals of the processes of one launch, and the process that prints them."""

import os

import pytest

from lupis_instrument import LupisConfig
from lupis_instrument._export.accounting import Account
from lupis_instrument._export.store.store import Process, Store
from lupis_instrument._export.summary import Summary
from lupis_instrument._runtime import process_tree

LEADER = f"{os.getpid()}:1"
LEADER_HERE = {"leads": True, "launched": True}


@pytest.fixture
def config(tmp_path):
    """Settings that ask for a summary."""
    return LupisConfig("shop", data_dir=str(tmp_path / "data"), summary=True)


@pytest.fixture
def make_store(tmp_path):
    """Opens the store of one process of the launch."""
    stores = []

    def make(pid):
        process = Process("shop", None, pid, LEADER)
        stores.append(Store(str(tmp_path / "data"), 1 << 24, process))
        return stores[-1]

    yield make
    for store in stores:
        store.database.close()


def make_account(delivered=0, stored=0, dropped=0):
    """Returns an account with these outcomes."""
    account = Account()
    account.add_created(delivered + stored + dropped)
    account.add_delivered(delivered)
    account.add_stored(stored)
    if dropped:
        account.add_dropped(dropped, "queue full")
    return account


def test_the_leader_prints_the_totals_of_all_processes(config, make_store, capsys):
    """A child leaves its totals in the store."""
    child = make_store(os.getpid() + 1)
    child.write_account(make_account(delivered=2, stored=1), Summary().to_json())
    process_tree.report(
        Summary(), make_account(delivered=4), make_store(os.getpid()), config, **LEADER_HERE
    )
    printed = capsys.readouterr().err
    assert "6 -> http://" in printed
    assert "1 -> " in printed


def test_a_child_leaves_its_totals_in_the_store(config, make_store, capsys):
    """It prints nothing."""
    store = make_store(os.getpid())
    process_tree.report(
        Summary(), make_account(delivered=3), store, config, leads=False, launched=True
    )
    assert [(3, 3, 0, {})] == store.read_accounts()
    assert "" == capsys.readouterr().err


def test_a_leader_that_delivered_all_leaves_nothing_in_the_store(config, make_store):
    """`lupis doctor` reads accounts of processes that stored or lost something."""
    store = make_store(os.getpid())
    process_tree.report(Summary(), make_account(delivered=3), store, config, **LEADER_HERE)
    assert not store.database.exists()


def test_lost_spans_are_reported_by_their_reason(config, make_store, capsys):
    """Even where no summary is wanted."""
    config = LupisConfig("shop", data_dir=config.data_dir, summary=False)
    process_tree.report(
        Summary(), make_account(dropped=2), make_store(os.getpid()), config, **LEADER_HERE
    )
    assert "2 spans and events were lost: queue full" in capsys.readouterr().err


def test_nothing_is_printed_without_a_summary(config, make_store, capsys):
    """All was delivered, and the user wants no summary."""
    config = LupisConfig("shop", data_dir=config.data_dir, summary=False)
    process_tree.report(
        Summary(), make_account(delivered=2), make_store(os.getpid()), config, **LEADER_HERE
    )
    assert "" == capsys.readouterr().err


def test_a_process_that_becomes_another_program_leaves_its_totals(config, make_store):
    """`os.exec*` keeps the pid, so the next program must not overwrite them."""
    store = make_store(os.getpid())
    process_tree.hand_off(Summary(), make_account(delivered=1), store, config, launched=True)
    process_tree.hand_off(Summary(), make_account(delivered=2), store, config, launched=True)
    assert [1, 2] == sorted(created for created, *_ in store.read_accounts())


@pytest.mark.parametrize("stream", [None, "closed"])
def test_an_unusable_stdout_is_no_error(stream, config, make_store, monkeypatch, capsys):
    """The summary is printed on stderr all the same."""
    child = make_store(os.getpid() + 1)
    child.write_account(make_account(stored=5), Summary().to_json())
    if stream == "closed":
        read_end, write_end = os.pipe()
        os.close(read_end)
        stream = os.fdopen(write_end, "w")
        stream.close()
    monkeypatch.setattr("sys.stdout", stream)
    process_tree.report(
        Summary(), make_account(delivered=1), make_store(os.getpid()), config, **LEADER_HERE
    )
    assert "5 -> " in capsys.readouterr().err
