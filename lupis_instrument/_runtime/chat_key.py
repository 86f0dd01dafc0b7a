"""The key that derived chat ids are made with: the user's, one kept in the data folder, or ours."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._process import data_folder

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "chat-id.key"
_BYTES = 32
_OWNER_ONLY = 0o600


def read(hash_key: str | None, data_dir: str | None) -> bytes:
    """Return the key; where it can be neither read nor kept, one of this process and its forks.

    Args:
        hash_key: `LUPIS_HASH_KEY`, which makes ids the same on several machines.
        data_dir: `LUPIS_DATA_DIR`.
    """
    if hash_key is not None:
        return hash_key.encode("utf-8", "surrogatepass")
    try:
        return _kept(data_folder.make_folder(data_dir) / _FILE)
    except OSError as error:
        diagnostics.say("info", f"chat ids are derived anew in each process: {error}")
        return _own()


def _kept(file: Path) -> bytes:
    """Return the key in `file`, made if it is not there.

    Raises:
        OSError: there is none, and none can be put there.
    """
    if not file.exists():
        _make(file)
    key = file.read_bytes()
    if len(key) < _BYTES:
        raise OSError(f"{str(file)!r} holds no key")
    return key


def _make(file: Path) -> None:
    """Put a key there, whole and at once: of several processes that do, one wins."""
    draft = file.with_name(f"{_FILE}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(os.urandom(_BYTES))
        os.link(draft, file)
    except FileExistsError:
        pass  # another process was quicker; its key is everybody's
    finally:
        draft.unlink()


@lru_cache(maxsize=None)
def _own() -> bytes:
    return os.urandom(_BYTES)
