"""How often a request was made before: by the client itself, or by the library that uses it.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import Event

from lupis_instrument import _semconv
from lupis_instrument._tracing.http_call import join_header

if TYPE_CHECKING:
    from lupis_instrument._tracing.http_call import HttpCall

_HEADERS = (
    # openai, anthropic, groq and what else Stainless generates: 0 on the first attempt.
    ("x-stainless-retry-count", re.compile(r"(\d{1,4})\Z"), 0),
    # AWS' SDKs: "ttl=20261125T140000Z; attempt=1; max=3" on the first attempt.
    ("amz-sdk-request", re.compile(r"(?:.*;\s*)?attempt=(\d{1,4})\b"), 1),
)
"""Where libraries say which attempt a request is: header, form, and the first attempt's number."""


def resends_of(http_call: HttpCall) -> int:
    """Return which repetition of its request a call is; 0 for the first attempt."""
    inferred = http_call.count_resends()
    sent = http_call.read_request_headers()
    for name, form, first in _HEADERS:
        found = form.match(join_header(sent, name) or "")
        if found:
            return int(found[1]) - first + http_call.attempts - 1
    return inferred


def earlier_attempts(http_call: HttpCall, start: int) -> list[Event]:
    """Return an event for each attempt that the client made before the last, with its status.

    Args:
        http_call: the call.
        start: when its span began, in nanoseconds since the epoch.
    """
    return [
        Event(
            _semconv.EVENT_ATTEMPT,
            {} if status is None else {_semconv.HTTP_RESPONSE_STATUS_CODE: status},
            start + at - http_call.started,
        )
        for at, status in http_call.earlier_attempts
    ]
