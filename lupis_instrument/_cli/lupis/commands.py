"""The group `lupis` and its subcommands."""

from __future__ import annotations

from importlib import import_module
from typing import Iterable

import click

from lupis_instrument._version import __version__

_COMMANDS = (
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
)
"""The subcommands, in the order of the help. Each is a function in the module of its name."""


class _LazyGroup(click.Group):
    """A group that imports the module of a subcommand when the subcommand is used."""

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


def suggest_names(name: str, known: Iterable[str]) -> str:
    """Return the names that are most similar to a mistyped one; empty without any."""
    from difflib import get_close_matches

    return " or ".join(get_close_matches(name, [*known], n=2))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lupis")
def lupis() -> None:
    """Show the LLM calls that lupis-run recorded."""
