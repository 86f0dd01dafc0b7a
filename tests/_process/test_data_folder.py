"""The folder that outlives the process."""

import os
import stat
import sys

import pytest

from lupis_instrument._process import data_folder


def test_a_chosen_folder_is_made_for_its_owner_alone(tmp_path):
    """Its parents too, as usual."""
    made = data_folder.make_folder(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b", 0o700) == (made, stat.S_IMODE(made.stat().st_mode))


def test_an_existing_folder_keeps_its_mode(tmp_path):
    """Its owner has decided who may read it."""
    (tmp_path / "shared").mkdir(mode=0o755)
    made = data_folder.make_folder(str(tmp_path / "shared"))
    assert 0o755 == stat.S_IMODE(made.stat().st_mode)


def test_a_home_is_found(monkeypatch, tmp_path):
    """`~` is the user's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path / "x" == data_folder.find_folder("~/x")


@pytest.mark.skipif(sys.platform != "linux", reason="XDG is of Linux")
def test_the_platform_says_where(monkeypatch, tmp_path):
    """By XDG_DATA_HOME, for one: https://specifications.freedesktop.org/basedir-spec/latest."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert tmp_path / "lupis" == data_folder.find_folder(None)


@pytest.mark.skipif(sys.platform != "linux", reason="the platform's rules differ")
def test_without_a_home_there_is_none(monkeypatch):
    """A folder called `~` is nobody's wish."""
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert None is data_folder.find_folder(None)
    with pytest.raises(FileNotFoundError, match="LUPIS_DATA_DIR"):
        data_folder.make_folder(None)
