"""`lupis doctor`: checks what would be recorded in this environment, and why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lupis_instrument._cli.lupis.doctor_checks import CheckResult


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="The output format.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def doctor(form: str, command: tuple[str, ...]) -> None:
    """Check what lupis-run would record here.

    Exits with 1 if something is wrong.

    Add a command after `--`, as in `lupis doctor -- python my_agent.py`, to check this command
    and its interpreter. The command itself does not run.
    """
    from lupis_instrument._cli.lupis.doctor_checks import examine_environment

    results = examine_environment(command)
    click.echo(_format_json(results) if form == "json" else _format_text(results))
    raise SystemExit(any(result.wrong for result in results))


def _format_text(results: list[CheckResult]) -> str:
    """Return a line for each result, under a heading for each topic."""
    width = max(len(result.name) for result in results)
    lines = []
    topic = ""
    for result in results:
        if result.topic != topic:
            topic = result.topic
            lines.append(click.style(topic, bold=True))
        mark = click.style("wrong", fg="red") if result.wrong else "ok   "
        lines.append(f"  {mark}  {result.name:{width}}  {result.text}")
    return "\n".join(lines)


def _format_json(results: list[CheckResult]) -> str:
    return json.dumps([result._asdict() for result in results], indent=2)
