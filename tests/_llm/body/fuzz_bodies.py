"""Fuzzes the reading of response bodies: the facts must not depend on where a body is cut.

usage: python tests/_llm/body/fuzz_bodies.py [LIBFUZZER_OPTION]... [FOLDER]

Needs atheris, which is published for Linux and some versions of Python.
"""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING

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
DECODING_ERRORS = (EncodingError, zlib.error, brotli.error, zstandard.ZstdError)


class StrictDecoder(ResponseDecoder):
    """Raises an unexpected error instead of ignoring the body; records an error of a coding.

    Attributes:
        broken: whether the body is not in its coding.
    """

    __slots__ = ("broken",)

    def finish(self) -> StrictDecoder:
        """Return the decoder itself, as `BodyReader.finish` does."""
        return self

    def _stop_reading(self) -> None:
        """Raise the error that is being handled, unless it is an error of a coding."""
        error = sys.exc_info()[1]
        if isinstance(error, DECODING_ERRORS):
            self.broken = True
        elif error is not None:
            raise error
        super()._stop_reading()


def read_facts(
    pieces: list[bytes], api: str, content_type: str | None, coding: str | None, *, chunked: bool
) -> Facts | None:
    """Return the facts of a body that comes in these pieces; None if it is not in its coding.

    The facts before the error depend on the library that decodes the body, so they don't count.
    """
    endpoint = Endpoint("someone", "chat", api, uses_tokens=True)
    decoder = StrictDecoder(endpoint, content_type, coding, chunked=chunked)
    decoder.broken = False
    for piece in pieces:
        decoder.feed(piece)
    decoder.close()
    facts = digest_call(endpoint, path="/", request={}, status=200, headers={}, body=decoder)
    return None if decoder.broken else facts


def test_one_input(data: bytes) -> None:
    """A body gives the same facts as a whole and in pieces."""
    provider = atheris.FuzzedDataProvider(data)
    format_ = [provider.PickValueInList(list(values)) for values in (APIS, TYPES, CODINGS)]
    chunked = provider.ConsumeIntInRange(0, 9) == 0
    size = provider.ConsumeIntInRange(1, 64)
    body = provider.ConsumeBytes(1 << 20)
    whole = read_facts([body], *format_, chunked=chunked)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    cut = read_facts(pieces, *format_, chunked=chunked)
    assert whole is None or cut is None or whole == cut, (format_, chunked, size, body, whole, cut)


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
