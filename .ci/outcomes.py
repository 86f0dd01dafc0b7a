"""A plugin of pytest's that writes down how each phase of each test went, warnings included."""

# Loaded into suites of others, by the path of its folder:
# ruff: noqa: INP001

from __future__ import annotations

import faulthandler
import json
import os
from typing import Any

_PATIENCE = 30  # seconds for a process to end whose tests have
_FILE = os.environ["SUITE_OUTCOMES"]


def _write(test: str, outcome: str) -> None:
    with open(_FILE, "a", encoding="utf-8") as file:  # noqa: PTH123 - suites patch pathlib
        file.write(json.dumps([test, outcome]) + "\n")


def pytest_runtest_logreport(report: Any) -> None:
    """Note a phase of a test."""
    expected = "x" if hasattr(report, "wasxfail") else ""
    if report.when == "call" or report.outcome != "passed":
        phase = "" if report.when == "call" else f" in {report.when}"
        _write(report.nodeid, expected + report.outcome + phase)


def pytest_collectreport(report: Any) -> None:
    """Note a file that can't be collected."""
    if report.outcome != "passed":
        _write(report.nodeid, f"{report.outcome} in collection")


def pytest_warning_recorded(warning_message: Any, when: str, nodeid: str) -> None:
    """Note a warning."""
    _write(f"{nodeid} warning", f"{warning_message.category.__name__} in {when}")


def pytest_unconfigure() -> None:
    """Have threads that a failed test has left not keep the process."""
    faulthandler.dump_traceback_later(_PATIENCE, exit=True)
