"""The folder that outlives the process: the store, and the key of derived chat ids."""

from __future__ import annotations

from pathlib import Path

_APPLICATION = "lupis"
_OWNER_ONLY = 0o700


def find_folder(data_dir: str | None) -> Path | None:
    """Return the path of the folder; None where the platform has none for this user.

    Args:
        data_dir: the value of `LUPIS_DATA_DIR`.
    """
    if data_dir is not None:
        return Path(data_dir).expanduser().absolute()
    from platformdirs import user_data_path

    try:
        path = user_data_path(_APPLICATION, appauthor=False)
    except RuntimeError:
        return None  # the user has no home
    # Without a home, older releases of platformdirs return a path that begins with `~`.
    return path if path.is_absolute() else None


def make_folder(data_dir: str | None) -> Path:
    """Return the folder, made if it does not exist, readable only by its owner (mode 0700).

    Args:
        data_dir: the value of `LUPIS_DATA_DIR`.

    Raises:
        OSError: it cannot be made, or the platform has none.
    """
    path = find_folder(data_dir)
    if path is None:
        raise FileNotFoundError("this user has no data folder; set LUPIS_DATA_DIR")
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=_OWNER_ONLY, exist_ok=True)
        # The umask may have removed rights of the owner too.
        path.chmod(_OWNER_ONLY)
    return path
