"""The variables that instrument a program."""

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
def test_the_bootstrap_comes_first_and_the_rest_stays(before, after):
    """The current folder (an empty entry) is neither added nor taken out."""
    assert os.pathsep.join(after) == add(before)["PYTHONPATH"]


def test_a_second_time_changes_nothing():
    """A nested lupis-run finds the bootstrap in place."""
    once = add({"PYTHONPATH": "/a"})
    assert once == add(once)


def test_the_launchers_packages_are_told():
    """An interpreter without the package can find it there."""
    assert SITE == add({})["LUPIS_LAUNCHER_SITE"]


def test_nothing_else_changes():
    """All other variables are handed on, and the mapping given is left alone."""
    before = {"PATH": "/bin", "LUPIS_PROJECT_ID": "p"}
    after = environment.add_run_id(add(before))
    changed = {"PYTHONPATH", "LUPIS_LAUNCHER_SITE", "LUPIS_RUN_ID"}
    assert {"PATH": "/bin", "LUPIS_PROJECT_ID": "p"} == before
    assert before == {name: text for name, text in after.items() if name not in changed}


def test_each_launch_has_its_own_run_id():
    """32 hex digits, never the same."""
    ids = {environment.add_run_id({"LUPIS_RUN_ID": ""})["LUPIS_RUN_ID"] for _ in range(100)}
    assert 100 == len(ids)
    assert {32} == {len(run_id) for run_id in ids}
    assert all(int(run_id, 16) >= 0 for run_id in ids)


def test_a_run_id_is_kept():
    """What runs below a launch belongs to it."""
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
def test_only_in_the_c_locale_python_may_have_set_lc_ctype(environ, coerced):
    """PEP 538: the interpreter sets LC_CTYPE for itself and its children."""
    assert coerced == environment.is_locale_coerced(environ)


@pytest.mark.parametrize(
    ("at_start", "left"),
    [
        (b"PATH=/bin\0", {"PATH": "/bin"}),
        (b"PATH=/bin\0LC_CTYPE=C.UTF-8\0", {"PATH": "/bin", "LC_CTYPE": "C.UTF-8"}),
    ],
)
def test_an_lc_ctype_that_was_not_there_at_the_start_is_undone(at_start, left):
    """The program gets the locale the user set, or none."""
    environ = {"PATH": "/bin", "LC_CTYPE": "C.UTF-8"}
    assert left == environment.undo_coercion(environ, at_start)
