"""The checks of `lupis doctor`, and their order in its report."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Iterator, NamedTuple, Sequence

from lupis_instrument import _semconv
from lupis_instrument._cli.lupis.command_resolver import ResolvedCommand, resolve_command
from lupis_instrument._cli.lupis.doctor_delivery import (
    check_data_folder,
    check_endpoint,
    check_test_span,
)
from lupis_instrument._cli.lupis.doctor_results import CheckResult
from lupis_instrument._cli.lupis.doctor_runner import ProbeResult, run_probe
from lupis_instrument._config.config import resolve_settings
from lupis_instrument._config.project_file import read_project
from lupis_instrument._config.settings import SETTINGS
from lupis_instrument._redaction import Redactor
from lupis_instrument._version import __version__
from lupis_instrument.exceptions import LupisLaunchError

if TYPE_CHECKING:
    from lupis_instrument._config.config import ResolvedSettings


class FlagEffect(NamedTuple):
    """The effect of an interpreter's flag on the bootstrap.

    Attributes:
        text: the effect, for the user.
        wrong: whether the flag keeps the bootstrap from running.
    """

    text: str
    wrong: bool


FLAG_EFFECTS = {
    "isolated": FlagEffect("-I: PYTHONPATH is ignored", wrong=True),
    "ignore_environment": FlagEffect("-E: PYTHONPATH is ignored", wrong=True),
    "no_site": FlagEffect("-S: no sitecustomize is run", wrong=True),
    "no_user_site": FlagEffect("no user site-packages; this does no harm", wrong=False),
    "safe_path": FlagEffect(
        "PYTHONSAFEPATH: your program's folder is not on sys.path; this does no harm", wrong=False
    ),
}
"""The flags in `sys.flags` that limit the imports of an interpreter at its start."""

_THIS_INTERPRETER = ResolvedCommand("", sys.executable, None)
_NO_INTERPRETER = ResolvedCommand("", None, None)


def examine_environment(command: Sequence[str] = ()) -> list[CheckResult]:
    """Run all checks and return their results, grouped by topic.

    Args:
        command: the command to check, without running it; by default any program of this
            interpreter.
    """
    project = read_project(os.environ)
    environ = {**os.environ, **project.variables}
    resolved = resolve_settings(environ, None, launched=True, labels=project.labels)
    results, target = _check_command(command) if command else ([], _THIS_INTERPRETER)
    endpoint, is_reachable = check_endpoint(resolved)
    probe = None
    if target.python is not None:
        probe = run_probe(target.python, target.folder, send=is_reachable)
        results += [*_check_interpreter(probe), *_check_versions(probe), *_check_clients(probe)]
    results += _check_settings(resolved)
    results += [CheckResult("Settings", "pyproject.toml", text, True) for text in project.problems]
    if probe is not None and probe.facts.get("propagators"):
        text = probe.facts["propagators"]
        results.append(CheckResult("Settings", _semconv.ENV_PROPAGATORS, text, wrong=True))
    results.append(endpoint)
    if probe is not None and is_reachable:
        results += check_test_span(probe)
    results += check_data_folder(resolved.config)
    # Arguments, paths and URLs may hold secrets.
    redact_text = Redactor("remove").redact_text
    return [
        result._replace(name=redact_text(result.name), text=redact_text(result.text))
        for result in results
    ]


def _check_command(command: Sequence[str]) -> tuple[list[CheckResult], ResolvedCommand]:
    """Return the results for a command, and the interpreter to probe."""
    topic = "Command"
    try:
        target = resolve_command(command, os.environ)
    except LupisLaunchError as error:
        return [CheckResult(topic, command[0], str(error), wrong=True)], _NO_INTERPRETER
    results = [CheckResult(topic, command[0], target.path)]
    if target.obstacle:
        text = f"{target.obstacle}: your program will not be instrumented"
        return [*results, CheckResult(topic, "obstacle", text, wrong=True)], _NO_INTERPRETER
    if target.python is None:
        text = "the command itself is not Python; the Python programs it starts are instrumented"
        results.append(CheckResult(topic, "Python", text))
    return results, target


def _check_interpreter(probe: ProbeResult) -> Iterator[CheckResult]:
    """Yield the interpreter, its flags, and whether the bootstrap ran in it."""
    topic, facts = "Interpreter", probe.facts
    errors = "; ".join(probe.errors)
    if not facts:
        yield CheckResult(topic, "Python", errors or "does not run", wrong=True)
        return
    yield CheckResult(topic, facts["implementation"], f"{facts['version']} {facts['executable']}")
    yield CheckResult(topic, "virtual environment", facts["environment"] or "none")
    for flag in facts["flags"]:
        yield CheckResult(topic, flag, *FLAG_EFFECTS[flag])
    if not facts["bootstrapped"]:
        text = "did not run: check the flags, or for another sitecustomize that comes first"
        # A bootstrap that gives up writes its reason to stderr.
        yield CheckResult(topic, "bootstrap", errors or text, wrong=True)
    elif probe.installed:
        yield CheckResult(topic, "lupis_instrument", f"found in {facts['location']}")
    else:
        text = f"not installed: borrowed from {facts['location']}"
        yield CheckResult(topic, "lupis_instrument", text)
    for reason in facts.get("conflicts", ()):
        text = f"{reason}: your program will not be instrumented"
        yield CheckResult(topic, "conflict", text, wrong=True)


def _check_versions(probe: ProbeResult) -> Iterator[CheckResult]:
    yield CheckResult("Versions", "lupis-instrument", __version__)
    for name, text, wrong in probe.facts.get("requirements", ()):
        yield CheckResult("Versions", name, text, wrong)
    earlier = probe.facts.get("earlier_package")
    if earlier:
        text = (
            f"{earlier} is an earlier package, which `import lupislabs` loads instead of Lupis"
            f" Instrument; to remove it: {probe.facts['executable']} -m pip uninstall lupislabs"
        )
        yield CheckResult("Versions", "lupislabs", text, probe.installed)


def _check_clients(probe: ProbeResult) -> Iterator[CheckResult]:
    for name, text, wrong in probe.facts.get("clients", ()):
        yield CheckResult("HTTP clients", name, text, wrong)
    for name, text in probe.facts.get("unrecorded", ()):
        yield CheckResult("Other clients", name, text)


def _check_settings(resolved: ResolvedSettings) -> Iterator[CheckResult]:
    """Yield each setting with its value and source, then the problems of unknown variables."""
    topic = "Settings"
    problems = {problem.variable: problem for problem in resolved.problems}
    for row in SETTINGS:
        problem = problems.pop(row.variable, None)
        value = row.show_value(resolved.values[row.name])
        text = f"{value} ({resolved.sources[row.name]})"
        if problem is None:
            yield CheckResult(topic, row.variable, text)
        else:
            wrong = problem.severity == "error"
            yield CheckResult(topic, row.variable, f"{text} - {problem}", wrong)
    for problem in problems.values():
        yield CheckResult(topic, problem.variable, str(problem), problem.severity == "error")
