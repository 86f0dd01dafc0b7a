"""Environments that other launchers give to the Python programs that they start."""

import os

import pytest

from lupis_instrument._process.launchers_between import mend_environment

FOLDER = "/lupis/sitecustomize_template"


@pytest.fixture
def own(monkeypatch):
    """The environment of this process, with two variables of this package."""
    for name in [name for name in os.environ if name.startswith("LUPIS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LUPIS_RUN_ID", "1")
    monkeypatch.setenv("LUPIS_CHAT_ID", "c")
    monkeypatch.setenv("PYTHONPATH", FOLDER)


def join_paths(*parts):
    """A PYTHONPATH."""
    return os.pathsep.join(map(str, parts))


def test_dropped_variables_come_back(own):
    """Launchers such as tox drop them; a variable that they set stays."""
    assert {
        "HOME": "/h",
        "PYTHONPATH": FOLDER,
        "LUPIS_RUN_ID": "1",
        "LUPIS_CHAT_ID": "d",
    } == mend_environment({"HOME": "/h", "LUPIS_CHAT_ID": "d"}, FOLDER)


def test_folder_comes_first_in_the_path_of_the_child(own):
    """The rest of PYTHONPATH stays as it is."""
    mended = mend_environment({"PYTHONPATH": join_paths("/a", "", "/b")}, FOLDER)
    assert join_paths(FOLDER, "/a", "", "/b") == mended["PYTHONPATH"]


def test_folder_comes_before_another_sitecustomize(own, tmp_path):
    """Python runs the first one only."""
    (tmp_path / "sitecustomize.py").touch()
    mended = mend_environment({"PYTHONPATH": join_paths(tmp_path, FOLDER)}, FOLDER)
    assert join_paths(FOLDER, tmp_path) == mended["PYTHONPATH"]


@pytest.mark.parametrize("path", [FOLDER, join_paths("/a", FOLDER)])
def test_environment_with_all_variables_stays_the_same(own, path):
    """It is the same object."""
    environ = {**os.environ, "PYTHONPATH": path}
    assert environ is mend_environment(environ, FOLDER)


def test_own_environment_stays_the_same_where_nothing_is_missing(own):
    """The child inherits it."""
    assert None is mend_environment(None, FOLDER)


def test_own_environment_is_mended_where_the_launcher_has_changed_it(own, monkeypatch):
    """This process keeps the launcher's change."""
    monkeypatch.delenv("PYTHONPATH")
    assert FOLDER == mend_environment(None, FOLDER)["PYTHONPATH"]
    assert "PYTHONPATH" not in os.environ
