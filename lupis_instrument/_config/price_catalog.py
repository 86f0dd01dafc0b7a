"""Reads and stores the catalog of prices that `lupis prices --update` fetched."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lupis_instrument._diagnostics import warn
from lupis_instrument._llm.pricing.catalog import PriceCatalog, load_catalog
from lupis_instrument._process.data_folder import (
    CATALOG_NAME,
    find_folder,
    find_problem,
    make_folder,
)


def read_catalog(data_dir: str | None) -> PriceCatalog:
    """Return the fetched catalog if it is newer than the shipped one, else the shipped one.

    A damaged file gives the shipped catalog and one line on stderr.

    Args:
        data_dir: the value of `LUPIS_DATA_DIR`.
    """
    shipped = load_catalog()
    folder = find_folder(data_dir)
    path = folder / CATALOG_NAME if folder is not None else None
    if folder is None or path is None or not path.is_file() or find_problem(folder):
        return shipped
    try:
        fetched = PriceCatalog(path.read_bytes())
    except Exception as error:  # whatever is wrong in the file, the shipped prices remain
        warn(
            f"{path} is damaged ({type(error).__name__}); the prices of {shipped.day} are used. "
            "Run `lupis prices --update`"
        )
        return shipped
    return fetched if fetched.day > shipped.day else shipped


def store_catalog(data_dir: str | None, content: bytes) -> Path:
    """Store the content of a catalog, readable only by its owner (mode 0600); return its path.

    Other processes read either the old file or the new one, never a part of it.

    Raises:
        OSError: the data folder is not usable, or the disk is full.
    """
    path = make_folder(data_dir) / CATALOG_NAME
    handle, temporary = tempfile.mkstemp(prefix=CATALOG_NAME, dir=path.parent)  # of mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
    return path
