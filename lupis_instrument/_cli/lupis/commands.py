"""`lupis`: what one wants to know around a run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

from lupis_instrument._version import __version__

if TYPE_CHECKING:
    from lupis_instrument._cli.lupis.doctor import Finding

# Each in the module of its name, loaded when it is asked for.
_COMMANDS = ("report", "traces", "show", "tail", "flush", "export", "prune", "redact")


class _Lupis(click.Group):
    """The commands that have a module of their own, and those below."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"lupis_instrument._cli.lupis.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=_Lupis, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lupis")
def lupis() -> None:
    """Look into what lupis-run records."""


@lupis.command()
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def doctor(style: str, command: tuple[str, ...]) -> None:
    """Check what would be recorded here, and why not; exits with 1 if something is wrong.

    After `--` comes a command, as in `lupis doctor -- python my_agent.py`: what would happen to it
    is told without running it.
    """
    from lupis_instrument._cli.lupis.doctor import examine

    findings = examine(command)
    click.echo(_as_json(findings) if style == "json" else _as_text(findings))
    raise SystemExit(any(finding.wrong for finding in findings))


@lupis.command()
@click.argument("model", required=False)
@click.option("--provider", help="Its name in spans, or the catalogue's; by default all.")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table")
def prices(model: str | None, provider: str | None, style: str) -> None:
    """Show what MODEL costs; without MODEL, which providers' or which models' prices are known.

    Exits with 1 if the model or the provider is not known.
    """
    from lupis_instrument._cli.lupis import prices as lists

    try:
        if model:
            rows = lists.find_prices(model, provider)
        else:
            rows = lists.list_models(provider) if provider else lists.list_providers()
    except lists.Missing as missing:
        raise click.ClickException(str(missing)) from None
    click.echo(lists.show_json(rows) if style == "json" else lists.show_table(rows))


def _as_text(findings: list[Finding]) -> str:
    width = max(len(finding.name) for finding in findings)
    lines = []
    topic = ""
    for finding in findings:
        if finding.topic != topic:
            topic = finding.topic
            lines.append(click.style(topic, bold=True))
        mark = click.style("wrong", fg="red") if finding.wrong else "ok   "
        lines.append(f"  {mark}  {finding.name:{width}}  {finding.text}")
    return "\n".join(lines)


def _as_json(findings: list[Finding]) -> str:
    import json

    return json.dumps([finding._asdict() for finding in findings], indent=2)
