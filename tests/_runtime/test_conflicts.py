"""What leaves no room for what we would load."""

import importlib.machinery
import sys

import pytest
from servers.comparison import Case, PairRunner

from lupis_instrument._runtime import conflicts


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder that is searched before Python's own, as a script's is."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    conflicts._search_folders.cache_clear()


def put(folder, name, text=""):
    """Writes a file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("name", ["brotlicffi.py", "brotlicffi/__init__.py", "chardet.pyc"])
def test_a_module_of_the_programs_is_named(own, name):
    """Whether file or package, source or bytecode."""
    put(own, name)
    module = name.partition("/")[0].partition(".")[0]
    assert f"{own / name} hides the module {module!r} from instrumentation" == (
        conflicts.find_hidden_module()
    )


@pytest.mark.parametrize(
    "name",
    [
        "mine.py",
        "chardet/data.txt",  # no package: what is installed wins
        "chardet.txt",
        "chardet.d/__init__.py",
        "lib/chardet.py",
        "json.py",  # Python's own is loaded, and stays
    ],
)
def test_what_hides_nothing_is_no_conflict(own, name):
    """Only what an import would load instead."""
    put(own, name)
    assert None is conflicts.find_hidden_module()


@pytest.mark.parametrize(
    "files",
    [
        ["brotlicffi.py", "brotlicffi-1.1.dist-info/METADATA"],
        ["chardet/__init__.py", "chardet/universaldetector.py"],
    ],
)
def test_a_library_of_the_programs_own_is_no_conflict(own, files):
    """`pip install --target` into its folder, or a copy."""
    for name in files:
        put(own, name, "Metadata-Version: 2.1\nName: brotlicffi\nVersion: 1.1\n")
    assert None is conflicts.find_hidden_module()


def test_what_lies_in_later_folders_is_no_conflict(tmp_path, monkeypatch):
    """Those come after Python's own, where distributions are installed."""
    put(tmp_path, "chardet.py")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert None is conflicts.find_hidden_module()


def test_folders_that_cannot_be_read_are_no_conflict(own, monkeypatch):
    """They may be missing, or be anything."""
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


def test_all_that_a_first_call_loads_is_known(tmp_path):
    """A module that is not in the table could be the program's own."""
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
    """Makes distributions, each a name, a version and what it requires, the first to be found."""

    def install(*rows):
        for name, version, *needs in rows:
            lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
            lines += [f"Requires-Dist: {each}" for each in needs]
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
def test_what_fits_is_no_conflict(installed, rows):
    """Nor is what is missing, or needed elsewhere only."""
    installed(LUPIS, *rows)
    assert None is conflicts.find_misfit()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [("aa", "1.9")],
            "aa 1.9 of this environment does not fit: lupis-instrument 1 needs aa>=2",
        ),
        ([("aa", "2", "dd==0.66b1"), ("dd", "0.66b2")], "dd 0.66b2 of this environment does not"),
    ],
)
def test_what_fits_not_is_named(installed, rows, said):
    """With what it doesn't fit."""
    installed(LUPIS, *rows)
    assert conflicts.find_misfit().startswith(said)
