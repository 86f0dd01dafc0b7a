"""Groups of failed calls."""

from servers.recorded import trace_id

from lupis_instrument._query.errors import group_errors
from lupis_instrument._query.filters import make_filter


def test_errors_are_grouped(store, ask):
    """The largest group comes first, and its trace is the newest one."""
    store.call("a", error="500")
    for _ in range(2):
        newest = store.call("a", error="429", **{"http.request.resend_count": 1})
    store.call("a")
    first, second = ask(group_errors)
    assert ("429", 2, 2, trace_id(newest)) == (first.error, first.calls, first.retries, first.trace)
    assert ("500", 1, 0, "openai", "a") == (*second[:1], *second[4:6], *second[1:3])


def test_filter_selects_errors(store, ask):
    """Other calls do not count."""
    store.call("a", error="500")
    store.call("b", error="500")
    (group,) = ask(group_errors, make_filter(model="b"))
    assert ("b", 1) == (group.model, group.calls)
