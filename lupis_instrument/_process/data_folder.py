"""The folder that outlives the process: the store, the key of derived chat ids, newer prices.

Other users may have made the folder first, or may be able to write to it. They could then read each
span, know the key, or plant a store. Such a folder is refused.
"""

from __future__ import annotations

import os
from contextlib import suppress
from errno import EPERM
from pathlib import Path
from stat import S_IMODE, S_IRWXG, S_IRWXO, S_ISLNK, S_ISREG, S_IWGRP, S_IWOTH
from typing import Iterator

from lupis_instrument._diagnostics import warn

STORE_NAME = "store.db"
KEY_NAME = "chat-id.key"
CATALOG_NAME = "prices.jsonl"
_STORE_NAMES = tuple(STORE_NAME + suffix for suffix in ("", "-wal", "-shm", "-journal"))
_FILE_NAMES = (*_STORE_NAMES, KEY_NAME, CATALOG_NAME)
"""The files in the folder; SQLite makes further files beside the store."""
_APPLICATION = "lupis"
_OWNER_ONLY = 0o700
_ROOT = 0


def find_folder(data_dir: str | None) -> Path | None:
    """Return the path of the folder; None if there is no home from which it could be derived.

    Args:
        data_dir: the value of `LUPIS_DATA_DIR`.
    """
    try:
        if data_dir is not None:
            return Path(data_dir).expanduser().absolute()
        from platformdirs import user_data_path

        path = user_data_path(_APPLICATION, appauthor=False)
    except RuntimeError:
        return None  # the user has no home, or there is no user of the name behind `~`
    # Without a home, older releases of platformdirs return a path that begins with `~`.
    return path if path.is_absolute() else None


def make_folder(data_dir: str | None) -> Path:
    """Return the folder, made if it does not exist, readable only by its owner (mode 0700).

    Args:
        data_dir: the value of `LUPIS_DATA_DIR`.

    Raises:
        OSError: it cannot be made, the platform has none, or other users could have changed it.
    """
    path = find_folder(data_dir)
    if path is None:
        raise FileNotFoundError("this user has no data folder; set LUPIS_DATA_DIR")
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another process was quicker
            path.mkdir(mode=_OWNER_ONLY)
            # The umask may have removed rights of the owner too.
            path.chmod(_OWNER_ONLY)
    problem = find_problem(path)
    if problem is not None:
        raise PermissionError(EPERM, problem)
    _limit_rights(path)
    return path


def find_problem(folder: Path) -> str | None:
    """Return why other users could have changed the folder or its files; None if they could not.

    Root may own them: it can change everything anyway. Windows has other rights, which a folder
    takes from the folder around it.
    """
    if not hasattr(os, "geteuid"):
        return None
    for path, status in _list_paths(folder):
        problem = _describe_problem(status, is_file=path != folder)
        if problem is not None:
            cure = f"set LUPIS_DATA_DIR to a new folder, such as {folder / _APPLICATION}"
            return f"{path} {problem}; {cure}"
    return None


def _describe_problem(status: os.stat_result, *, is_file: bool) -> str | None:
    user = os.geteuid()
    if status.st_uid not in {_ROOT, user}:
        return f"belongs to another user (id {status.st_uid})"
    if is_file and not S_ISREG(status.st_mode):
        return "is no regular file"
    if S_ISLNK(status.st_mode):
        return None  # a link has no rights; the folder that it leads to comes next
    if status.st_mode & S_IWOTH:
        return "can be changed by every user"
    if status.st_mode & S_IWGRP and status.st_uid != user:
        return "can be changed by its group"
    return None


def _list_paths(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the folder, the target of a link to it, and its files, if they exist."""
    for path in (folder, *(folder / name for name in _FILE_NAMES)):
        with suppress(FileNotFoundError, NotADirectoryError):
            yield path, path.lstat()
        if path == folder and folder.is_symlink():
            with suppress(FileNotFoundError):
                yield path, path.stat()


def _limit_rights(folder: Path) -> None:
    """Take the rights away that other users have without need.

    These are the group's right to change the folder, and all rights on files. Kubernetes gives them
    to a group (`fsGroup`) whenever it mounts a volume.

    Raises:
        PermissionError: the group can still change something.
    """
    if not hasattr(os, "geteuid"):
        return
    limited = False
    for path, status in _list_paths(folder):
        excess = status.st_mode & (S_IWGRP if path == folder else S_IRWXG | S_IRWXO)
        if not excess or S_ISLNK(status.st_mode) or status.st_uid != os.geteuid():
            continue
        with suppress(OSError):  # the file system may have no rights of its own
            path.chmod(S_IMODE(status.st_mode) & ~excess)
        remaining = path.stat().st_mode & excess
        if remaining & S_IWGRP:
            raise PermissionError(EPERM, f"{path} can be changed by its group")
        limited = limited or remaining != excess
    if limited:
        warn(f"other users had rights on {folder} or its files; these rights are removed")
