"""The rooms of the package, floor by floor, and the imports between them.

    python tests/architecture.py     # prints the table that docs/architecture.md shows

`test_architecture.py` checks the imports by this table.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import Iterator, NamedTuple

PACKAGE = Path(__file__).resolve().parents[1] / "lupis_instrument"


class Room(NamedTuple):
    """One module or folder at the top of the package, or one folder of `_llm`.

    Attributes:
        name: its path below the package.
        job: its purpose, for the documentation.
        pure: whether it may import neither OpenTelemetry nor an HTTP client, do no I/O and read
            no environment.
    """

    name: str
    job: str
    pure: bool = False


FLOORS = (
    (
        Room("exceptions", "the errors that the package raises on purpose"),
        Room("_version", "the version"),
        Room("_diagnostics", "lines on stderr; keeps errors of this package from the program"),
        Room("_semconv", "every attribute, header and variable name"),
    ),
    (Room("_process", "living in another program's process: forks, signals, threads, imports"),),
    (Room("_redaction", "finds secrets in texts and writes the texts without them", pure=True),),
    (Room("_llm/api", "which LLM API a request goes to, and how it words its answers", pure=True),),
    (Room("_llm/conversation", "which conversation a call belongs to", pure=True),),
    (Room("_llm/usage", "token usage and other facts that a response reports", pure=True),),
    (
        Room("_llm/body", "reads the bodies of requests and responses", pure=True),
        Room("_llm/pricing", "the cost of a call in USD", pure=True),
    ),
    (Room("_config", "the table of settings, their types, and `LupisConfig`"),),
    (
        Room("_tracing", "spans from their start to their export; `stages/` edits ended spans"),
        Room("_export", "takes ended spans out: OTLP over HTTP, the SQLite store, the summary"),
    ),
    (Room("_instrumentation", "wraps the HTTP clients; `clients/` has one adapter for each"),),
    (Room("_query", "questions to recorded data"),),
    (Room("_runtime", "starts and stops everything in one process"),),
    (Room("_earlier_api", "classes and methods for programs written for lupislabs 1.0"),),
    (
        Room("sdk", "`LupisSDK`, the optional in-code API"),
        Room("_viewer", "`lupis ui`: the local web page, its JSON API, and an OTLP receiver"),
    ),
    (
        Room("_cli", "the commands: `run/` is `lupis-run`, `lupis/` is `lupis`"),
        Room("testing", "captures spans and events in tests of your own"),
    ),
    (
        Room("__init__", "the public names"),
        Room("_pytest_plugin", "the fixture and the report for pytest"),
    ),
    (
        Room("__main__", "`python -m lupis_instrument`"),
        Room("_lupislabs", "the second import name"),
    ),
)
"""From the lowest floor to the highest: a room imports from lower floors, or from itself."""

ROOMS = {room.name: room for rooms in FLOORS for room in rooms}
FLOOR_OF = {room.name: number for number, rooms in enumerate(FLOORS) for room in rooms}


MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
"""Path of each module below the package, without `.py`, and its file."""


def room_of(module: str) -> str:
    """Return the room of a module such as `_llm/api/providers`; "" where the table lacks it."""
    parts = module.split("/")
    names = ("/".join(parts[:2]), parts[0])
    return next((name for name in names if name in ROOMS), "")


@functools.lru_cache(maxsize=None)
def tree_of(module: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=None)
def imports_of(module: str) -> list[tuple]:
    """Return the imports of a module: the dotted name, and whether outside of functions."""
    return list(find_imports(module))


def find_imports(module: str) -> Iterator[tuple]:
    """Yield the same imports."""
    path, tree = MODULES[module], tree_of(module)
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    package = ["lupis_instrument", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *filter(None, [node.module])])
            names = [f"{start}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, node not in inside


def modules_imported(module: str) -> Iterator[str]:
    """Yield the modules of this package that a module imports, type-only imports included."""
    for name, _ in imports_of(module):
        head, _, rest = name.partition(".")
        if head != "lupis_instrument":
            continue
        path = rest.replace(".", "/") if rest else ""
        candidates = (path, f"{path}/__init__", path.rpartition("/")[0])
        candidates = (*candidates, f"{candidates[2]}/__init__" if candidates[2] else "__init__")
        target = next((candidate for candidate in candidates if candidate in MODULES), None)
        if target is not None and target != module:
            yield target


def format_table() -> str:
    """Return the floors as a Markdown table, the highest first."""
    lines = ["| floor | room | job |", "|---|---|---|"]
    for number, rooms in reversed(list(enumerate(FLOORS))):
        lines += [f"| {number} | `{room.name}` | {room.job} |" for room in rooms]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(format_table(), end="")
