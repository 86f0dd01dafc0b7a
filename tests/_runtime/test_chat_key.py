"""The key that derived chat ids are made with."""

import stat
import subprocess
import sys

import pytest

from lupis_instrument._runtime import chat_key

READ = "from lupis_instrument._runtime import chat_key; print(chat_key.read_key(None, {!r}).hex())"
posix = pytest.mark.skipif(sys.platform == "win32", reason="rights are POSIX's")


def kept(folder):
    """The names in the data folder."""
    return [file.name for file in folder.iterdir()]


def test_the_users_key_comes_first(tmp_path):
    """And nothing is kept then."""
    assert "kéy".encode() == chat_key.read_key("kéy", str(tmp_path / "data"))
    assert [] == kept(tmp_path)


def test_a_key_is_kept(tmp_path):
    """The next process finds it."""
    key = chat_key.read_key(None, str(tmp_path / "data"))
    assert (32, key) == (len(key), chat_key.read_key(None, str(tmp_path / "data")))
    assert ["chat-id.key"] == kept(tmp_path / "data")


@posix
def test_nobody_else_may_read_it(tmp_path):
    """Neither the file nor the folder."""
    folder = tmp_path / "data"
    chat_key.read_key(None, str(folder))
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "chat-id.key")]
    assert [0o700, 0o600] == modes


def test_processes_that_start_at_once_have_one_key(tmp_path):
    """The first one's, whole; nothing is left lying about."""
    folder = tmp_path / "data"
    command = [sys.executable, "-c", READ.format(str(folder))]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(8)]
    keys = {process.communicate()[0].strip() for process in running}
    assert {chat_key.read_key(None, str(folder)).hex().encode()} == keys
    assert ["chat-id.key"] == kept(folder)


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_broken_file_is_left_alone(content, tmp_path):
    """This process then has a key of its own."""
    file = tmp_path / "chat-id.key"
    file.write_bytes(content)
    key = chat_key.read_key(None, str(tmp_path))
    assert (32, key) == (len(key), chat_key.read_key(None, str(tmp_path)))
    assert content == file.read_bytes()


def test_without_a_folder_the_key_is_the_processs(tmp_path, capsys):
    """A file stands in its place: no fault, and nothing on stderr."""
    (tmp_path / "data").write_bytes(b"")
    key = chat_key.read_key(None, str(tmp_path / "data"))
    assert (32, key) == (len(key), chat_key.read_key(None, str(tmp_path / "data")))
    assert "" == capsys.readouterr().err


def test_a_folder_without_hard_links_is_no_fault(tmp_path, monkeypatch):
    """Some file systems have none."""

    def refuse(*_):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr("os.link", refuse)
    assert 32 == len(chat_key.read_key(None, str(tmp_path)))
    assert [] == kept(tmp_path)
