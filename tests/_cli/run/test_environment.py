"""The environment variables that instrument a program."""

from __future__ import annotations

import os

import pytest

from lupis_instrument._cli.run import environment

FOLDER = "/opt/boot strap é"
SITE = "cpython-3.11:/site"


def add(environ):
    return environment.add_bootstrap(environ, FOLDER, SITE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, [FOLDER]),
        ({"PYTHONPATH": ""}, [FOLDER]),
        ({"PYTHONPATH": "/a"}, [FOLDER, "/a"]),
        ({"PYTHONPATH": os.pathsep.join(["/a", "", "/b"])}, [FOLDER, "/a", "", "/b"]),
        ({"PYTHONPATH": FOLDER}, [FOLDER]),
        ({"PYTHONPATH": os.pathsep.join(["/a", FOLDER, "/b"])}, [FOLDER, "/a", "/b"]),
    ],
)
def test_bootstrap_comes_first(before, after):
    """The other entries stay the same, empty ones (the current folder) included."""
    assert os.pathsep.join(after) == add(before)["PYTHONPATH"]


def test_adding_the_bootstrap_twice_changes_nothing():
    """A nested `lupis-run` leaves PYTHONPATH as it is."""
    environ = add({"PYTHONPATH": "/a"})
    assert environ == add(environ)


def test_launcher_site_is_set():
    """An interpreter without the package can find it in the launcher's folders."""
    assert SITE == add({})["LUPIS_LAUNCHER_SITE"]


def test_other_variables_stay_the_same():
    """All other variables are kept, and the mapping itself does not change."""
    before = {"PATH": "/bin", "LUPIS_PROJECT_ID": "p"}
    after = environment.add_run_id(add(before))
    changed = {"PYTHONPATH", "LUPIS_LAUNCHER_SITE", "LUPIS_RUN_ID"}
    assert {"PATH": "/bin", "LUPIS_PROJECT_ID": "p"} == before
    assert before == {name: text for name, text in after.items() if name not in changed}


def test_each_launch_has_its_own_run_id():
    """A run id has 32 hexadecimal digits, and no two are equal."""
    ids = {environment.add_run_id({"LUPIS_RUN_ID": ""})["LUPIS_RUN_ID"] for _ in range(100)}
    assert 100 == len(ids)
    assert {32} == {len(run_id) for run_id in ids}
    assert all(int(run_id, 16) >= 0 for run_id in ids)


def test_run_id_of_an_outer_launch_is_kept():
    """A nested launch has the run id of the outer one."""
    assert {"LUPIS_RUN_ID": "x"} == environment.add_run_id({"LUPIS_RUN_ID": "x"})


@pytest.mark.parametrize(
    ("environ", "coerced"),
    [
        ({"LC_CTYPE": "C.UTF-8"}, True),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, True),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "de_DE.UTF-8"}, False),
        ({"LC_CTYPE": "C.UTF-8", "LC_ALL": "en_US.UTF-8", "LANG": "C"}, False),
        ({"LC_CTYPE": "de_DE.UTF-8"}, False),
        ({}, False),
    ],
)
def test_coercion_is_possible_in_the_c_locale_only(environ, coerced):
    """Python sets LC_CTYPE for itself and its children in the C locale (PEP 538)."""
    assert coerced == environment.is_locale_coerced(environ)


@pytest.mark.parametrize(
    ("at_start", "remaining"),
    [
        (b"PATH=/bin\0", {"PATH": "/bin"}),
        (b"PATH=/bin\0LC_CTYPE=C.UTF-8\0", {"PATH": "/bin", "LC_CTYPE": "C.UTF-8"}),
    ],
)
def test_coerced_lc_ctype_is_removed(at_start, remaining):
    """An LC_CTYPE that the process did not start with is removed."""
    environ = {"PATH": "/bin", "LC_CTYPE": "C.UTF-8"}
    assert remaining == environment.undo_coercion(environ, at_start)
