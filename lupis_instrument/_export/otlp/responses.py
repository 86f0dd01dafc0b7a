"""The result of one export request: the endpoint's answer, and its consequence for the items.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from lupis_instrument._export.otlp.protobuf import read_fields

MAX_REASON_LENGTH = 300
"""The number of characters of an endpoint's own message that are repeated."""
_MAX_RETRY_AFTER = 3600.0
_PROTOBUF = "application/x-protobuf"
_REJECTED_COUNT, _ERROR_MESSAGE = 1, 2
"""Fields of the messages ExportTracePartialSuccess and ExportLogsPartialSuccess."""


class ExportResult(Enum):
    """The consequence of a request for the items in it.

    ACCEPTED: the endpoint has them.
    RETRY: the endpoint may accept them later.
    SPLIT: the endpoint may accept them in smaller requests.
    REFUSED: the endpoint will never accept them.
    """

    ACCEPTED = "accepted"
    RETRY = "retry"
    SPLIT = "split"
    REFUSED = "refused"


_RESULTS = {
    400: ExportResult.SPLIT,
    408: ExportResult.RETRY,
    413: ExportResult.SPLIT,
    422: ExportResult.SPLIT,
    425: ExportResult.RETRY,
    429: ExportResult.RETRY,
}
"""By status, where the result differs from its class: 2xx accepted, 5xx retry, else refused.

OTLP retries only some 5xx statuses; but a collector that is broken today may work tomorrow, and the
store can wait.
"""


class ExportResponse(NamedTuple):
    """The outcome of one request, whether or not the endpoint answered.

    Attributes:
        result: the consequence for the items.
        reason: why the items were not accepted, in a few words.
        status: the HTTP status; None if there was no answer.
        retry_after: the seconds for which the endpoint asks for no more requests.
        rejected: the number of items that the endpoint left out of an accepted request.
    """

    result: ExportResult
    reason: str = ""
    status: int | None = None
    retry_after: float | None = None
    rejected: int = 0


class PartialSuccess(NamedTuple):
    """The part of a response which says that some items of an accepted request were left out.

    Attributes:
        rejected: the number of spans or log records left out.
        reason: the endpoint's own words for it.
    """

    rejected: int = 0
    reason: str = ""


def read_success(body: bytes, content_type: str) -> ExportResponse:
    """Return the outcome of a request that was answered with a status of 2xx."""
    if content_type != _PROTOBUF:
        return ExportResponse(ExportResult.ACCEPTED)
    rejected, reason = read_partial_success(body)
    return ExportResponse(ExportResult.ACCEPTED, reason, rejected=rejected)


def read_failure(status: int, headers: Any) -> ExportResponse:
    """Return the outcome of a request that was answered with another status."""
    by_class = ExportResult.RETRY if status >= 500 else ExportResult.REFUSED  # noqa: PLR2004 - RFC 9110
    return ExportResponse(
        _RESULTS.get(status, by_class),
        f"status {status}",
        status,
        parse_retry_after(headers.get("retry-after")),
    )


def read_partial_success(body: bytes) -> PartialSuccess:
    """Return the partial success in an export response; an unreadable body rejects nothing."""
    rejected, reason = 0, ""
    try:
        for number, message in read_fields(body):
            for field, value in read_fields(message) if number == 1 else ():
                if field == _REJECTED_COUNT:
                    rejected = int(value)
                elif field == _ERROR_MESSAGE:
                    # Imported here because few collectors give a reason.
                    from lupis_instrument._redaction import truncate_text

                    reason = truncate_text(value.decode("utf-8", "replace"), MAX_REASON_LENGTH)
    except (ValueError, TypeError, AttributeError):
        return PartialSuccess()
    return PartialSuccess(rejected, reason)


def parse_retry_after(text: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, at most an hour; None if unreadable.

    https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3: a number of seconds, or a date.
    """
    if not text:
        return None
    if text.strip().isdigit():
        return min(float(text), _MAX_RETRY_AFTER)
    from datetime import datetime, timezone
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(text)
        seconds = (date - datetime.now(date.tzinfo or timezone.utc)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER)
