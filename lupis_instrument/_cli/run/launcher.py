"""`lupis-run`: prepare the environment, then become the command.

Every start of a program pays for what is imported here, so `click` and the settings are loaded
only when there is something for them to do.
"""

from __future__ import annotations

import os
import sys

from lupis_instrument import _semconv
from lupis_instrument._cli.run import environment, execution, locations, lookup
from lupis_instrument.exceptions import LupisConfigError, LupisLaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Sequence

    from lupis_instrument._config.setting import Reading

WRONG_USE = 2
"""The exit status for an option or a setting that is not valid."""
_NO_SETTINGS = frozenset({_semconv.ENV_RUN_ID, _semconv.ENV_LAUNCHER_SITE})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `lupis-run` with `arguments`, by default those of this process.

    Returns:
        The exit status, where the command could not be started, or, on Windows, has ended.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    command = read_plain_command(given)
    if command:
        return launch(command, os.environ)
    from lupis_instrument._cli.run import options as cli

    return cli.main(given)


def read_plain_command(arguments: Sequence[str]) -> list[str]:
    """The command, if no option stands before it; else nothing."""
    first, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if first == "-m" and rest:
        return name_module_command(rest)
    if first == "--":
        return rest
    return [] if first.startswith("-") else list(arguments)


def name_module_command(module: Sequence[str]) -> list[str]:
    """`-m pkg.mod …`, run by this interpreter."""
    return [sys.executable, "-m", *module]


def launch(
    command: Sequence[str], environ: Mapping[str, str], labels: Mapping[str, str] | None = None
) -> int:
    """Become `command`, instrumented.

    Args:
        command: the command and its arguments.
        environ: the variables, those that options set among them.
        labels: by variable, the option that set it.

    Returns:
        As `main`.
    """
    try:
        check_settings(environ, labels)
        path = lookup.find_command(command[0], environ)
        obstacle = lookup.find_obstacle(command)
        if obstacle:
            say(f"{obstacle}: this program will not be instrumented")
        return execution.execute(path, command, prepare(environ))
    except LupisConfigError as error:
        complain(error)
        return WRONG_USE
    except LupisLaunchError as error:
        complain(error)
        return error.status


def check_settings(environ: Mapping[str, str], labels: Mapping[str, str] | None = None) -> None:
    """As `read_settings`, but quick where no variable of ours is set."""
    if any(name.startswith("LUPIS_") and name not in _NO_SETTINGS for name in environ):
        read_settings(environ, labels)


def read_settings(environ: Mapping[str, str], labels: Mapping[str, str] | None = None) -> Reading:
    """What the variables say; what is odd about them goes to stderr.

    Raises:
        LupisConfigError: a value is not valid.
    """
    from lupis_instrument._config import checks as _setting_checks
    from lupis_instrument._config import settings as _settings

    reading = _settings.read(
        environ, lenient=False, item_checks=_setting_checks.ITEM_CHECKS, labels=labels
    )
    if reading.errors:
        raise LupisConfigError("\n".join(map(str, reading.errors)))
    if not environ.get(_semconv.ENV_RUN_ID):  # else an outer lupis-run has said so
        for problem in reading.warnings:
            complain(problem)
    return reading


def prepare(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that instrument a program; `environ` where this installation is broken."""
    folder = locations.find_bootstrap_folder()
    if not folder:
        say("its installation lacks the bootstrap: this program will not be instrumented")
        return dict(environ)
    return environment.add_run_id(
        environment.add_bootstrap(environ, folder, locations.describe_site())
    )


def complain(problem: object) -> None:
    """Say what is wrong, without the secrets that are in it."""
    # Only here, for the redaction takes longer to load than all the rest.
    from lupis_instrument._config.checks import hide_secrets

    say(hide_secrets(str(problem)))


def say(message: str) -> None:
    """Write a message to stderr, each of its lines under our name."""
    text = "".join(f"lupis-run: {line}\n" for line in message.splitlines())
    try:
        sys.stderr.write(text)
        sys.stderr.flush()  # before 3.9 it is buffered, and an exec would drop what it holds
    except (AttributeError, OSError, ValueError):
        pass  # stderr is closed or full: the program has to start all the same
