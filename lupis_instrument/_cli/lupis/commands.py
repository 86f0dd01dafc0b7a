"""The group `lupis` and its subcommands."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Iterable, Iterator

import click

from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._version import __version__

_COMMANDS = (
    "ui",
    "runs",
    "report",
    "calls",
    "traces",
    "show",
    "diff",
    "check",
    "limits",
    "tail",
    "flush",
    "export",
    "prune",
    "redact",
    "doctor",
    "prices",
    "mcp",
)
"""The subcommands, in the order of the help. Each is a function in the module of its name."""


class _LazyGroup(click.Group):
    """A group that imports the module of a subcommand when the subcommand is used."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with _cleaned_errors():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _cleaned_errors():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        return [*_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"lupis_instrument._cli.lupis.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the arguments; the message about a wrong one names similar ones."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            similar = suggest_names(args[0], _COMMANDS)
            if not similar or "Did you mean" in error.message:
                raise
            message = f"{error.message.rstrip('.')}. Did you mean {similar}?"
            raise click.UsageError(message, ctx) from None


@contextmanager
def _cleaned_errors() -> Iterator[None]:
    """Escape control characters in the messages of click's errors, which quote arguments."""
    try:
        yield
    except click.ClickException as error:
        # Click's list of choices has one line for each; other messages about arguments have one.
        has_lines = isinstance(error, click.MissingParameter)
        has_lines = has_lines or not isinstance(error, click.UsageError)
        lines = error.message.split("\n") if has_lines else [error.message]
        # Newer releases of click type the attribute as final.
        vars(error)["message"] = "\n".join(escape_controls(line.expandtabs()) for line in lines)
        raise


def suggest_names(name: str, known: Iterable[str]) -> str:
    """Return the names that are most similar to a mistyped one; empty without any."""
    from difflib import get_close_matches

    return " or ".join(get_close_matches(name, [*known], n=2))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lupis")
@click.option("--data-dir", metavar="DIR", help="The folder of the store, as LUPIS_DATA_DIR.")
def lupis(data_dir: str | None) -> None:
    """Show the LLM calls that lupis-run recorded."""
    if data_dir is not None:
        os.environ["LUPIS_DATA_DIR"] = data_dir
