"""Plugin for pytest: the fixture `lupis_calls`, and the option `--lupis-report`.

pytest loads this module in every run where the package is installed. So it imports nothing else of
the package before a test uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, NamedTuple

import pytest

if TYPE_CHECKING:
    from lupis_instrument.testing import Captured, Record

_PROPERTY = "lupis"
_CAPTURED = "_lupis_calls"
_MAX_WAIT = 10.0


class LupisCalls:
    """The LLM calls that a test has made so far; nothing of them is delivered.

    Attributes:
        captured: all spans and events; see `lupis_instrument.testing`.
    """

    def __init__(self, captured: Captured) -> None:
        self.captured = captured

    def __iter__(self) -> Iterator[Record]:
        return iter(self.captured.calls)

    def __len__(self) -> int:
        return len(self.captured.calls)

    @property
    def cost(self) -> float:
        """The known cost in USD."""
        return float(sum(value or 0.0 for value in self._list_values("LUPIS_COST_TOTAL")))

    @property
    def unpriced(self) -> int:
        """The number of calls without a known price."""
        return sum(value == "unpriced" for value in self._list_values("LUPIS_COST_STATUS"))

    @property
    def errors(self) -> int:
        """The number of calls that failed."""
        return sum(value is not None for value in self._list_values("ERROR_TYPE"))

    def _list_values(self, constant: str) -> list[Any]:
        """Return the value of an attribute for each call; `constant` is its name in `_semconv`."""
        from lupis_instrument import _semconv

        name = getattr(_semconv, constant)
        return [call["attributes"].get(name) for call in self]

    def max_calls(self, number: int) -> None:
        """Fail the test if it has made more than `number` calls."""
        __tracebackhide__ = True
        if len(self) > number:
            pytest.fail(f"{len(self)} LLM calls, expected at most {number}")

    def max_cost(self, dollars: float) -> None:
        """Fail the test if its calls have cost more, or if the price of a call is unknown.

        Args:
            dollars: the largest cost in USD.
        """
        __tracebackhide__ = True
        if self.cost > dollars:
            pytest.fail(f"the LLM calls cost ${self.cost:.6f}, expected at most ${dollars:.6f}")
        if self.unpriced:
            pytest.fail(f"the price of {self.unpriced} LLM calls is unknown")


@pytest.fixture
def lupis_calls(request: pytest.FixtureRequest) -> Iterator[LupisCalls]:
    """The LLM calls of this test, with `max_calls` and `max_cost`."""
    from lupis_instrument.testing import capture

    with capture() as captured:
        calls = LupisCalls(captured)
        try:
            yield calls
        finally:
            totals = _Totals(len(calls), calls.errors, calls.unpriced, calls.cost)
            setattr(request.node, _CAPTURED, totals)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--lupis-report`."""
    parser.getgroup("lupis").addoption(
        "--lupis-report", action="store_true", help="show LLM calls and their cost for each test"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Count calls, if the report is wanted."""
    if config.getoption("--lupis-report"):
        _start_recording()
        config.pluginmanager.register(_Report(), "lupis-report")


def _start_recording() -> None:
    """Record calls without delivery, unless `lupis-run` has started pytest."""
    from lupis_instrument._runtime.launch import launch

    if not launch.launched:
        from lupis_instrument._config.config import LupisConfig
        from lupis_instrument.sdk import LupisSDK

        LupisSDK.init(LupisConfig(project_id="test", exporter="none"))


class _Totals(NamedTuple):
    """The totals of some calls.

    Attributes:
        calls: the number of calls.
        errors: the number of failed calls.
        unpriced: the number of calls without a known price.
        cost: the known cost in USD.
    """

    calls: int = 0
    errors: int = 0
    unpriced: int = 0
    cost: float = 0.0

    def add(self, other: _Totals, sign: int = 1) -> _Totals:
        """Return the sum, or with the sign -1 the difference."""
        return _Totals(
            self.calls + sign * other.calls,
            self.errors + sign * other.errors,
            self.unpriced + sign * other.unpriced,
            self.cost + sign * other.cost,
        )


def _read_totals() -> _Totals:
    """Return the totals of this process; calls in the fixture `lupis_calls` are not in them."""
    from lupis_instrument._runtime import current

    runtime = current.get_runtime()
    if runtime is None:
        return _Totals()
    runtime.drain(_MAX_WAIT)
    totals = runtime.summary.all_calls
    return _Totals(totals.calls, totals.errors, totals.unpriced, totals.cost)


class _Report:
    """Counts the calls of each test; with pytest-xdist, in the worker that runs the test."""

    def __init__(self) -> None:
        self._before = _Totals()
        self._rows: list[tuple[str, _Totals]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Remember the totals before the test."""
        self._before = _read_totals()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
        """Put the totals of a test that is over into its report, which xdist hands on."""
        if call.when == "teardown":
            totals = _read_totals().add(self._before, -1)
            captured = getattr(item, _CAPTURED, _Totals())
            item.user_properties.append((_PROPERTY, list(totals.add(captured))))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the totals of a test."""
        if report.when == "teardown":
            for name, value in report.user_properties:
                if name == _PROPERTY:
                    self._rows.append((report.nodeid, _Totals(*value)))  # type: ignore[misc]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show the tests that made calls, the dearest first."""
        rows = sorted((row for row in self._rows if row[1].calls), key=lambda row: -row[1].cost)
        total = _Totals()
        for _, totals in rows:
            total = total.add(totals)
        terminalreporter.section("LLM calls")
        terminalreporter.write_line("calls  errors        cost  test")
        for name, totals in [*rows, ("total", total)]:
            cost = f"${totals.cost:.6f}" + ("+?" if totals.unpriced else "")
            line = f"{totals.calls:5}  {totals.errors:6}  {cost:>10}  {name}"
            terminalreporter.write_line(line)
