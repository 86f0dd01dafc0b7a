"""The house's rules that a reader cannot check at a glance: who imports whom, what stands where."""

import ast
from pathlib import Path

import pytest

import lupis_instrument

PACKAGE = Path(lupis_instrument.__file__).parent
SOURCES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/__init__", ""): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

FLOORS = (
    {"exceptions", "_names", "_diagnostics", "_ending", "_forking", "_loading"}
    | {"_addresses", "_conflicts", "_nudge", "_version"},
    {"_context", "_setting", "_setting_kinds", "_setting_lists", "_setting_checks", "_settings"}
    | {"_config"},
    {"_llm", "_redaction"},
    {"_ancestry", "_data_dir", "_exchange", "_prices_file", "_resource"},
    {"_chat_key"},
    {"_instrumentation", "_pipeline", "_delivery"},
    {"_launch"},
    {"_parts"},
    {"_bootstrap", "_runtime"},
    {"_activation"},
    {"sdk", "testing", "_report", "_launcher", "_distro"},
    {"__init__"},
    {"__main__", "_lupislabs"},
)
FLOOR = {part: number for number, parts in enumerate(FLOORS) for part in parts}

ONE_HOUSEHOLD = (
    {"_setting", "_setting_kinds", "_setting_lists", "_setting_checks", "_settings", "_config"},
    # The kit for tests makes the instance that programs ask for.
    {"sdk", "testing"},
    # Which host is near is told by what an address is; both stand alone otherwise.
    FLOORS[0],
)
"""Parts of one floor that are one thing in several modules."""

EXCEPTIONS = {
    ("_setting_checks", "_redaction"): "what a good pattern is, redaction alone knows",
    ("_setting_checks", "_prices_file"): "what prices are, the part that prices calls knows",
    ("_bootstrap", "_runtime"): "loaded with the first request, not before",
    ("_bootstrap", "_activation"): "the same",
    ("_report", "_launcher"): "what lupis-run would do to a command, only lupis-run knows",
    ("_runtime", "_bootstrap"): "who started it, and whether variables leave it on",
}
"""Imports that go up or sideways, and why; inside functions only, if they go up."""

LAUNCHER_SEES = FLOORS[0] | FLOORS[1] | {"_launcher"}

CLIENTS = {"requests", "urllib3", "httpx", "httpx2", "aiohttp", "http", "urllib.request", "socket"}


def part_of(module):
    """The part of the package that a module belongs to."""
    return module.split("/")[0] if module != "." else "__init__"


def imports_of(module):
    """What a module imports: (absolute dotted name, whether at its top level)."""
    path = SOURCES[module]
    tree = ast.parse(path.read_text(encoding="utf-8"))
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


def parts_imported(module):
    """The parts of this package that a module imports."""
    for name, at_top in imports_of(module):
        head, _, rest = name.partition(".")
        if head == "lupis_instrument" and rest:
            part = rest.split(".")[0]
            yield part if part in FLOOR else "__init__", at_top


@pytest.mark.parametrize("module", SOURCES)
def test_every_module_has_its_floor(module):
    """A new part of the package has its place in the table above."""
    assert part_of(module) in FLOOR


@pytest.mark.parametrize("module", SOURCES)
def test_imports_point_down(module):
    """To a lower floor, or inside one household; the exceptions are listed with their reason."""
    here = part_of(module)
    wrong = [
        part
        for part, _ in parts_imported(module)
        if part != here
        and FLOOR[part] >= FLOOR[here]
        and (here, part) not in EXCEPTIONS
        and not any({here, part} <= household for household in ONE_HOUSEHOLD)
    ]
    assert [] == wrong


@pytest.mark.parametrize(("here", "there"), EXCEPTIONS)
def test_exceptions_are_used(here, there):
    """One that isn't any more leaves the list."""
    modules = [module for module in SOURCES if part_of(module) == here]
    found = [part for module in modules for part, _ in parts_imported(module)]
    assert there in found


@pytest.mark.parametrize(("here", "there"), EXCEPTIONS)
def test_imports_that_go_up_are_lazy(here, there):
    """At import time, the floors hold without exception."""
    if FLOOR[there] > FLOOR[here] or (here, there) == ("_bootstrap", "_runtime"):
        assert [] == [part for part, at_top in parts_imported(here) if at_top and part == there]


@pytest.mark.parametrize("module", [name for name in SOURCES if part_of(name) == "_launcher"])
def test_the_launcher_sees_settings_and_below(module):
    """No OpenTelemetry is loaded before the exec."""
    assert set() == {part for part, _ in parts_imported(module)} - LAUNCHER_SEES
    assert [] == [name for name, _ in imports_of(module) if name.startswith("opentelemetry")]


PURE = [name for name in SOURCES if part_of(name) in {"_llm", "_redaction"}]


@pytest.mark.parametrize("module", PURE)
def test_pure_parts_do_no_io(module):
    """Neither OpenTelemetry nor an HTTP client, no files and no environment."""
    forbidden = {"opentelemetry", "os", "io", "pathlib", "logging", *CLIENTS}
    names = [name for name, _ in imports_of(module)]
    assert [] == [
        name for name in names if any(f"{name}.".startswith(f"{bad}.") for bad in forbidden)
    ]


@pytest.mark.parametrize("module", ["_bootstrap", "_settings", "_diagnostics", "exceptions"])
def test_what_every_start_loads_imports_little(module):
    """Only what the interpreter has loaded already, and what is ours."""
    there = {"__future__", "_thread", "atexit", "os", "sys", "lupis_instrument"}
    found = {name.split(".")[0] for name, at_top in imports_of(module) if at_top}
    typing_only = {"types", "typing", "importlib"}
    assert set() == found - there - typing_only


@pytest.mark.parametrize("module", SOURCES)
def test_every_module_says_its_job(module):
    """In a docstring whose first line is a sentence."""
    text = ast.get_docstring(ast.parse(SOURCES[module].read_text(encoding="utf-8")))
    if part_of(module) == "_version" and text is None:
        pytest.skip("one constant, read by the build backend")
    assert text
    assert text.split("\n\n")[0].rstrip().endswith((".", ":"))


@pytest.mark.parametrize("module", [name for name in SOURCES if name != "_names"])
def test_attribute_names_stand_in_one_place(module):
    """Literals like "gen_ai.…" and "lupis.…" are constants of `_names`; a namespace is no name."""
    tree = ast.parse(SOURCES[module].read_text(encoding="utf-8"))
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


@pytest.mark.parametrize("module", SOURCES)
def test_nothing_is_printed(module):
    """Standard output belongs to the program."""
    tree = ast.parse(SOURCES[module].read_text(encoding="utf-8"))
    calls = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert [] == calls
