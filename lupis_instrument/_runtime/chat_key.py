"""The key of derived chat ids: the user's, or one kept in the data folder, or a random one."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._process import data_folder

if TYPE_CHECKING:
    from pathlib import Path

_BYTES = 32
_OWNER_ONLY = 0o600


def read_key(hash_key: str | None, data_dir: str | None) -> bytes:
    """Return the key.

    Where none can be read or kept, return a random key of this process and its forks.

    Args:
        hash_key: the value of `LUPIS_HASH_KEY`, which makes ids the same on several machines.
        data_dir: the value of `LUPIS_DATA_DIR`.
    """
    if hash_key is not None:
        return hash_key.encode("utf-8", "surrogatepass")
    try:
        return _read_file(data_folder.make_folder(data_dir) / data_folder.KEY_NAME)
    except OSError as error:
        diagnostics.write_message("info", f"chat ids are derived anew in each process: {error}")
        return _random_key()


def _read_file(file: Path) -> bytes:
    """Return the key in `file`, which is made if it does not exist.

    Raises:
        OSError: the file can be neither read nor made, or it holds no key.
    """
    if not file.exists():
        _make_file(file)
    key = file.read_bytes()
    if len(key) < _BYTES:
        raise OSError(f"{str(file)!r} holds no key")
    return key


def _make_file(file: Path) -> None:
    """Write a key atomically: if several processes do so, one wins."""
    draft = file.with_name(f"{data_folder.KEY_NAME}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(os.urandom(_BYTES))
        os.link(draft, file)
    except FileExistsError:
        pass  # another process was quicker: all use its key
    finally:
        draft.unlink()


@lru_cache(maxsize=None)
def _random_key() -> bytes:
    return os.urandom(_BYTES)
