"""Launches."""

import pytest
from servers.recorded import StoreFiller

from lupis_instrument._query.runs import (
    RunNotFoundError,
    find_last_run,
    list_runs,
    resolve_run,
    summarize_run,
)


def test_run_adds_up_its_calls(store, ask):
    """Spans that are no calls count for its time only."""
    store.span("work", ago=100)
    store.call(cost=0.5, ago=60, seconds=2)
    store.call(error="429", ago=50)
    (run,) = ask(list_runs)
    assert ("a" * 32, "a" * 8, "shop", "agent") == (run.id, run.short_id, run.project, run.service)
    assert (2, 1, 20, 10, 0.5, 1, 1) == (
        *(run.calls, run.errors, run.input_tokens, run.output_tokens),
        *(run.cost, run.unpriced, run.processes),
    )
    assert 51 == round(run.duration / 1e9)


def test_newest_run_comes_first(store, other_store, ask):
    """A page goes on after the last run of the page before."""
    store.call()
    other_store.call()
    assert ["b", "a"] == [run.id[0] for run in ask(list_runs)]
    (first,) = ask(list_runs, limit=1)
    assert ["a"] == [run.id[0] for run in ask(list_runs, after=first.id)]


def test_runs_of_a_project_and_a_time(store, other_store, ask):
    """A run counts if one of its spans began then."""
    store.call(ago=10)
    other_store.call(ago=1000)
    assert ["b"] == [run.id[0] for run in ask(list_runs, project="lab")]
    assert ["a"] == [run.id[0] for run in ask(list_runs, since=store.now - 10**11)]


def test_deleted_runs_are_not_listed(store, ask):
    """Their origins stay in the store."""
    store.call()
    store.sql("DELETE FROM item")
    assert [] == ask(list_runs)
    assert ask(summarize_run, "a" * 32) is None


def test_first_digits_find_a_run(store, other_store, ask):
    """They are enough if no other run has them."""
    store.call()
    other_store.call()
    assert "a" * 32 == ask(resolve_run, "aa")


@pytest.mark.parametrize(
    ("prefix", "problem"),
    [("c", "no run c; `lupis runs` lists"), ("%", "'%' is no run id")],
)
def test_an_unknown_run_is_refused(prefix, problem, store, ask):
    """The message names the command that lists runs."""
    store.call()
    with pytest.raises(RunNotFoundError, match=problem):
        ask(resolve_run, prefix)


def test_ambiguous_digits_are_refused(tmp_path, store, ask):
    """The message lists the runs."""
    store.call()
    similar = StoreFiller(tmp_path / "data", run="ab" * 16)
    similar.call()
    similar.store.database.close()
    with pytest.raises(RunNotFoundError, match="2 runs start with a; the newest are"):
        ask(resolve_run, "a")


def test_last_run_stored_the_newest_item(store, other_store, ask):
    """The first run may still go on."""
    store.call()
    other_store.call()
    store.call()
    assert "a" * 32 == ask(find_last_run)


def test_without_items_there_is_no_last_run(store, ask):
    """The message says it."""
    with pytest.raises(RunNotFoundError, match="no run is recorded"):
        ask(find_last_run)
