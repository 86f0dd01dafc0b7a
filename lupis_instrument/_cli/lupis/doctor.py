"""`lupis doctor`: checks whether lupis-run would record the calls made in this environment."""

from __future__ import annotations

import click

from lupis_instrument._cli.lupis.rows import make_format_option


@click.command()
@make_format_option("text", "json")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def doctor(form: str, command: tuple[str, ...]) -> None:
    """Check whether lupis-run would record your LLM calls here.

    Exits with 1 if something is wrong.

    Add a command after `--`, as in `lupis doctor -- python my_agent.py`, to check this command
    and its interpreter. The command itself does not run.
    """
    from lupis_instrument._cli.lupis.doctor_checks import examine_environment
    from lupis_instrument._cli.lupis.doctor_results import format_json, format_text

    results = examine_environment(command)
    click.echo(format_json(results) if form == "json" else format_text(results))
    raise SystemExit(any(result.wrong for result in results))
