"""Reads provider, model, ids and token usage out of the exchanges of LLM APIs.

Pure: bytes and mappings in, tuples out; no I/O, no HTTP client, no OpenTelemetry, no environment.
`identify` tells whether a request goes to an LLM API, `BodyReader` watches the response's body
while the program reads it, `digest` afterwards says what the exchange was.
"""

from __future__ import annotations

from lupis_instrument._llm.bodies import BodyReader
from lupis_instrument._llm.digest import digest
from lupis_instrument._llm.endpoints import Endpoint, identify
from lupis_instrument._llm.facts import Facts
from lupis_instrument._llm.operations import OTHER_API
from lupis_instrument._llm.requests import RequestFacts
from lupis_instrument._llm.usage import Usage

__all__ = [
    "OTHER_API",
    "BodyReader",
    "Endpoint",
    "Facts",
    "RequestFacts",
    "Usage",
    "digest",
    "identify",
]
