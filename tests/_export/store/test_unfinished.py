"""A process that was killed is counted by the items that it has stored."""

import pytest

from lupis_instrument._export.accounting import Account
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.store.schema import DELIVERED
from lupis_instrument._export.store.store import Process, Store
from lupis_instrument._export.summary import Summary


@pytest.fixture
def open_store(tmp_path):
    """Opens one file as the process with an id; it is closed at the end."""
    opened = []

    def make(pid):
        process = Process("shop", "run", pid, "leader")
        opened.append(Store(str(tmp_path / "data"), 64 << 20, process))
        return opened[-1]

    yield make
    for store in opened:
        store.database.close()


@pytest.fixture
def calls(llm_call):
    """Makes the encoded spans of LLM calls."""

    def make(count):
        spans = [llm_call(chat=str(n), seconds=2) for n in range(count)]
        return ItemEncoder(spans[0].resource).encode_spans(spans)

    return make


def read_others(store):
    """Return the accounts that a leader reads, and the totals of its summary."""
    summary = Summary()
    accounts = []
    for account, totals in store.read_other_accounts():
        accounts.append(account)
        summary.merge_json(totals)
    return accounts, summary


def test_a_killed_process_is_counted(open_store, calls):
    """The totals are those that the process would have written."""
    open_store(2).add_items(calls(3))
    accounts, summary = read_others(open_store(1))
    assert [(3, 0, 3, {})] == accounts
    totals = summary.all_calls
    assert (3, 30, 15, 6.0) == (totals.calls, totals.read, totals.written, totals.seconds)
    assert {"0": 1, "1": 1, "2": 1} == summary.chats


def test_items_delivered_by_others_count_as_delivered(open_store, calls):
    """Another process may have sent the items of the killed process."""
    leader = open_store(1)
    leader.set_state(open_store(2).add_items(calls(3))[:2], DELIVERED)
    assert [(3, 2, 1, {})] == read_others(leader)[0]


def test_the_account_of_a_process_replaces_its_items(open_store, calls):
    """Nothing is counted twice."""
    store, account = open_store(2), Account()
    store.add_items(calls(3))
    account.add_created(3)
    account.add_stored(3)
    store.write_account(account, Summary().to_json())
    assert [(3, 0, 3, {})] == read_others(open_store(1))[0]


def test_the_account_of_a_former_program_replaces_its_items(open_store, calls):
    """The process became another program by `os.exec*`, which was killed."""
    store, account = open_store(2), Account()
    store.add_items(calls(3))
    account.add_created(3)
    account.add_stored(3)
    store.write_account(account, Summary().to_json(), former=True)
    open_store(2).add_items(calls(1))
    assert [(1, 0, 1, {}), (3, 0, 3, {})] == sorted(
        read_others(open_store(1))[0], key=lambda account: account[0]
    )


def test_every_account_counts_killed_processes(open_store, calls):
    """`lupis doctor` shows them."""
    open_store(2).add_items(calls(3))
    assert [(3, 0, 3, {})] == open_store(1).read_accounts()
