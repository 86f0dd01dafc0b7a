"""Calls over time."""

from lupis_instrument._query.filters import make_filter
from lupis_instrument._query.series import MINUTE, count_over_time
from lupis_instrument._query.times import SECOND


def test_each_step_has_a_point(store, ask):
    """Steps without calls count 0, and the end of the period is not part of it."""
    end = store.now // MINUTE * MINUTE
    for second in (-1, 1, 2, 121):
        ago = (store.now - end) / SECOND + 180 - second
        store.call("m", cost=0.5, error="429" if second == 1 else None, ago=ago)
    points = ask(count_over_time, end - 3 * MINUTE, end)
    assert [2, 0, 1] == [point.calls for point in points]
    assert [1, 0, 0] == [point.errors for point in points]
    assert (20, 10, 1.0) == (points[0].input_tokens, points[0].output_tokens, points[0].cost)
    assert end - 3 * MINUTE == points[0].at


def test_number_of_points_is_bounded(store, ask):
    """A long period has longer steps."""
    store.call()
    assert 10_001 >= len(ask(count_over_time, 0, store.now, step=SECOND))


def test_filter_selects_the_counted_calls(store, ask):
    """Other calls do not count."""
    store.call("a")
    store.call("b")
    period = (store.now - 3600 * SECOND, store.now)
    points = ask(count_over_time, *period, call_filter=make_filter(model="b"))
    assert 1 == sum(point.calls for point in points)
