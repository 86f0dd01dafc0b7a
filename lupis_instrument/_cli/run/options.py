"""The options of `lupis-run`, made from the table of settings."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn, Sequence

import click

from lupis_instrument._cli.run import launcher as _launcher
from lupis_instrument._cli.run.listing import FORMATS
from lupis_instrument._config import checks as _setting_checks
from lupis_instrument._config import settings as _settings
from lupis_instrument._semconv import ENV_LAUNCHER_SITE
from lupis_instrument._version import __version__
from lupis_instrument.exceptions import LupisConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

    from lupis_instrument._config.setting import Setting

_HELP = """Run COMMAND, any program that starts Python somewhere, and show what its LLM calls did.

COMMAND and its environment are passed on as they are, but for variables that instrument the
Python processes among them. An option wins over its variable, a variable over what the program
configures itself.

\b
  lupis-run python my_agent.py
  lupis-run --project-id shop uvicorn app:app
  lupis-run -m my_package.agent
"""


class SettingOption(click.Option):
    """The option of one setting."""

    def __init__(self, row: Setting) -> None:
        negation = f"/--no-{row.option[2:]}" if row.kind.is_flag else ""
        many = row.kind.repeatable
        super().__init__(
            [row.option + negation, row.name],
            default=None,
            multiple=many,
            is_flag=row.kind.is_flag,
            metavar=None if row.kind.is_flag else row.kind.metavar,
            help=f"{row.meaning} [{row.variable}; default: {row.default_shown}]",
        )
        self.row = row

    def read(self, context: click.Context) -> str | None:
        """The text that its variable shall have; None where the option is not given."""
        source = context.get_parameter_source(self.row.name)
        if source is not click.core.ParameterSource.COMMANDLINE:
            return None
        value = context.params[self.row.name]
        if self.row.kind.is_flag:
            return "true" if value else "false"
        return self.row.kind.join(value) if self.row.kind.repeatable else str(value)


class GroupedCommand(click.Command):
    """A command whose help lists the settings' options under the headings of their groups."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options; what is said of a wrong one holds no secret."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            message = _setting_checks.hide_secrets(error.format_message())
            raise click.UsageError(message, error.ctx or ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section a group; the options that are no settings come first."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for option in self.get_params(ctx):
            group = option.row.group if isinstance(option, SettingOption) else "Options"
            record = option.get_help_record(ctx)
            if record and isinstance(option, click.Option):
                sections.setdefault(group, []).append(record)
        for group, records in sections.items():
            with formatter.section(group):
                formatter.write_dl(records)


def main(arguments: Sequence[str]) -> NoReturn:
    """Do what `arguments` say, and end with the exit status."""
    _COMMAND.main(list(arguments), prog_name="lupis-run")


def _run(
    module: bool, print_env: bool, format_name: str, command: tuple[str, ...], **_options: Any
) -> None:
    context = click.get_current_context()
    variables, labels = _read_options(context)
    environ = {**os.environ, **variables}
    if print_env and command:
        raise click.UsageError("--print-env takes no COMMAND.", context)
    if print_env:
        context.exit(_print_env(environ, labels, format_name))
    if not command:
        raise click.UsageError("Missing COMMAND.", context)
    words = _launcher.name_module_command(command) if module else list(command)
    context.exit(_launcher.launch(words, environ, labels))


def _read_options(context: click.Context) -> tuple[dict[str, str], dict[str, str]]:
    """By variable: the texts that options give them, and the options."""
    variables, labels = {}, {}
    for option in context.command.params:
        text = option.read(context) if isinstance(option, SettingOption) else None
        if text is not None and isinstance(option, SettingOption):
            variables[option.row.variable] = text
            if not option.row.kind.is_flag:  # `--x=false` is not how a flag is written
                labels[option.row.variable] = option.row.option
    return variables, labels


def _print_env(environ: Mapping[str, str], labels: Mapping[str, str], format_name: str) -> int:
    try:
        variables = list_variables(environ, labels)
    except LupisConfigError as error:
        _launcher.complain(error)
        return _launcher.WRONG_USE
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(FORMATS[format_name](variables)))
    sys.stdout.buffer.flush()
    return 0


def list_variables(environ: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """What has to be set for a program to be instrumented without the launcher.

    Settings are spelt in one line each. The run id is left out: it belongs to one launch.
    """
    reading = _launcher.read_settings(environ, labels)
    prepared = _launcher.prepare(environ)
    names = [name for name in ("PYTHONPATH", ENV_LAUNCHER_SITE) if name in prepared]
    rows = [row for row in _settings.SETTINGS if row.name in reading.given]
    return {
        **{name: prepared[name] for name in names},
        **{row.variable: row.kind.spell(reading.values[row.name]) for row in rows},
    }


def _print_version(context: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"lupis-run {__version__}")
        context.exit()


_COMMAND = GroupedCommand(
    "lupis-run",
    callback=_run,
    help=_HELP,
    context_settings={
        "allow_interspersed_args": False,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    params=[
        click.Option(
            ["-m", "module"],
            is_flag=True,
            help="COMMAND is a module, which this interpreter runs: short for python -m COMMAND.",
        ),
        click.Option(
            ["--print-env"],
            is_flag=True,
            help="Print the variables that instrument a program without lupis-run, secrets"
            " included, and end.",
        ),
        click.Option(
            ["--format", "format_name"],
            type=click.Choice(list(FORMATS)),
            default="shell",
            show_default=True,
            help="How --print-env writes them: export lines, ENV lines of a Dockerfile, the env"
            " list of a container, or an object.",
        ),
        *map(SettingOption, _settings.SETTINGS),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version and end.",
        ),
        click.Argument(["command"], nargs=-1, type=click.UNPROCESSED, metavar="COMMAND [ARGS]..."),
    ],
)
