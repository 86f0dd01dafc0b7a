"""Fetches a newer catalog of prices for `lupis prices --update`."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from lupis_instrument._config.config import resolve_settings
from lupis_instrument._config.price_catalog import store_catalog
from lupis_instrument._llm.api.addresses import is_loopback
from lupis_instrument._llm.pricing.catalog import PriceCatalog, load_catalog
from lupis_instrument._llm.pricing.catalog_source import convert_source

if TYPE_CHECKING:
    from typing import Mapping

SOURCE_URL = (
    "https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/new_data/v2/data.json"
)
"""The address from which genai-prices itself fetches newer prices."""
_MAX_BYTES = 32 << 20
_SECONDS = 30.0
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]+):")
_DIGEST_HEADERS = ("content-digest", "repr-digest")  # RFC 9530


class UpdateError(Exception):
    """The prices were not updated; the message says why."""


class Update(NamedTuple):
    """A stored catalog.

    Attributes:
        path: the path of the file.
        catalog: the stored catalog.
        models: the number of its models.
    """

    path: Path
    catalog: PriceCatalog
    models: int


def update_prices(source: str = SOURCE_URL) -> Update:
    """Fetch newer prices, check them, and store them in the data folder.

    Args:
        source: the URL or the path of the data file of genai-prices.

    Raises:
        UpdateError: the data can't be fetched, is damaged or implausible, or can't be stored. The
            catalog that was used before remains.
    """
    try:
        text = _fetch_url(source) if "://" in source else _read_file(source)
        today = datetime.now(timezone.utc).date()
        content = convert_source(text, load_catalog(), today)
        catalog = PriceCatalog(content)
        models = sum(len(catalog.list_models(row)) for row in catalog.price_lists.values())
        data_dir = resolve_settings(os.environ, None, launched=True).config.data_dir
        return Update(store_catalog(data_dir, content), catalog, models)
    except (OSError, ValueError) as error:
        raise UpdateError(f"{source}: {error}") from None


def _read_file(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return _check_length(file.read(_MAX_BYTES + 1))


def _fetch_url(url: str) -> bytes:
    """Return the content of a URL, checked by its digest if the server sends one."""
    from urllib.request import Request, urlopen  # takes 30 ms, and only an update needs it

    _check_scheme(url)
    request = Request(url, headers={"accept": "application/json"})  # noqa: S310 - checked above
    with urlopen(request, timeout=_SECONDS) as response:  # noqa: S310 - checked above
        _check_scheme(response.url)
        content = _check_length(response.read(_MAX_BYTES + 1))
        _check_digest(content, response.headers)
    return content


def _check_scheme(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and is_loopback(parts.hostname or "")
    ):
        raise ValueError("only https is allowed")


def _check_length(content: bytes) -> bytes:
    if len(content) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES >> 20} MiB")
    return content


def _check_digest(content: bytes, headers: Mapping[str, str]) -> None:
    for name in _DIGEST_HEADERS:
        match = _DIGEST.search(headers.get(name) or "")
        digest = hashlib.sha256(content).digest()
        if match and base64.b64encode(digest).decode() != match.group(1):
            raise ValueError("the checksum differs")
