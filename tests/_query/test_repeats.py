"""Identical requests."""

from lupis_instrument._query.filters import make_filter
from lupis_instrument._query.repeats import find_repeats


def test_repeated_requests_are_known_by_their_fingerprint(store, ask):
    """The cost of one call was needed, and the rest is the cost of the repetition."""
    for cost in (0.5, 0.25, 0.25):
        store.call("m", cost=cost, chat="c", **{"lupis.request.fingerprint": "f"})
    store.call("m", cost=9.0, **{"lupis.request.fingerprint": "other"})
    store.call("m", cost=9.0)
    (row,) = ask(find_repeats)
    assert ("f", "m", 3, 0, 1, 1.0, 0.5) == (
        *(row.fingerprint, row.model, row.calls, row.retries, row.chats),
        *(row.cost, row.repeated_cost),
    )


def test_a_damaged_fingerprint_hides_no_other_request(store, ask):
    """SQLite may hold a text that is no UTF-8."""
    for number in range(4):
        store.call("m", cost=1.0, **{"lupis.request.fingerprint": f"f{number // 2}"})

    def damage(db):
        db.execute("UPDATE item SET fingerprint = CAST(x'66ff' AS TEXT) WHERE id = 1")
        return find_repeats(db)

    assert [("f1", 2)] == [(row.fingerprint, row.calls) for row in ask(damage)]


def test_each_repeated_request_is_found_among_many(store, ask):
    """The most expensive repetition comes first, and a filter sees only its own calls."""
    for number in range(20):
        store.call("m", cost=number, **{"lupis.request.fingerprint": f"f{number // 2 % 8}"})
    repeats = ask(find_repeats)
    assert [("f1", 4), ("f0", 4)] == [(row.fingerprint, row.calls) for row in repeats[:2]]
    assert 8 == len(repeats)
    assert [] == ask(lambda db: find_repeats(db, make_filter(min_cost=19)))
