"""Frames of an AWS event stream, as Bedrock sends them."""

from __future__ import annotations

import base64
import json
import struct
from binascii import crc32
from typing import Any


def frame(payload: Any, **headers: str) -> bytes:
    """A frame with `payload` as JSON; the header `:event-type` is the argument `event_type`."""
    block = b"".join(
        bytes((len(name) + 1,)) + b":" + name.replace("_", "-").encode() + b"\x07"
        + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(block) + len(body), len(block))
    message = prelude + struct.pack(">I", crc32(prelude)) + block + body
    return message + struct.pack(">I", crc32(message))


def event(kind: str, payload: Any) -> bytes:
    """An event of an operation's stream, of the kind `kind`."""
    return frame(payload, event_type=kind, content_type="application/json", message_type="event")


def chunk(payload: Any) -> bytes:
    """A chunk of InvokeModelWithResponseStream: the JSON of the model's API in base64."""
    text = base64.b64encode(json.dumps(payload).encode()).decode()
    return event("chunk", {"bytes": text, "p": "abc"})
