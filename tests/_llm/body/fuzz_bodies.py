"""Feeds a body reader what a coverage-guided fuzzer thinks of, whole and cut, and compares.

usage: python tests/_llm/fuzz_bodies.py [LIBFUZZER_OPTION]... [FOLDER]

Needs atheris, which runs where its makers build it: Linux, some versions of Python.
"""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Callable

import atheris

with atheris.instrument_imports(include=["lupis_instrument._llm"]):
    from lupis_instrument._llm.api.endpoints import Endpoint
    from lupis_instrument._llm.body.decoding import ResponseDecoder
    from lupis_instrument._llm.body.digest import digest_call
    from lupis_instrument._llm.body.encodings import EncodingError

import brotli
import zstandard

if TYPE_CHECKING:
    from lupis_instrument._llm.usage.facts import Facts

APIS = ("openai.chat", "openai.responses", "anthropic.messages", "gemini", "bedrock.converse",
        "bedrock.agent", "ollama.chat", "cohere.chat", "watsonx", "unheard-of")  # fmt: skip
TYPES = (None, "text/event-stream", "application/json", "application/x-ndjson")
CODINGS = (None, "gzip", "deflate", "br", "zstd", "gzip, br")
OF_CODINGS = (EncodingError, zlib.error, brotli.error, zstandard.ZstdError)


class Strict(ResponseDecoder):
    """Says what went wrong instead of giving the body up."""

    __slots__ = ("broken",)

    def finish(self) -> Strict:
        """Stand in for the body reader that would have fed it."""
        return self

    def _guard(self, step: Callable[..., object], *arguments: bytes) -> None:
        try:
            step(*arguments)
        except OF_CODINGS:
            self.broken = True


def read(
    pieces: list[bytes], api: str, kind: str | None, coding: str | None, *, chunked: bool
) -> Facts | None:
    """Read the facts of a body that comes in these pieces; None if it is no such coding.

    What such a body gives before it breaks is up to the library that decodes it.
    """
    endpoint = Endpoint("someone", "chat", api, uses_tokens=True)
    reading = Strict(endpoint, kind, coding, chunked=chunked)
    reading.broken = False
    for piece in pieces:
        reading.feed(piece)
    reading.close()
    facts = digest_call(endpoint, path="/", request={}, status=200, headers={}, body=reading)
    return None if reading.broken else facts


def test_one(data: bytes) -> None:
    """Any cut of a body gives the same facts."""
    given = atheris.FuzzedDataProvider(data)
    how = [given.PickValueInList(list(each)) for each in (APIS, TYPES, CODINGS)]
    chunked = given.ConsumeIntInRange(0, 9) == 0
    size = given.ConsumeIntInRange(1, 64)
    body = given.ConsumeBytes(1 << 20)
    whole = read([body], *how, chunked=chunked)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    cut = read(pieces, *how, chunked=chunked)
    assert whole is None or cut is None or whole == cut, (how, chunked, size, body, whole, cut)


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one)
    atheris.Fuzz()
