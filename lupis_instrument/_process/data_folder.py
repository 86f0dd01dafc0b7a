"""The folder that outlives the process: undelivered and local data, and the key of fingerprints."""

from __future__ import annotations

from pathlib import Path

_APPLICATION = "lupis"
_OWNER_ONLY = 0o700


def locate(chosen: str | None) -> Path | None:
    """Return the folder's path; None where the platform has none for this user.

    Args:
        chosen: `LUPIS_DATA_DIR`.
    """
    if chosen is not None:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    try:
        path = user_data_path(_APPLICATION, appauthor=False)
    except RuntimeError:
        return None  # there is no home
    # Older releases of platformdirs leave `~` as it is then: a folder of that name is no wish.
    return path if path.is_absolute() else None


def prepare(chosen: str | None) -> Path:
    """Return the folder, made if it is not there, for its owner alone.

    Raises:
        OSError: it cannot be made, or the platform has none.
    """
    path = locate(chosen)
    if path is None:
        raise FileNotFoundError("this user has no data folder; set LUPIS_DATA_DIR")
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=_OWNER_ONLY, exist_ok=True)
        # The umask may have taken more than others' rights.
        path.chmod(_OWNER_ONLY)
    return path
