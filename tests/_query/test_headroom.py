"""The rate limits that providers report."""

from lupis_instrument._query.headroom import read_headroom

HEADER = "http.response.header."


def add_call(store, remaining, ago):
    """Stores a call whose response reports a limit of 60 requests."""
    limits = {"limit": "60", "remaining": remaining}
    store.call(
        "m",
        ago=ago,
        **{f"{HEADER}x-ratelimit-{part}-requests": (text,) for part, text in limits.items()},
    )


def test_headroom_is_the_last_and_the_lowest_number(store, ask):
    """The time of the lowest is known."""
    for remaining, ago in (("50", 30), ("2", 20), ("40", 10)):
        add_call(store, remaining, ago)
    (row,) = ask(read_headroom)
    assert ("openai", "m", "requests", 60, 40, 2, 3) == (
        *(row.provider, row.model, row.kind, row.limit, row.last, row.lowest, row.calls),
    )
    assert 10 == round((row.at - row.lowest_at) / 1e9)


def test_calls_without_limits_are_left_out(store, ask):
    """Most local servers report none."""
    store.call()
    assert [] == ask(read_headroom)
