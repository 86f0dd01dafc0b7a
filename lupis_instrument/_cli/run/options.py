"""The options of `lupis-run`, made from the table of settings."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn, Sequence

import click

from lupis_instrument._cli.run import start
from lupis_instrument._cli.run.flag_options import add_values, name_negation
from lupis_instrument._cli.run.listing import FORMATS
from lupis_instrument._cli.run.messages import report_problem
from lupis_instrument._config.settings import SETTINGS, hide_password, hide_secrets
from lupis_instrument._semconv import ENV_LAUNCHER_SITE
from lupis_instrument._version import __version__
from lupis_instrument.exceptions import LupisConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

    from click.shell_completion import CompletionItem

    from lupis_instrument._config.settings import Setting

_HELP = """Run COMMAND and record the LLM calls of the Python programs that it starts.

COMMAND is any command that runs Python. Its arguments and its environment stay the same, except
for the variables that instrument Python processes. An option takes precedence over its
environment variable, and that takes precedence over the configuration in your code. Boolean
options take a value only after an equals sign: --summary, --no-summary or --summary=auto.

\b
  lupis-run python my_agent.py
  lupis-run --project-id shop uvicorn app:app
  lupis-run -m my_package.agent
"""


class SettingOption(click.Option):
    """The option of one setting.

    Attributes:
        row: the setting's row of the table.
    """

    def __init__(self, row: Setting) -> None:
        super().__init__(
            [row.option, row.name],
            default=None,
            multiple=row.value_type.repeatable,
            metavar=row.value_type.metavar,
            help=f"{row.description} [{row.variable}; default: {row.default_text}]",
        )
        self.row = row

    def read_text(self, context: click.Context) -> str | None:
        """Return the text for the setting's variable; None if the option is not given."""
        # Only the command line counts: the settings read their variables and defaults themselves.
        source = context.get_parameter_source(self.row.name)
        if source is not click.core.ParameterSource.COMMANDLINE:
            return None
        value = context.params[self.row.name]
        value_type = self.row.value_type
        return value_type.join_texts(value) if value_type.repeatable else str(value)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - as click calls it
        """Return the valid words that begin with a text."""
        from click.shell_completion import CompletionItem

        words = getattr(self.row.value_type, "words", ())  # few types have a list
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option as it is written, and its help."""
        record = super().get_help_record(ctx)
        if record is None or not self.row.value_type.is_flag:
            return record
        option = self.row.option
        return f"{option} / {name_negation(option)}", record[1]


class GroupedCommand(click.Command):
    """A command whose help lists the settings' options under the headings of their groups."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options; the message about a wrong one holds no secret."""
        options = [option for option in self.params if isinstance(option, click.Option)]
        flags = {
            option.row.option: option.row.value_type
            for option in options
            if isinstance(option, SettingOption) and option.row.value_type.is_flag
        }
        with_value = {name for option in options if not option.is_flag for name in option.opts}
        try:
            return super().parse_args(ctx, add_values(args, flags, with_value))
        except click.UsageError as error:
            message = hide_secrets(error.format_message())
            raise click.UsageError(message, error.ctx or ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each group, after the options that set no setting."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for option in self.get_params(ctx):
            group = option.row.group if isinstance(option, SettingOption) else "Options"
            record = option.get_help_record(ctx)
            if record and isinstance(option, click.Option):
                sections.setdefault(group, []).append(record)
        for group, records in sections.items():
            with formatter.section(group):
                formatter.write_dl(records)


def run_with_options(arguments: Sequence[str]) -> NoReturn:
    """Read the options, start the command or print, and exit with the status."""
    _COMMAND.main(list(arguments), prog_name="lupis-run")


def _run_command(
    module: bool, print_env: bool, format_name: str, command: tuple[str, ...], **_settings: Any
) -> None:
    context = click.get_current_context()
    variables, labels = _read_setting_options(context)
    environ = {**os.environ, **variables}
    if print_env and command:
        raise click.UsageError("--print-env takes no COMMAND.", context)
    if print_env:
        environ, labels = start.add_project_settings(environ, labels)
        context.exit(_print_variables(environ, labels, format_name))
    if not command:
        raise click.UsageError("Missing COMMAND.", context)
    words = start.build_module_command(command) if module else list(command)
    context.exit(start.start_command(words, environ, labels))


def _read_setting_options(context: click.Context) -> tuple[dict[str, str], dict[str, str]]:
    """Return, by variable, the texts that options set, and the names of these options."""
    variables, labels = {}, {}
    for option in context.command.params:
        text = option.read_text(context) if isinstance(option, SettingOption) else None
        if text is not None and isinstance(option, SettingOption):
            variables[option.row.variable] = text
            labels[option.row.variable] = option.row.option
    return variables, labels


def _print_variables(
    environ: Mapping[str, str], labels: Mapping[str, str], format_name: str
) -> int:
    """Print the variables for `--print-env` and return the exit status."""
    try:
        variables = list_variables(environ, labels)
    except LupisConfigError as error:
        report_problem(error)
        return start.WRONG_USE
    sys.stdout.flush()
    # Bytes, for a variable may hold some that are not text in this locale.
    text = FORMATS[format_name](variables, find_secrets(variables))
    sys.stdout.buffer.write(os.fsencode(text))
    sys.stdout.buffer.flush()
    return 0


def list_variables(environ: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that instrument a program without the launcher.

    Each setting is one line of text. The run id is left out: it belongs to one launch.

    Args:
        environ: the environment variables, with the variables that options set.
        labels: by variable, the option that set it.

    Raises:
        LupisConfigError: a value is not valid.
    """
    reading = start.read_settings(environ, labels)
    prepared = start.prepare_environment(environ)
    names = [name for name in ("PYTHONPATH", ENV_LAUNCHER_SITE) if name in prepared]
    rows = [row for row in SETTINGS if row.name in reading.given]
    return {
        **{name: prepared[name] for name in names},
        **{row.variable: row.value_type.format_value(reading.values[row.name]) for row in rows},
    }


def find_secrets(variables: Mapping[str, str]) -> set[str]:
    """Return the names of the variables that hold a secret: a setting for one, or a key in a URL.

    Args:
        variables: the variables, as `list_variables` returns them.
    """
    return {
        row.variable
        for row in SETTINGS
        if row.variable in variables and (row.secret or _has_secret(variables[row.variable]))
    }


def _has_secret(value: str) -> bool:
    return hide_password(value) != value or hide_secrets(value) != value


def _print_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"lupis-run {__version__}")
        context.exit()


_COMMAND = GroupedCommand(
    "lupis-run",
    callback=_run_command,
    help=_HELP,
    context_settings={
        "allow_interspersed_args": False,  # options after COMMAND belong to it
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    params=[
        click.Option(
            ["-m", "module"],
            is_flag=True,
            help="Run the module COMMAND with this interpreter, as python -m COMMAND does.",
        ),
        click.Option(
            ["--print-env"],
            is_flag=True,
            help="Print the variables that instrument a program without lupis-run, and exit; with"
            " secrets, except in the format k8s.",
        ),
        click.Option(
            ["--format", "format_name"],
            type=click.Choice(list(FORMATS)),
            default="shell",
            show_default=True,
            help="Format of --print-env: export lines of a shell, ENV lines of a Dockerfile, the"
            " env list of a Kubernetes container with secrets from the Secret lupis, or a JSON"
            " object.",
        ),
        *map(SettingOption, SETTINGS),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version and exit.",
        ),
        click.Argument(["command"], nargs=-1, type=click.UNPROCESSED, metavar="COMMAND [ARGS]..."),
    ],
)
