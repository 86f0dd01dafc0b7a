"""Fixtures that read the facts of an LLM call."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from lupis_instrument._llm.api.endpoints import identify_endpoint
from lupis_instrument._llm.body.body_reader import BodyReader
from lupis_instrument._llm.body.digest import digest_call, parse_request_body

OPENAI = "https://api.openai.com/v1/chat/completions"


def read_call(body, *, url=OPENAI, method="POST", request=None, status=200, headers=(), cut=0):
    """Feed a response body in pieces of `cut` bytes (0: as a whole) and return the facts."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    endpoint = identify_endpoint(method, parts.hostname, parts.port, path)
    assert endpoint is not None, url
    headers = dict(headers)
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    reader = BodyReader(endpoint, headers.get("content-type"), headers.get("content-encoding"))
    for start in range(0, len(body), cut or len(body) or 1):
        reader.feed(body[start : start + (cut or len(body))])
    reader.finish()
    sent = (
        request if request is None or isinstance(request, bytes) else json.dumps(request).encode()
    )
    return digest_call(
        endpoint,
        path=path,
        request=parse_request_body(sent),
        status=status,
        headers=headers,
        body=reader,
    )


@pytest.fixture
def read():
    """A function for one call: `read(body, url=…, request=…, status=…, headers=…, cut=…)`."""
    return read_call
