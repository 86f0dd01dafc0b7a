"""Items that neither their endpoint nor the store accepts wait in memory, within bounds."""

import pytest

from lupis_instrument._export import held_items
from lupis_instrument._export.accounting import Account
from lupis_instrument._export.held_items import HeldItems
from lupis_instrument._export.otlp.destinations import Destination
from lupis_instrument._export.store.database import StoreUnavailable


@pytest.fixture
def destination(target_of):
    """The endpoint that the items wait for."""
    return Destination(target_of("http://127.0.0.1:1/v1/traces"), {})


@pytest.fixture
def account():
    """The counts of the items."""
    return Account()


@pytest.fixture
def held(store, account):
    """Held items beside a store that works."""
    return HeldItems(store, account)


def refuse_everything(*_, **__):
    """Stands in for `Store.add_items` of a store that cannot be used."""
    raise StoreUnavailable("full")


def test_it_is_true_while_it_holds_items(held, items, destination):
    """`ExportWorker.flush` reports failure then."""
    assert not held
    held.add_group(destination, items(1))
    assert held


def test_groups_are_found_by_destination(held, items, destination):
    """Items without an endpoint are not sent."""
    sent, kept = items(2), items(1, first=2)
    held.add_group(destination, sent)
    held.add_group(None, kept)
    assert [sent] == held.find_groups(destination)


def test_sent_items_are_removed_from_their_group(held, items, destination):
    """The remaining items of the group are still held."""
    group = items(3)
    last = group[2]
    held.add_group(destination, group)
    assert held.remove_items(group, group[:2])
    assert [[last]] == held.find_groups(destination)


def test_an_empty_group_is_held_no_more(held, items, destination):
    """Nothing waits when all of its items were sent."""
    group = items(2)
    held.add_group(destination, group)
    held.remove_items(group, list(group))
    assert not held


def test_items_that_were_stored_meanwhile_cannot_be_removed(held, items, destination):
    """A late response must not count them a second time."""
    group = items(2)
    held.add_group(destination, group)
    held.store_all()
    assert not held.remove_items(group, group)


def test_held_items_are_stored_for_their_endpoint(held, items, destination, store, account):
    """They wait in the store from then on."""
    held.add_group(destination, items(3))
    held.store_all()
    assert (3, 3, 0) == (store.count_waiting(destination.target), account.stored, account.lost)


def test_a_failure_to_store_keeps_the_remaining_groups(held, items, store, monkeypatch, capsys):
    """Each attempt may wait for other processes, so the first failure ends it."""
    monkeypatch.setattr(store, "add_items", refuse_everything)
    held.add_group(None, items(1))
    held.add_group(None, items(1))
    held.store_all()
    assert held
    assert 1 == capsys.readouterr().err.count("cannot store spans and events: full")


def test_the_oldest_items_are_dropped_when_memory_is_full(held, items, account, monkeypatch):
    """They are counted as lost for want of a store."""
    monkeypatch.setattr(held_items, "MAX_HELD_BYTES", 5000)
    for number in range(10):
        held.add_group(None, items(1, first=number, size=1000))
    assert 6 <= account.dropped["no store"] <= 8


def test_dropping_stores_the_items_if_the_store_works(held, items, account):
    """Nothing is lost then."""
    held.add_group(None, items(2))
    assert held.drop_all()
    assert (2, {}) == (account.stored, account.dropped)


def test_dropping_counts_the_items_that_no_store_takes(held, items, store, account, monkeypatch):
    """This is the end of the process."""
    monkeypatch.setattr(store, "add_items", refuse_everything)
    held.add_group(None, items(2))
    assert not held.drop_all()
    assert ({"no store": 2}, False) == (account.dropped, bool(held))


def test_a_forked_child_holds_nothing(held, items):
    """The items belong to the parent."""
    held.add_group(None, items(1))
    held.reset()
    assert not held
