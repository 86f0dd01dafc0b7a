"""Starts the command: checks the settings, finds the program, and becomes it.

Every start of a program pays for the modules imported here, so the settings are loaded only if a
variable sets one.
"""

from __future__ import annotations

import sys

from lupis_instrument import _semconv
from lupis_instrument._cli.run import environment, execution, locations, lookup
from lupis_instrument._cli.run.messages import report_problem, write_message
from lupis_instrument._config import project_file
from lupis_instrument.exceptions import LupisConfigError, LupisLaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Sequence

    from lupis_instrument._config.environment import Reading

WRONG_USE = 2
"""The exit status after an option or a setting that is not valid."""
_CHECKED = ("LUPIS_", "OTEL_EXPORTER_OTLP_")
_NOT_SETTINGS = frozenset({_semconv.ENV_RUN_ID, _semconv.ENV_LAUNCHER_SITE})


def build_module_command(module: Sequence[str]) -> list[str]:
    """Return the command that runs a module with this interpreter.

    Args:
        module: the module's name and its arguments.
    """
    return [sys.executable, "-m", *module]


def start_command(
    command: Sequence[str], environ: Mapping[str, str], labels: Mapping[str, str] | None = None
) -> int:
    """Become `command`, instrumented.

    Args:
        command: the command and its arguments.
        environ: the environment variables, with the variables that options set.
        labels: by variable, the option that set it.

    Returns:
        The exit status: if the command cannot be started, or, on Windows, after it has ended.
    """
    try:
        environ, labels = add_project_settings(environ, labels or {})
        check_settings(environ, labels)
        # The program may be found and started even if it cannot be instrumented.
        command = lookup.complete_command(command, environ)
        path = lookup.find_command(command[0], environ)
        obstacle = lookup.find_obstacle(command)
        if obstacle:
            write_message(f"{obstacle}: this program will not be instrumented")
        return execution.execute_command(path, command, prepare_environment(environ))
    except LupisConfigError as error:
        report_problem(error)
        return WRONG_USE
    except LupisLaunchError as error:
        report_problem(error)
        return error.status


def add_project_settings(
    environ: Mapping[str, str], labels: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables with the settings of `pyproject.toml`, and the labels with its name."""
    project = project_file.read_project(environ)
    for sentence in (*project.announcements, *project.problems):
        report_problem(sentence)
    return {**environ, **project.variables}, {**project.labels, **labels}


def check_settings(environ: Mapping[str, str], labels: Mapping[str, str] | None = None) -> None:
    """Check the settings as `read_settings` does; load nothing if no variable sets one."""
    if any(name.startswith(_CHECKED) and name not in _NOT_SETTINGS for name in environ):
        read_settings(environ, labels)


def read_settings(environ: Mapping[str, str], labels: Mapping[str, str] | None = None) -> Reading:
    """Read the settings from the variables and write warnings about them to stderr.

    Raises:
        LupisConfigError: a value is not valid.
    """
    from lupis_instrument._config.environment import read_environment

    reading = read_environment(environ, lenient=False, labels=labels)
    if reading.errors:
        raise LupisConfigError("\n".join(map(str, reading.errors)))
    if not environ.get(_semconv.ENV_RUN_ID):  # otherwise an outer lupis-run has written them
        for problem in reading.warnings:
            report_problem(problem)
    return reading


def prepare_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that instrument a program; `environ` if this installation is broken."""
    folder = locations.find_bootstrap_folder()
    if not folder:
        write_message("its installation lacks the bootstrap: this program will not be instrumented")
        return dict(environ)
    prepared = environment.add_bootstrap(environ, folder, locations.describe_site())
    return environment.add_run_pid(environment.add_run_id(prepared))
