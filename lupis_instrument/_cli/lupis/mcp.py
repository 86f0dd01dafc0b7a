"""`lupis mcp`: answers the questions of coding agents about recorded calls, over standard streams.

Each tool runs a command of `lupis` that only reads, with `--format json`: agents and people get the
same figures. https://modelcontextprotocol.io
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from functools import wraps
from importlib import import_module
from io import StringIO
from threading import Lock
from typing import Any, Callable, Literal, Sequence

import click

_MISSING = (
    "lupis mcp needs the package mcp, with Python 3.10 or newer:"
    " pip install 'lupis-instrument[mcp]'"
)
_INSTRUCTIONS = (
    "LLM calls that lupis-run recorded on this machine. A run is one launch of a program. Run ids"
    " may be shortened; the run `last` is the newest. Costs are USD, and null where unknown."
)
_SERVERS = (("mcp.server.mcpserver", "MCPServer"), ("mcp.server.fastmcp", "FastMCP"))
"""The class of a server in version 2 and in version 1 of the package."""
_ORDERS = {"slowest": "--slowest", "dearest": "--dearest"}
_stdout_lock = Lock()


class QuestionError(Exception):
    """A question can't be answered; the message is for the agent."""


def run_command(name: str, arguments: Sequence[str]) -> str:
    """Return the JSON that a command of `lupis` prints.

    Raises:
        QuestionError: the command refuses the arguments, or can't read the store.
    """
    module = import_module(f"lupis_instrument._cli.lupis.{name}")
    command: click.Command = getattr(module, name)
    output = StringIO()
    # One command at a time: they write to the one stream of this process.
    with _stdout_lock, redirect_stdout(output):
        try:
            command.main(
                ["--format", "json", *arguments], prog_name=f"lupis {name}", standalone_mode=False
            )
        except click.ClickException as error:
            raise QuestionError(error.format_message()) from None
    return output.getvalue()


def _give_option(name: str, value: object) -> list[str]:
    return [] if value is None else [f"--{name}={value}"]


def list_runs(limit: int = 20, project: str | None = None) -> str:
    """List the newest runs: id, time, command, calls, errors, tokens and cost."""
    return run_command("runs", [f"--limit={limit}", *_give_option("project", project)])


def report_totals(
    by: str = "model",
    run: str | None = None,
    since: str | None = None,
    filter: str | None = None,  # noqa: A002
) -> str:
    """Add up calls, errors, tokens, cost and times.

    Args:
        by: the property that groups the calls, or several with commas between them: model,
            provider, operation, project, service, user, session, chat, run, day, hour, host, error,
            status or tag.KEY.
        run: the id of a run, or `last`; all runs if it is left out.
        since: the start of the period, such as 1h, 7d or 2026-11-30.
        filter: such as `model:gpt-4o error cost>0.01`.
    """
    arguments = [f"--by={name.strip()}" for name in by.split(",")]
    arguments += [
        *_give_option("run", run),
        *_give_option("since", since),
        *_give_option("filter", filter),
    ]
    return run_command("report", arguments)


def list_calls(  # noqa: PLR0917 - an agent passes names
    run: str | None = None,
    order: Literal["newest", "slowest", "dearest"] = "newest",
    errors: bool = False,
    retried: bool = False,
    repeated: bool = False,
    filter: str | None = None,  # noqa: A002
    limit: int = 20,
) -> str:
    """List LLM calls: model, tokens, cost, time, error, trace and conversation.

    Args:
        run: the id of a run, or `last`; all runs if it is left out.
        order: the calls that come first.
        errors: whether to list only failed calls.
        retried: whether to list only retries of an earlier request.
        repeated: whether to list identical requests that were sent more than once, and their cost.
        filter: such as `model:gpt-4o error cost>0.01`.
        limit: the number of calls.
    """
    flags = {"--errors": errors, "--retried": retried, "--repeated": repeated}
    arguments = [*_give_option("run", run), *(flag for flag, wanted in flags.items() if wanted)]
    arguments += [f"{_ORDERS[order]}={limit}"] if order in _ORDERS else []
    arguments += [f"--limit={limit}", *_give_option("filter", filter)]
    return run_command("calls", arguments)


def show_spans(id: str = "last") -> str:  # noqa: A002
    """Show the spans of a run, a trace or a conversation by its id; `last` is the newest run."""
    return run_command("show", ["--run=last"] if id == "last" else ["--", id])


def compare_runs(before: str, after: str) -> str:
    """Compare two runs by model: calls, tokens, cost, time and errors.

    Args:
        before: the id of a run.
        after: the id of another run, or `last`.
    """
    return run_command("diff", ["--", before, after])


def list_limits(run: str | None = None) -> str:
    """Show how much of their rate limits the providers last reported as left."""
    return run_command("limits", _give_option("run", run))


TOOLS: tuple[Callable[..., str], ...] = (
    list_runs,
    report_totals,
    list_calls,
    show_spans,
    compare_runs,
    list_limits,
)
"""The tools; their names, parameters and docstrings are the descriptions that agents read."""


def make_server() -> Any:
    """Return the server with all tools.

    Raises:
        ImportError: the package mcp is not installed.
    """
    package, name = _find_package()
    # At the default level, the package writes lines about each request to stderr.
    server = getattr(import_module(package), name)(
        "lupis", instructions=_INSTRUCTIONS, log_level="ERROR"
    )
    error_class = import_module(f"{package}.exceptions").ToolError
    annotations = import_module("mcp.types").ToolAnnotations
    read_only = annotations(readOnlyHint=True, openWorldHint=False)
    for tool in TOOLS:
        # A structured output would be the same JSON again, as one text.
        server.tool(annotations=read_only, structured_output=False)(
            _convert_errors(tool, error_class)
        )
    return server


def _find_package() -> tuple[str, str]:
    for package, name in _SERVERS:
        try:
            import_module(package)
        except ImportError:
            continue  # the other version may be installed
        return package, name
    raise ImportError("no known version of mcp")


def _convert_errors(tool: Callable[..., str], error_class: type[Exception]) -> Callable[..., str]:
    """Return a tool whose errors the package marks as such for the agent, without a traceback."""

    @wraps(tool)
    def answer_question(**arguments: Any) -> str:
        try:
            return tool(**arguments)
        except QuestionError as error:
            raise error_class(str(error)) from None

    return answer_question


@click.command()
def mcp() -> None:
    """Answer the questions of a coding agent (MCP, standard streams).

    An agent starts this command itself: add `lupis mcp` to its list of MCP servers.
    """
    try:
        server = make_server()
    except ImportError:
        raise click.ClickException(_MISSING) from None
    if sys.stdin.isatty():
        click.echo("lupis: waiting for a client on standard input; Ctrl+C ends", err=True)
    server.run()
