"""The group `lupis` and its subcommands."""

from __future__ import annotations

from importlib import import_module

import click

from lupis_instrument._version import __version__

_COMMANDS = (
    "report",
    "traces",
    "show",
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


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lupis")
def lupis() -> None:
    """Show the LLM calls that lupis-run recorded."""
