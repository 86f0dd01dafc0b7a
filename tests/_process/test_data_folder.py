"""The folder that outlives the process."""

import os
import stat
import sys

import pytest

from lupis_instrument._diagnostics import diagnostics
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


def test_the_home_of_an_unknown_user_is_no_folder():
    """`Path.expanduser` fails."""
    assert None is data_folder.find_folder("~nobody-has-this-name/x")


posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights are of POSIX")
STRANGER = 1999  # a user id that nobody has


@pytest.fixture
def give_away(monkeypatch):
    """Makes paths belong to another user: only root can, so others become another user."""

    def give(*paths):
        if os.geteuid():
            monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
        for path in paths if not os.geteuid() else ():
            os.chown(path, STRANGER, -1, follow_symlinks=False)

    return give


@pytest.fixture
def folder(tmp_path):
    """A folder of this user with all its files."""
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    for name in (data_folder.STORE_NAME, data_folder.KEY_NAME):
        (path / name).touch(0o600)
    return path


@posix
@pytest.mark.parametrize("name", ["", "store.db", "chat-id.key"])
@pytest.mark.parametrize("mode", [0o777, 0o702, 0o1777])
def test_a_path_that_every_user_can_change_is_refused(mode, name, folder):
    """They may have planted a store or a key; the message names the path and the cure."""
    (folder / name).chmod(mode)
    with pytest.raises(PermissionError) as caught:
        data_folder.make_folder(str(folder))
    cure = f"set LUPIS_DATA_DIR to a new folder, such as {folder / 'lupis'}"
    assert f"{folder / name} can be changed by every user; {cure}" == caught.value.strerror
    assert folder / "lupis" == data_folder.make_folder(str(folder / "lupis"))


@posix
@pytest.mark.parametrize("name", ["", "store.db", "store.db-wal", "chat-id.key"])
def test_a_path_of_another_user_is_refused(name, folder, give_away):
    """A folder of another user may be closed to all others, and a file may be in an own folder."""
    (folder / "store.db-wal").touch()
    give_away(folder / name)
    with pytest.raises(PermissionError, match=r"belongs to another user \(id "):
        data_folder.make_folder(str(folder))


@posix
@pytest.mark.parametrize("name", ["store.db", "store.db-shm", "chat-id.key"])
def test_a_link_in_the_folder_is_refused(name, folder, tmp_path):
    """It may lead to a file of the user that has another purpose."""
    (tmp_path / "target").touch()
    if (folder / name).exists():
        (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "target")
    assert "is no regular file" in (data_folder.find_problem(folder) or "")


@posix
def test_a_link_to_the_folder_is_followed(folder, tmp_path):
    """The data of a user may be on another disk."""
    (tmp_path / "link").symlink_to(folder)
    assert tmp_path / "link" == data_folder.make_folder(str(tmp_path / "link"))
    folder.chmod(0o777)
    assert "can be changed by every user" in (data_folder.find_problem(tmp_path / "link") or "")


@posix
def test_a_link_of_another_user_is_refused(folder, tmp_path, give_away):
    """It chooses the folder."""
    if os.geteuid():
        pytest.skip("only root can make a link of another user")
    (tmp_path / "link").symlink_to(folder)
    give_away(tmp_path / "link")
    with pytest.raises(PermissionError, match="belongs to another user"):
        data_folder.make_folder(str(tmp_path / "link"))


@posix
def test_rights_of_a_group_are_removed(folder, capsys):
    """Kubernetes gives them to a group whenever it mounts a volume; a line reports it, once."""
    diagnostics.reset()
    folder.chmod(0o2770)
    for file in folder.iterdir():
        file.chmod(0o664)
    assert [folder] * 2 == [data_folder.make_folder(str(folder)) for _ in range(2)]
    assert [0o2750, 0o600, 0o600] == [
        stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())
    ]
    lines = capsys.readouterr().err.splitlines()
    assert [f"lupis: warning: other users had rights on {folder}"] == [
        line.split(" or its")[0] for line in lines
    ]


@posix
def test_rights_of_a_group_that_stay_are_a_problem(folder, monkeypatch):
    """Some file systems ignore a change of rights."""
    folder.chmod(0o770)
    monkeypatch.setattr(type(folder), "chmod", lambda *_: None)
    with pytest.raises(PermissionError, match="can be changed by its group"):
        data_folder.make_folder(str(folder))


@posix
def test_an_own_folder_has_no_problem(folder):
    """Neither has a folder that does not exist yet."""
    assert [None, None] == [data_folder.find_problem(path) for path in (folder, folder / "x")]
