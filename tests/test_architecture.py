"""The rules of the house that a reader cannot check at a glance; `architecture.py` has their table."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from architecture import (
    FLOOR_OF,
    MODULES,
    ROOMS,
    format_table,
    imports_of,
    modules_imported,
    room_of,
    tree_of,
)
from servers.rows import check_rows

CLIENTS = {
    "requests",
    "urllib3",
    "httpx",
    "httpx2",
    "aiohttp",
    "websockets",
    "http",
    "urllib.request",
    "socket",
}
IMPURE = {"opentelemetry", "os", "io", "pathlib", "logging", *CLIENTS}

LAUNCHER_ROOMS = {"exceptions", "_version", "_diagnostics", "_semconv", "_process", "_config"}
"""The rooms that `lupis-run` may import: it loads no OpenTelemetry before it becomes the command."""

LOADED_AT_EVERY_START = (
    "_config/clients",
    "_diagnostics",
    "_instrumentation/import_hook",
    "_process/fork",
    "_process/import_lock",
    "_runtime/bootstrap",
    "exceptions",
)

ROOM_PACKAGES = {name.split("/")[0] for name in ROOMS if "/" in name}


def test_every_module_belongs_to_a_room():
    """The table lists the room of each module."""
    assert [] == [
        module
        for module in MODULES
        if not room_of(module) and module.partition("/")[0] not in ROOM_PACKAGES
    ]


def test_imports_point_down():
    """A module imports from lower floors or from its own room; there are no exceptions."""
    assert [] == [
        (module, imported)
        for module in MODULES
        if room_of(module)  # the other modules are shared by the rooms of their folder
        for imported in modules_imported(module)
        if room_of(imported)
        and room_of(imported) != room_of(module)
        and FLOOR_OF[room_of(imported)] >= FLOOR_OF[room_of(module)]
    ]


def test_there_are_no_import_circles():
    """Neither of modules that import each other, nor of imports for types only."""
    graph = {module: set(modules_imported(module)) - {"__init__"} for module in MODULES}
    graph = {
        module: {name for name in targets if not name.endswith("/__init__")}
        for module, targets in graph.items()
    }
    circles = []
    for start in graph:
        seen, todo = set(), list(graph[start])
        while todo:
            module = todo.pop()
            if module not in seen:
                seen.add(module)
                todo += graph.get(module, ())
        if start in seen:
            circles.append(start)
    assert [] == circles


def modules_in(*folders):
    """Returns the modules in some folders."""
    return [module for module in MODULES if module.startswith(folders)]


def test_the_launcher_sees_settings_and_below():
    """No OpenTelemetry is loaded before the launcher becomes the command."""

    def check(module):
        rooms = {room_of(imported) for imported in modules_imported(module)}
        assert set() == rooms - LAUNCHER_ROOMS - {"_cli", ""}
        assert [] == [
            imported for imported in modules_imported(module) if imported.startswith("_cli/lupis")
        ]
        assert [] == [name for name, _ in imports_of(module) if name.startswith("opentelemetry")]

    check_rows(check, modules_in("_cli/run/"))


def test_queries_know_no_terminal():
    """The web viewer asks the same questions as the commands."""
    assert [] == [
        (module, name)
        for module in modules_in("_query")
        for name, _ in imports_of(module)
        if name.split(".")[0] in {"click", "rich"}
    ]


def test_pure_rooms_do_no_io():
    """They import neither OpenTelemetry nor an HTTP client, no files and no environment."""
    assert [] == [
        (module, name)
        for module in modules_in("_llm", "_redaction")
        for name, _ in imports_of(module)
        if any(f"{name}.".startswith(f"{impure}.") for impure in IMPURE)
    ]


@pytest.mark.parametrize("module", LOADED_AT_EVERY_START)
def test_modules_loaded_at_every_start_import_little(module):
    """Only modules that the interpreter has loaded already, and modules of this package."""
    allowed = {"__future__", "_thread", "atexit", "os", "sys", "lupis_instrument"}
    imported = {name.split(".")[0] for name, at_top in imports_of(module) if at_top}
    typing_only = {"types", "typing", "importlib"}
    assert set() == imported - allowed - typing_only


def test_every_module_says_its_job():
    """The first paragraph of its docstring is a sentence; `_version` is a constant alone."""

    def check(module):
        text = ast.get_docstring(tree_of(module))
        assert text
        assert text.split("\n\n")[0].rstrip().endswith((".", ":"))

    check_rows(check, [module for module in MODULES if module != "_version"])


def list_attribute_names(tree):
    """Returns the literals like "gen_ai.…" and "lupis.…" outside docstrings."""
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documentation
        and node.value.startswith(("gen_ai.", "lupis."))
        and not node.value.endswith(".")
        and " " not in node.value
    ]


def test_attribute_names_stand_in_one_place():
    """They are constants of `_semconv`; a namespace is no name."""
    names = {module: list_attribute_names(tree_of(module)) for module in MODULES}
    assert {"_semconv"} == {module for module in MODULES if names[module]}


def test_nothing_is_printed():
    """Standard output belongs to the program."""
    assert [] == [
        (module, node.lineno)
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]


ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
CALL_PATH = ROOT / ".ci" / "call_path.py"


def test_the_documentation_has_the_table_of_rooms():
    """`make docs` writes it."""
    written = PAGE.read_text(encoding="utf-8").partition("<!-- rooms: ")[2].partition("\n")[2]
    assert format_table() == written.partition("<!-- rooms end -->")[0]


@pytest.mark.skipif(not CALL_PATH.exists(), reason="the sources came without .ci")
def test_the_path_of_a_call_is_short():
    """A later call by httpx enters at most 45 files, with at most 200 moves between them."""
    done = subprocess.run(
        [sys.executable, str(CALL_PATH)], check=True, capture_output=True, encoding="utf-8"
    )
    files, moves = re.fullmatch(
        r"(\d+) files, \d+ functions, (\d+) moves between files\n", done.stdout
    ).groups()
    assert int(files) <= 45
    assert int(moves) <= 200


@pytest.mark.skipif(not CALL_PATH.exists(), reason="the sources came without .ci")
def test_the_documented_path_of_a_call_names_files_that_exist():
    """`make docs` writes the list."""
    written = PAGE.read_text(encoding="utf-8").partition("<!-- path: ")[2]
    files = re.findall(r"^\d+\. `(.*?)`$", written.partition("<!-- path end -->")[0], re.MULTILINE)
    assert [] == [file for file in files if file[: -len(".py")] not in MODULES]
    assert 30 < len(files)
