"""Two runs side by side."""

from lupis_instrument._query.comparison import compare_calls
from lupis_instrument._query.filters import make_filter


def test_groups_of_either_run_are_compared(store, other_store, ask):
    """A model that one run lacks has no calls there."""
    store.call("old", cost=0.5)
    store.call("both", cost=1.0)
    other_store.call("both", cost=2.0, error="429")
    other_store.call("new", cost=0.25)
    comparison = ask(compare_calls, make_filter(run="a"), make_filter(run="b"))
    rows = {
        change.key[1]: (change.before.calls, change.after.calls) for change in comparison.changes
    }
    assert {"both": (1, 1), "old": (1, 0), "new": (0, 1)} == rows
    assert (1.5, 2.25) == (comparison.total.before.cost, comparison.total.after.cost)
    assert ("provider", "model") == comparison.columns
