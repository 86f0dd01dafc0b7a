"""Modules and packages of the program that conflict with the needed ones."""

import importlib.machinery
import sys

import pytest
from servers.comparison import Case, PairRunner

from lupis_instrument._runtime import conflicts


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder before Python's own on the path, like the folder of a script."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    conflicts._search_folders.cache_clear()


def put(folder, name, text=""):
    """Writes a file, and makes its folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("name", ["brotlicffi.py", "brotlicffi/__init__.py", "chardet.pyc"])
def test_a_hiding_module_is_named(own, name):
    """A file or a package, source or bytecode."""
    put(own, name)
    module = name.partition("/")[0].partition(".")[0]
    assert f"{own / name} hides the module {module!r} from instrumentation" == (
        conflicts.find_hidden_module()
    )


@pytest.mark.parametrize(
    "name",
    [
        "mine.py",
        "chardet/data.txt",  # no package: the installed one is imported
        "chardet.txt",
        "chardet.d/__init__.py",
        "lib/chardet.py",
        "json.py",  # the module of Python is loaded already
    ],
)
def test_other_files_are_no_conflict(own, name):
    """An import would not load them instead of a needed module."""
    put(own, name)
    assert None is conflicts.find_hidden_module()


@pytest.mark.parametrize(
    "files",
    [
        ["brotlicffi.py", "brotlicffi-1.1.dist-info/METADATA"],
        ["chardet/__init__.py", "chardet/universaldetector.py"],
    ],
)
def test_a_copy_of_the_library_is_no_conflict(own, files):
    """From `pip install --target` into the program's folder, for example."""
    for name in files:
        put(own, name, "Metadata-Version: 2.1\nName: brotlicffi\nVersion: 1.1\n")
    assert None is conflicts.find_hidden_module()


def test_files_in_later_folders_are_no_conflict(tmp_path, monkeypatch):
    """Python finds its own modules before them."""
    put(tmp_path, "chardet.py")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert None is conflicts.find_hidden_module()


def test_unreadable_folders_are_no_conflict(own, monkeypatch):
    """A folder on the path may be missing."""
    monkeypatch.setattr(sys, "path", [str(own / "missing"), *sys.path])
    assert None is conflicts.find_hidden_module()


LOADED = """
import sys
import calls
before = set(sys.modules)
calls.call("a")
if "lupis_instrument" in sys.modules:
    from lupis_instrument import LupisSDK
    LupisSDK.get_instance().flush(30)
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def test_the_table_has_all_modules_that_a_first_call_loads(tmp_path):
    """A module that it lacks could be a file of the program."""
    case = Case(LOADED, "a")
    names = set(PairRunner({"": case}, tmp_path)("")[1].behaviour.stdout[-1].split())
    path = [folder for folder in sys.path if "site-packages" in folder or "lib/python" in folder]
    files = {
        name
        for name in names
        if (spec := importlib.machinery.PathFinder.find_spec(name, path)) is not None
        and str(spec.origin).endswith(".py")
    }
    assert "wrapt" in files
    assert set() == {name for name in files - conflicts.NEEDED_MODULES if not name.startswith("_")}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs distributions: each row is a name, a version and the requirements."""

    def install(*rows):
        for name, version, *needs in rows:
            lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
            lines += [f"Requires-Dist: {need}" for need in needs]
            put(
                tmp_path, f"{name.replace('-', '_')}-{version}.dist-info/METADATA", "\n".join(lines)
            )

    monkeypatch.syspath_prepend(str(tmp_path))
    conflicts.find_misfit.cache_clear()
    yield install
    conflicts.find_misfit.cache_clear()


LUPIS = ("lupis-instrument", "1", "aa>=2", "click>=8", 'bb; extra == "x"', "cc; python_version<'3'")


@pytest.mark.parametrize(
    "rows",
    [
        [("aa", "2.0")],
        [("aa", "3.0b1", "dd~=1.4"), ("dd", "1.45.1")],
        [("aa", "2", "lupis-instrument")],  # a circle
        [("aa", "2"), ("click", "3.0"), ("bb", "0"), ("cc", "0")],
        [],
    ],
)
def test_fitting_packages_are_no_conflict(installed, rows):
    """Nor are missing ones, or requirements of other environments."""
    installed(LUPIS, *rows)
    assert None is conflicts.find_misfit()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [("aa", "1.9")],
            "aa 1.9 of this environment does not fit: lupis-instrument 1 needs aa>=2",
        ),
        ([("aa", "2", "dd==0.66b1"), ("dd", "0.66b2")], "dd 0.66b2 of this environment does not"),
    ],
)
def test_an_unfit_package_is_named(installed, rows, sentence):
    """The sentence names the requirement too."""
    installed(LUPIS, *rows)
    assert conflicts.find_misfit().startswith(sentence)
