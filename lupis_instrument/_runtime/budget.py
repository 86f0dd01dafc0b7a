"""The budget of a launch, `LUPIS_MAX_COST`: warns, refuses further calls, or stops the launch."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Callable

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import internal_errors, report_fault, warn
from lupis_instrument._export.console import format_dollars
from lupis_instrument._process.native_threads import RLock
from lupis_instrument.exceptions import LupisBudgetError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._export.cost_ledger import CostLedger
    from lupis_instrument._tracing.http_call import HttpCall

WARN, BLOCK, STOP = "warn", "block", "stop"
"""The values of `LUPIS_ON_LIMIT`."""
_EARLY_PART = 0.8
"""The part of the budget whose use is announced."""
_UNPRICED = "unpriced"


class Budget:
    """Adds up the costs of a launch, and acts when they reach a limit.

    Attributes:
        checks_calls: whether `check_call` must run before each call.
    """

    def __init__(
        self,
        max_cost: float,
        on_limit: str,
        ledger: CostLedger,
        prepare_spans: Callable[[], object],
    ) -> None:
        """Start without any cost.

        Args:
            max_cost: the budget in USD.
            on_limit: one of `WARN`, `BLOCK` and `STOP`.
            ledger: the costs of all processes.
            prepare_spans: makes the costs of ended calls known; takes milliseconds.
        """
        self._max_cost = max_cost
        self._on_limit = on_limit
        self._ledger = ledger
        self._prepare_spans = prepare_spans
        self._spent = 0.0
        self._unpriced = 0
        self.checks_calls = on_limit != WARN
        self.reset()

    def reset(self) -> None:
        """Make new locks, in a forked child; it goes on with the costs of the launch."""
        self._lock = RLock()
        self._ledger.reset()

    def add_span(self, span: ReadableSpan) -> None:
        """Count the cost of a call; called once a span, on a background thread."""
        attributes = span.attributes or {}
        status = attributes.get(_semconv.LUPIS_COST_STATUS)
        if status is None:
            return  # no LLM call, or one that has cost nothing
        cost = attributes.get(_semconv.LUPIS_COST_TOTAL)
        is_known = isinstance(cost, (int, float)) and status != _UNPRICED
        with internal_errors("counting a cost"):
            if is_known or status == _UNPRICED:
                self._ledger.add_cost(float(cost) if is_known else None)  # type: ignore[arg-type]
                self._add_new_costs()

    def check_call(self, http_call: HttpCall) -> None:
        """Refuse a call of an LLM if the budget is used up; called before it is sent.

        Raises:
            LupisBudgetError: the budget is used up.
        """
        if http_call.endpoint is None or not http_call.endpoint.uses_tokens:
            return
        try:
            self._prepare_spans()
            self._add_new_costs()
        except Exception as fault:
            report_fault("reading the budget", fault)
        if self._spent >= self._max_cost:
            if self._on_limit == STOP:
                os.kill(os.getpid(), signal.SIGTERM)
            raise LupisBudgetError(self._spent, self._max_cost)

    def _add_new_costs(self) -> None:
        """Add the costs of all processes; the process whose call reaches a limit announces it."""
        with self._lock:
            for entry in self._ledger.read_new():
                before = self._spent
                self._spent += entry.cost or 0.0
                self._unpriced += entry.cost is None
                if entry.own:
                    self._announce(
                        before, first_unpriced=entry.cost is None and self._unpriced == 1
                    )

    def _announce(self, before: float, *, first_unpriced: bool) -> None:
        if first_unpriced:
            warn("a call without a known price is not in the budget; `lupis doctor` names prices")
        if before < self._max_cost <= self._spent:
            action = {WARN: "", BLOCK: "; further LLM calls are refused"}
            text = action.get(self._on_limit, "; this launch is stopped")
            warn(f"the budget is used up: {self._describe_use()}{text}")
            if self._on_limit == STOP:
                _stop_launch()
        elif before < _EARLY_PART * self._max_cost <= self._spent:
            warn(f"{_EARLY_PART:.0%} of the budget is used: {self._describe_use()}")

    def _describe_use(self) -> str:
        unpriced = f"; the price of {self._unpriced:,} calls is unknown" if self._unpriced else ""
        return f"{format_dollars(self._spent)} of {format_dollars(self._max_cost)}{unpriced}"


def _stop_launch() -> None:
    """Send SIGTERM to the first process of the launch, and to this process."""
    pids = []
    for variable in (_semconv.ENV_RUN_PID, _semconv.ENV_LEADER):
        text = os.environ.get(variable, "").partition(":")[0]
        if text.isdecimal() and _is_in_launch(int(text)):
            pids.append(int(text))
    for pid in dict.fromkeys([*pids, os.getpid()]):
        with internal_errors("stopping the launch"):
            os.kill(pid, signal.SIGTERM)


def _is_in_launch(pid: int) -> bool:
    """Return whether a process is in the process group of this one.

    If it is not, the process of the launch may have ended, and its number may have a new owner.
    """
    try:
        return pid > 1 and os.getpgid(pid) == os.getpgrp()
    except (AttributeError, OSError):  # Windows has no process groups
        return False
