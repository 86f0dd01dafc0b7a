"""The files of the page, read once into memory, so that no request touches the file system."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "static"
INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
"""Only files of these types are sent."""


class StaticFile(NamedTuple):
    """A file of the page.

    Attributes:
        content_type: the media type.
        data: the content.
        tag: the value of the header `ETag`.
    """

    content_type: str
    data: bytes
    tag: str


@lru_cache(maxsize=1)
def read_files() -> dict[str, StaticFile]:
    """Return the files by their path below the folder `static`."""
    return {
        path.relative_to(FOLDER).as_posix(): _read_file(path)
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }


def _read_file(path: Path) -> StaticFile:
    data = path.read_bytes()
    return StaticFile(_TYPES[path.suffix], data, f'"{sha256(data).hexdigest()[:20]}"')
