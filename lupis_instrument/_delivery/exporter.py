"""Where spans go: OTLP/HTTP, the terminal, or nowhere."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Protocol, Sequence
from urllib.parse import urlsplit

from lupis_instrument._addresses import is_loopback
from lupis_instrument._delivery.console import render
from lupis_instrument._delivery.quiet import take_reason
from lupis_instrument._diagnostics import report_fault, warn

if TYPE_CHECKING:
    from typing import Any, Mapping

    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._config import LupisConfig

_PROBE_SECONDS = 0.5
MOST_BYTES = 4 << 20
"""A span bigger than this must not fail its batch; receivers refuse requests of 20 MB or so."""


class Exporter(Protocol):
    """What takes the batches of finished spans; called on the worker's thread only."""

    def export(self, spans: Sequence[ReadableSpan]) -> int:
        """Deliver `spans`; returns how many arrived."""

    def shutdown(self) -> None:
        """Stop waiting for anything, and close what is open; `export` opens it anew."""


class Nowhere:
    """Takes spans and keeps none."""

    def export(self, spans: Sequence[ReadableSpan]) -> int:
        """Succeed."""
        return len(spans)

    def shutdown(self) -> None:
        """Do nothing."""


class Console:
    """Writes each batch to stderr, a tree a trace."""

    def export(self, spans: Sequence[ReadableSpan]) -> int:
        """Write `spans`."""
        sys.stderr.write(render(spans))
        sys.stderr.flush()
        return len(spans)

    def shutdown(self) -> None:
        """Do nothing."""


class Otlp:
    """Sends batches by upstream's OTLP/HTTP exporter, which is loaded with the first of them."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], *, probe: bool) -> None:
        """Send to `endpoint`.

        Args:
            endpoint: the full URL.
            headers: added to each request.
            probe: look first whether anything listens there, and give up at once if not.
        """
        self._endpoint = endpoint
        self._headers = headers
        self._probe = probe
        self._exporter: Any = None

    def export(self, spans: Sequence[ReadableSpan]) -> int:
        """Send `spans`, with upstream's retries."""
        if self._probe and not _answers(self._endpoint):
            warn(
                f"no collector answers at {self._endpoint}: spans are not kept; set "
                "LUPIS_OTLP_ENDPOINT, or LUPIS_EXPORTER=console to see them here"
            )
            return 0
        if self._exporter is None:
            self._exporter = _otlp_exporter(self._endpoint, self._headers)
        exporter = self._exporter
        sent = _export(exporter, spans)
        if sent < len(spans) and exporter is self._exporter:  # else its end cut it short
            reason = take_reason()
            warn(f"cannot deliver spans to {self._endpoint}" + (f": {reason}" if reason else ""))
        return sent

    def shutdown(self) -> None:
        """Cut short the wait for the next attempt."""
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            exporter.shutdown()


def _export(exporter: Any, spans: Sequence[ReadableSpan]) -> int:
    """Send `spans`, or, should that fail, those that can be sent; returns how many arrived."""
    if _succeeds(exporter, spans):
        return len(spans)
    fit = [span for span in spans if _is_fit(span)]
    if len(fit) == len(spans):
        return 0
    warn(f"{len(spans) - len(fit)} spans that are too big or cannot be encoded are dropped")
    return len(fit) if fit and _succeeds(exporter, fit) else 0


def _succeeds(exporter: Any, spans: Sequence[ReadableSpan]) -> bool:
    try:
        succeeded: bool = exporter.export(spans).name == "SUCCESS"
    except Exception as fault:  # older releases let encoding errors out
        report_fault("exporting spans", fault)
        return False
    return succeeded


def _is_fit(span: ReadableSpan) -> bool:
    """Tell whether a span can be sent: a lone surrogate in its name, for one, cannot."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    try:
        return bool(encode_spans([span]).ByteSize() <= MOST_BYTES)
    except Exception:
        return False


def _answers(endpoint: str) -> bool:
    parts = urlsplit(endpoint)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=_PROBE_SECONDS):
            return True
    except (OSError, ValueError):
        return False


def _otlp_exporter(endpoint: str, headers: Mapping[str, str]) -> Any:
    import os

    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.environment_variables import (
        OTEL_EXPORTER_OTLP_COMPRESSION,
        OTEL_EXPORTER_OTLP_TRACES_COMPRESSION,
    )

    chosen = {OTEL_EXPORTER_OTLP_COMPRESSION, OTEL_EXPORTER_OTLP_TRACES_COMPRESSION} & set(
        os.environ
    )
    return OTLPSpanExporter(
        endpoint=endpoint,
        headers=dict(headers),
        compression=None if chosen else Compression.Gzip,
        session=_direct_session(endpoint),
    )


def _direct_session(endpoint: str) -> Any:
    """Return a session that asks no proxy, where one is set but the endpoint is on this machine."""
    from urllib.request import getproxies

    if not is_loopback(urlsplit(endpoint).hostname or "") or not getproxies():
        return None
    try:
        import requests
    except ImportError:
        return None  # then upstream sends through urllib3, which asks for no proxy by itself

    session = requests.Session()
    session.trust_env = False
    return session


def build(config: LupisConfig, headers: Mapping[str, str], *, default_endpoint: bool) -> Exporter:
    """Return the exporter that `LUPIS_EXPORTER` names."""
    makers: dict[str, Any] = {
        "otlp": lambda: Otlp(config.otlp_endpoint, headers, probe=default_endpoint),
        "console": Console,
        "none": Nowhere,
    }
    exporter: Exporter = makers[config.exporter]()
    return exporter
