"""The mapping that drops its least recently used entries."""

from __future__ import annotations

import pytest

from lupis_instrument._llm.conversation.conversations import MAX_ENTRIES, RecentMap


@pytest.fixture
def full_map():
    """A map with as many entries as fit: 0 to MAX_ENTRIES - 1, each its own value."""
    recent: RecentMap[int, int] = RecentMap()
    for number in range(MAX_ENTRIES):
        recent.put(number, number)
    return recent


def test_get_returns_the_stored_value(full_map):
    """Nothing is dropped while the map is not over its limit."""
    assert 0 == full_map.get(0)


def test_get_returns_none_for_an_unknown_key(full_map):
    """A missing entry is no error."""
    assert full_map.get(-1) is None


def test_put_replaces_a_value(full_map):
    """A second value for a key does not add an entry."""
    full_map.put(5, 50)
    assert (50, 0) == (full_map.get(5), full_map.get(0))


def test_put_drops_the_oldest_entry(full_map):
    """One entry over the limit costs the entry that was stored first."""
    full_map.put(-1, -1)
    assert (None, 1, -1) == tuple(map(full_map.get, (0, 1, -1)))


@pytest.mark.parametrize(
    "use_entry", [lambda recent: recent.get(0), lambda recent: recent.put(0, 0)], ids=["get", "put"]
)
def test_a_used_entry_is_kept_longer(full_map, use_entry):
    """Reading or replacing entry 0 makes entry 1 the oldest."""
    use_entry(full_map)
    full_map.put(-1, -1)
    assert (0, None) == (full_map.get(0), full_map.get(1))


def test_pop_removes_an_entry(full_map):
    """The value is returned once."""
    assert (3, None, None) == (full_map.pop(3), full_map.pop(3), full_map.get(3))
