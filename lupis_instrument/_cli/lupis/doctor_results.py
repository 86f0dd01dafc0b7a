"""The results of the checks of `lupis doctor`, as text and as JSON."""

from __future__ import annotations

import json
from typing import NamedTuple

import click

from lupis_instrument._diagnostics import escape_controls


class CheckResult(NamedTuple):
    """One line of the report.

    Attributes:
        topic: the heading above the line.
        name: the name of the checked thing.
        text: the result; never a secret.
        wrong: whether the result keeps something from working.
    """

    topic: str
    name: str
    text: str
    wrong: bool = False


def format_text(results: list[CheckResult]) -> str:
    """Return a line for each result, under a heading for each topic."""
    results = [
        result._replace(name=escape_controls(result.name), text=escape_controls(result.text))
        for result in results
    ]
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


def format_json(results: list[CheckResult]) -> str:
    """Return the results as a JSON list."""
    return json.dumps([result._asdict() for result in results], indent=2)
