"""Identical requests."""

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
