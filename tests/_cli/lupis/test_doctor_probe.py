"""The probe of `lupis doctor`, which runs in the examined interpreter."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from lupis_instrument._cli.lupis import doctor_probe
from lupis_instrument._runtime import conflicts

SOURCE = Path(doctor_probe.__file__).read_text(encoding="utf-8")


def run_probe(*options):
    """Run the probe without the bootstrap; returns its facts."""
    output = subprocess.run(
        [sys.executable, *options, "-c", SOURCE], stdout=subprocess.PIPE, check=True
    ).stdout
    return json.loads(output.splitlines()[-1])


def make_runtime(**settings):
    """Return a runtime with the settings that select clients."""
    config = {"instrument": (), "disabled_instrumentations": (), **settings}
    return SimpleNamespace(config=SimpleNamespace(**config), provider=None)


def make_client(**values):
    """Return a row of the table of clients; its adapter cannot be imported."""
    row = {"name": "json", "module": "json", "adapter": "no_such_adapter", "distribution": ""}
    return SimpleNamespace(**{**row, **values})


def test_probe_needs_only_the_standard_library():
    """An interpreter without site-packages still reports its version and its flags."""
    facts = run_probe("-I", "-S")
    assert sys.implementation.name == facts["implementation"]
    assert {"isolated", "no_site"} <= set(facts["flags"])


def test_facts_without_the_bootstrap_end_with_the_interpreter():
    """There is no package to ask."""
    facts = run_probe("-I")
    assert (False, "") == (facts["bootstrapped"], facts["location"])
    assert "clients" not in facts


def test_module_in_the_folder_of_the_program_is_a_conflict(tmp_path):
    """It would be imported in place of a required one; `sys.path` stays as it was."""
    (tmp_path / "requests.py").write_text("")
    path_before = list(sys.path)
    conflicts = list(doctor_probe.find_conflicts(["--folder", str(tmp_path)]))
    assert [str(tmp_path / "requests.py")] == [text.partition(" ")[0] for text in conflicts]
    assert path_before == sys.path


def test_requirements_of_the_package_are_met():
    """The extras of the package are not required."""
    rows = list(doctor_probe.check_requirements())
    assert "opentelemetry-sdk" in {name for name, _, _ in rows}
    assert [] == [name for name, _, unfit in rows if unfit]


@pytest.mark.parametrize(
    ("requirement", "rows"),
    [
        ("pytest>=1", [("pytest", pytest.__version__, False)]),
        ("pytest<1", [("pytest", f"{pytest.__version__}, not <1", True)]),
        ("no-such-package", [("no-such-package", "not installed", True)]),
        ('pytest<1; extra == "report"', []),
    ],
)
def test_requirement_is_compared_with_the_installed_version(requirement, rows, monkeypatch):
    """A requirement may be met, unmet, missing, or belong to an extra."""
    look_up = conflicts._look_up
    monkeypatch.setattr(
        conflicts,
        "_look_up",
        lambda name: ("1", [requirement]) if name == "lupis-instrument" else look_up(name),
    )
    assert rows == list(doctor_probe.check_requirements())


def test_package_that_is_only_on_the_path_has_no_known_requirements(monkeypatch):
    """There is no metadata to read."""

    def fail(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", fail)
    assert [] == list(doctor_probe.check_requirements())


@pytest.mark.parametrize(
    ("client", "settings", "text", "wrong"),
    [
        ({"module": "no_such_module"}, {}, "not installed", False),
        ({"module": "no_such_module"}, {"instrument": ("json",)}, "not installed", True),
        ({}, {"disabled_instrumentations": ("json",)}, "switched off", False),
        ({}, {"instrument": ("requests",)}, "not named by LUPIS_INSTRUMENT", False),
        ({}, {}, "standard library, not instrumented: ModuleNotFoundError", True),
    ],
)
def test_client_is_tried(client, settings, text, wrong):
    """A missing client is wrong only if the settings name it."""
    outcome = doctor_probe._try_client(make_client(**client), make_runtime(**settings))
    assert outcome[0].startswith(text)
    assert wrong == outcome[1]
