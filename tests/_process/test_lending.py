"""The launcher's packages, lent to a program in another environment."""

import importlib.metadata
import sys

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._process import lending, lending_closure


@pytest.fixture
def site(tmp_path):
    """A folder of packages: `put` writes one of them, and its files, into it."""
    put_distribution(tmp_path, "lupis-instrument", ["lupis_instrument/__init__.py"], ["Need_ed>=1"])
    put_distribution(tmp_path, "need.ed", ["needed.py"], ["click", 'extra; extra == "x"'])
    for name in ("click", "extra", "openai"):
        put_distribution(tmp_path, name, [f"{name}.py"])
    return tmp_path


def put_distribution(folder, name, files, requirements=(), record=True):
    """Write the metadata and the empty modules of a distribution."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    needs = "".join(f"Requires-Dist: {text}\n" for text in requirements)
    info.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{needs}"
    )
    if record:
        info.joinpath("RECORD").write_text(
            "".join(f"{file},,\n" for file in [*files, "../bin/x.py"])
        )
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def call_from(module, file, finder, method, argument):
    """Call a method of the finder from the code of a module."""
    scope = {"__name__": module, "__file__": str(file)}
    call = eval("lambda finder, method, argument: getattr(finder, method)(argument)", scope)
    return call(finder, method, argument)


def find(site, name, importer="lupis_instrument.x"):
    """The file of a module that lent code imports; None if it is not lent."""
    finder = lending.LentPackages([str(site)])
    spec = call_from(importer, site / "x.py", finder, "find_spec", name)
    return spec and spec.origin


def list_names(site, context, file=None):
    """The names of the distributions that code sees."""
    finder = lending.LentPackages([str(site)])
    listed = call_from(
        "lupis_instrument", file or site / "x.py", finder, "find_distributions", context
    )
    return [item.metadata["Name"] for item in listed]


ALL = importlib.metadata.DistributionFinder.Context


@pytest.mark.parametrize("importer", ["lupis_instrument._tracing", "needed"])
def test_requirements_are_lent_to_lent_code(site, importer):
    """To this package, and to its requirements once they are loaded."""
    finder = lending.LentPackages([str(site)])
    call_from("lupis_instrument", site / "x.py", finder, "find_spec", "needed")
    spec = call_from(importer, site / "x.py", finder, "find_spec", "needed")
    assert str(site / "needed.py") == spec.origin


def test_start_reads_no_metadata(site, monkeypatch):
    """The bootstrap lies in this package, and looks for a module of the program."""
    monkeypatch.setattr(lending.LentPackages, "_read_closure", pytest.fail)
    assert None is find(site, "sitecustomize", "sitecustomize")


@pytest.mark.parametrize("name", ["openai", "extra", "click", "needed.x", "json", "lupis"])
def test_other_packages_are_not_lent(site, name):
    """Nor requirements of extras and of the commands."""
    assert None is find(site, name)


@pytest.mark.parametrize("importer", ["openai", "__main__"])
def test_other_code_finds_no_requirement(site, importer):
    """The program gets the answer that it gets without the launcher."""
    finder = lending.LentPackages([str(site)])
    assert None is call_from("lupis_instrument", "/elsewhere/x.py", finder, "find_spec", "needed")
    assert None is find(site, "needed", importer)


def test_package_itself_is_lent_to_all(site):
    """Programs may use `LupisSDK`."""
    finder = lending.LentPackages([str(site)])
    spec = call_from("__main__", "/elsewhere/x.py", finder, "find_spec", "lupis_instrument")
    assert str(site / "lupis_instrument" / "__init__.py") == spec.origin


def test_namespace_package_has_only_lent_parts(site):
    """Another distribution of the launcher has a part in the same namespace."""
    put_distribution(
        site, "parts", ["space/part/__init__.py", "space/part/inner.py", "space/one.py"]
    )
    put_distribution(site, "others", ["space/other/__init__.py"])
    (site / "need.ed-1.0.dist-info" / "METADATA").write_text("Requires-Dist: parts\n")
    finder = lending.LentPackages([str(site)])
    call_from("lupis_instrument", site / "x.py", finder, "find_spec", "needed")
    specs = {
        name: call_from("needed", site / "needed.py", finder, "find_spec", name)
        for name in ("space", "space.part", "space.one", "space.other", "space.part.inner")
    }
    assert [] == specs["space"].submodule_search_locations
    assert str(site / "space" / "part" / "__init__.py") == specs["space.part"].origin
    assert str(site / "space" / "one.py") == specs["space.one"].origin
    assert (None, None) == (specs["space.other"], specs["space.part.inner"])


def test_distribution_without_a_record_is_lent(site):
    """Linux distributions leave the list of files out."""
    put_distribution(site, "bare", ["bare_one.py"], record=False)
    (site / "bare-1.0.dist-info" / "top_level.txt").write_text("bare_one\n")
    (site / "need.ed-1.0.dist-info" / "METADATA").write_text("Requires-Dist: bare\n")
    assert str(site / "bare_one.py") == find(site, "bare_one")


def test_lent_code_sees_metadata_of_the_closure(site, monkeypatch):
    """All of it, or of one distribution, whatever the spelling of its name."""
    monkeypatch.setattr(lending_closure, "_has_distribution", lambda _: False)
    assert {"lupis-instrument", "need.ed"} == set(list_names(site, ALL()))
    assert ["need.ed"] == list_names(site, ALL(name="Need-Ed"))


def test_other_code_sees_no_metadata(site):
    """Nor does a query about certain folders."""
    assert [] == list_names(site, ALL(), "/elsewhere/x.py")
    assert [] == list_names(site, ALL(path=["/elsewhere"]))


def test_distribution_of_the_program_is_not_hidden(site, tmp_path_factory, monkeypatch):
    """A query for one distribution takes the first answer."""
    own = tmp_path_factory.mktemp("own")
    put_distribution(own, "need.ed", [])
    monkeypatch.syspath_prepend(str(own))
    assert [] == list_names(site, ALL(name="need.ed"))


def test_fault_does_not_reach_the_program(site, monkeypatch):
    """The import fails as without the launcher, and a line reports the fault."""
    monkeypatch.setattr(diagnostics, "reraise", False)
    monkeypatch.delattr(lending_closure, "Closure")
    assert None is find(site, "needed")
    assert [] == list_names(site, ALL())


def test_copied_package_needs_what_is_there(tmp_path):
    """Its metadata may be left behind."""
    put_distribution(tmp_path, "opentelemetry-sdk", ["opentelemetry/sdk/__init__.py"], ["wrapt"])
    put_distribution(tmp_path, "wrapt", ["wrapt.py"])
    put_distribution(tmp_path, "openai", ["openai.py"])
    assert str(tmp_path / "wrapt.py") == find(tmp_path, "wrapt")
    assert None is find(tmp_path, "openai")


def test_missing_folder_lends_nothing(site):
    """It may be removed while a program runs."""
    closure = lending_closure.Closure([str(site / "gone")], set())
    assert ({}, {}) == (closure.modules, closure.distributions)


def test_finder_comes_last(monkeypatch):
    """The program's own packages come first."""
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    lending.lend_packages(["/lent"])
    assert isinstance(sys.meta_path[-1], lending.LentPackages)
