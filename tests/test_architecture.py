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


@pytest.mark.parametrize("module", MODULES)
def test_every_module_belongs_to_a_room(module):
    """The table lists the room of each module."""
    assert room_of(module) or module.partition("/")[0] in ROOM_PACKAGES


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    """A module imports from lower floors or from its own room; there are no exceptions."""
    room = room_of(module)
    if not room:
        pytest.skip("shared by the rooms of its folder")
    wrong = [
        imported
        for imported in modules_imported(module)
        if room_of(imported)
        and room_of(imported) != room
        and FLOOR_OF[room_of(imported)] >= FLOOR_OF[room]
    ]
    assert [] == wrong


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


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("_cli/run/")])
def test_the_launcher_sees_settings_and_below(module):
    """No OpenTelemetry is loaded before the launcher becomes the command."""
    rooms = {room_of(imported) for imported in modules_imported(module)}
    assert set() == rooms - LAUNCHER_ROOMS - {"_cli", ""}
    assert [] == [
        imported for imported in modules_imported(module) if imported.startswith("_cli/lupis")
    ]
    assert [] == [name for name, _ in imports_of(module) if name.startswith("opentelemetry")]


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("_query")])
def test_queries_know_no_terminal(module):
    """The web viewer asks the same questions as the commands."""
    names = [name.split(".")[0] for name, _ in imports_of(module)]
    assert set() == {"click", "rich"} & set(names)


@pytest.mark.parametrize(
    "module", [name for name in MODULES if name.startswith(("_llm", "_redaction"))]
)
def test_pure_rooms_do_no_io(module):
    """They import neither OpenTelemetry nor an HTTP client, no files and no environment."""
    names = [name for name, _ in imports_of(module)]
    assert [] == [
        name for name in names if any(f"{name}.".startswith(f"{impure}.") for impure in IMPURE)
    ]


@pytest.mark.parametrize("module", LOADED_AT_EVERY_START)
def test_modules_loaded_at_every_start_import_little(module):
    """Only modules that the interpreter has loaded already, and modules of this package."""
    allowed = {"__future__", "_thread", "atexit", "os", "sys", "lupis_instrument"}
    imported = {name.split(".")[0] for name, at_top in imports_of(module) if at_top}
    typing_only = {"types", "typing", "importlib"}
    assert set() == imported - allowed - typing_only


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_its_job(module):
    """The first paragraph of its docstring is a sentence."""
    text = ast.get_docstring(tree_of(module))
    if module == "_version" and text is None:
        pytest.skip("one constant, read by the build backend")
    assert text
    assert text.split("\n\n")[0].rstrip().endswith((".", ":"))


@pytest.mark.parametrize("module", [name for name in MODULES if name != "_semconv"])
def test_attribute_names_stand_in_one_place(module):
    """Literals like "gen_ai.…" and "lupis.…" are constants of `_semconv`; a namespace is no name."""
    tree = tree_of(module)
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    literals = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documentation
        and node.value.startswith(("gen_ai.", "lupis."))
        and not node.value.endswith(".")
        and " " not in node.value
    ]
    assert [] == literals


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_printed(module):
    """Standard output belongs to the program."""
    tree = tree_of(module)
    calls = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert [] == calls


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
