"""A pytest plugin that records the outcome of each phase of each test, and its warnings."""

# `suites.py` loads it into other projects' test runs, from this folder:
# ruff: noqa: INP001

from __future__ import annotations

import faulthandler
import json
import os
from typing import Any

_MAX_EXIT_SECONDS = 30  # for a process to exit after its last test
_FILE = os.environ["SUITE_OUTCOMES"]


def _write_outcome(test: str, outcome: str) -> None:
    with open(_FILE, "a", encoding="utf-8") as file:  # noqa: PTH123 - suites patch pathlib
        file.write(json.dumps([test, outcome]) + "\n")


def pytest_runtest_logreport(report: Any) -> None:
    """Record the outcome of a phase: setup, call or teardown."""
    expected = "x" if hasattr(report, "wasxfail") else ""
    if report.when == "call" or report.outcome != "passed":
        phase = "" if report.when == "call" else f" in {report.when}"
        _write_outcome(report.nodeid, expected + report.outcome + phase)


def pytest_collectreport(report: Any) -> None:
    """Record a file that pytest cannot collect."""
    if report.outcome != "passed":
        _write_outcome(report.nodeid, f"{report.outcome} in collection")


def pytest_warning_recorded(warning_message: Any, when: str, nodeid: str) -> None:
    """Record the category of a warning."""
    _write_outcome(f"{nodeid} warning", f"{warning_message.category.__name__} in {when}")


def pytest_unconfigure() -> None:
    """Exit soon even if a failed test has left threads running."""
    faulthandler.dump_traceback_later(_MAX_EXIT_SECONDS, exit=True)
