"""The budget of a launch warns, refuses calls or stops the launch."""

import os
import pickle
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from lupis_instrument import LupisBudgetError
from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._export.cost_ledger import CostLedger
from lupis_instrument._runtime import budget
from lupis_instrument._runtime.budget import Budget


@pytest.fixture(autouse=True)
def _new_lines():
    """Each line may be written again."""
    diagnostics.reset()


@pytest.fixture
def make_budget(tmp_path):
    """Makes the budget of one process of a launch."""

    def make(on_limit="block", max_cost=1.0, prepare=lambda: None):
        return Budget(max_cost, on_limit, CostLedger(lambda: tmp_path, "run"), prepare)

    return make


@pytest.fixture
def killed(monkeypatch):
    """The signals that were sent, in place of sending them."""
    sent = []
    monkeypatch.setattr(budget.os, "kill", lambda *arguments: sent.append(arguments))
    return sent


def span(cost=None, status="priced"):
    """Returns the span of an LLM call."""
    values = {"lupis.cost.status": status, "lupis.cost.total": cost}
    attributes = {name: value for name, value in values.items() if value is not None}
    return SimpleNamespace(attributes=attributes)


def call(uses_tokens=True):
    """Returns an HTTP call to an LLM API."""
    return SimpleNamespace(endpoint=SimpleNamespace(uses_tokens=uses_tokens))


def test_calls_are_refused_when_the_budget_is_used_up(make_budget):
    """The error has the amounts."""
    spending = make_budget()
    spending.add_span(span(0.6))
    spending.check_call(call())
    spending.add_span(span(0.6))
    with pytest.raises(LupisBudgetError, match=r"\$1.2 of the budget of \$1 are used") as error:
        spending.check_call(call())
    assert (1.2, 1.0) == (error.value.spent, error.value.max_cost)


@pytest.mark.parametrize(
    "other_call", [SimpleNamespace(endpoint=None), call(uses_tokens=False)], ids=["other", "free"]
)
def test_other_calls_are_not_refused(other_call, make_budget):
    """A list of models costs nothing, and other hosts are no LLM APIs."""
    make_budget(max_cost=0.0).check_call(other_call)


def test_the_costs_of_other_processes_count(make_budget):
    """They belong to the same launch."""
    make_budget().add_span(span(2.0))
    with pytest.raises(LupisBudgetError):
        make_budget().check_call(call())


def test_ended_calls_count_before_the_next_one(make_budget):
    """A background thread may not have prepared their spans yet."""
    spending = make_budget(prepare=lambda: spending.add_span(span(1.0)))
    with pytest.raises(LupisBudgetError):
        spending.check_call(call())


def test_a_fault_refuses_no_call(make_budget, capsys):
    """The program comes first."""

    def fail():
        raise ZeroDivisionError

    make_budget(prepare=fail).check_call(call())
    assert "reading the budget failed (ZeroDivisionError" in capsys.readouterr().err


def test_each_limit_is_announced_once(make_budget, capsys):
    """The process whose call reaches it writes the line."""
    first, second = make_budget("warn", max_cost=10.0), make_budget("warn", max_cost=10.0)
    for spending, cost in ((first, 5), (second, 3), (first, 1), (second, 1), (first, 1)):
        spending.add_span(span(cost))
    assert [
        "lupis: warning: 80% of the budget is used: $8.00 of $10.00",
        "lupis: warning: the budget is used up: $10.00 of $10.00",
    ] == capsys.readouterr().err.splitlines()


def test_calls_without_a_price_are_said(make_budget, capsys):
    """They are not guessed."""
    spending = make_budget()
    for other_span in (span(status="unpriced"), span(status="unpriced"), span(1.0)):
        spending.add_span(other_span)
    unpriced, used = capsys.readouterr().err.splitlines()
    assert "a call without a known price is not in the budget" in unpriced
    assert used.endswith("; the price of 2 calls is unknown; further LLM calls are refused")


def test_spans_without_costs_count_nothing(make_budget, tmp_path):
    """A refused call, for one."""
    spending = make_budget()
    spending.add_span(SimpleNamespace(attributes=None))
    spending.add_span(span(status=None))
    spending.add_span(span(status="free", cost=0.0))
    spending.check_call(call())


def test_the_launch_is_stopped(make_budget, monkeypatch, killed):
    """The first process gets SIGTERM, then this one, and further calls are refused."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        monkeypatch.setenv("LUPIS_RUN_PID", str(process.pid))
        monkeypatch.setenv("LUPIS_LEADER", f"{os.getpid()}:1")
        spending = make_budget("stop")
        spending.add_span(span(1.0))
        process.stdin.close()
    assert [(process.pid, signal.SIGTERM), (os.getpid(), signal.SIGTERM)] == killed
    with pytest.raises(LupisBudgetError):
        spending.check_call(call())


@pytest.mark.parametrize("pid", ["1", "x", "999999999", ""])
def test_a_process_outside_the_launch_is_not_stopped(pid, make_budget, monkeypatch, killed):
    """The number of a process that has ended may have a new owner."""
    monkeypatch.setenv("LUPIS_RUN_PID", pid)
    monkeypatch.setenv("LUPIS_LEADER", pid)
    make_budget("stop").add_span(span(1.0))
    assert [(os.getpid(), signal.SIGTERM)] == killed


def test_a_warning_checks_no_calls(make_budget):
    """They cost no time then."""
    assert [False, True, True] == [
        make_budget(on_limit).checks_calls for on_limit in ("warn", "block", "stop")
    ]


def test_the_error_can_be_pickled():
    """A pool of processes sends it to the parent."""
    error = pickle.loads(pickle.dumps(LupisBudgetError(1.5, 1.0)))
    assert (1.5, 1.0) == (error.spent, error.max_cost)
