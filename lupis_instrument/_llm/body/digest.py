"""Puts together what one finished exchange was: the facts of request, headers and body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from lupis_instrument._llm.api.operations import OTHER_API
from lupis_instrument._llm.body.requests import read_request
from lupis_instrument._llm.usage.facts import Facts
from lupis_instrument._llm.usage.usage import Usage, read_usage

if TYPE_CHECKING:
    from lupis_instrument._llm.api.endpoints import Endpoint
    from lupis_instrument._llm.body.body_reader import BodyReader
    from lupis_instrument._llm.usage.facts import Gathering

_ERROR = 400
# docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-response headers -> report names
_HEADER_COUNTS = {
    "x-amzn-bedrock-input-token-count": "inputTokenCount",
    "x-amzn-bedrock-output-token-count": "outputTokenCount",
    "x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokenCount",
    "x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokenCount",
}
# Where all tokens are input, so that a total is as good: Voyage's embeddings report nothing else.
_INPUT_ONLY = frozenset(("embeddings", "rerank"))
_SPEECH, _TRANSCRIPTION = "speech", "transcription"
_ERROR_HEADER = "x-amzn-errortype"


def digest(
    endpoint: Endpoint,
    *,
    path: str,
    asked: Mapping[str, Any],
    status: int | None,
    headers: Mapping[str, str],
    body: BodyReader | None,
) -> Facts:
    """Gather the facts of one exchange.

    It takes its time, so it is not for the program's own thread.

    Args:
        endpoint: what `identify` said of the request.
        path: the request's path, with its query.
        asked: the members of the request's body, from `read_body`.
        status: the response's status; None if there was no response.
        headers: the response's headers, names in lower case.
        body: the reader that was fed the response's body; None if there was none.
    """
    model, stream, text_length = read_request(path, asked)
    failed = status is not None and status >= _ERROR
    error = _read_error_header(headers) if failed else None
    if body is None:
        return Facts(model, stream=bool(stream), error_type=error)
    reading = body.finish()
    seen = reading.gathering
    error = seen.error_type or error
    stream = stream or reading.is_stream
    if endpoint.api == OTHER_API:
        # A file, a list, a stored setting: what it says of models is no call's.
        return Facts(model, stream=stream, error_type=error, ending=reading.ending)
    told = _find_usage(endpoint, seen, headers) if not failed else None
    usage = told if endpoint.counts else None
    if endpoint.operation == _SPEECH and text_length and endpoint.counts and not failed:
        usage = (usage or Usage())._replace(input_characters=text_length)
    return Facts(
        request_model=model,
        response_model=seen.model,
        response_id=seen.id,
        finish_reasons=seen.finish_reasons,
        usage=usage,
        stream=stream,
        service_tier=seen.tier,
        speed=seen.speed,
        geography=seen.geography,
        waiting=seen.waiting,
        stored=None if endpoint.counts else told,
        error_type=error,
        ending=reading.ending,
        conversation=seen.conversation,
        answer_hash=seen.answer_hash,
    )


def _find_usage(endpoint: Endpoint, seen: Gathering, headers: Mapping[str, str]) -> Usage | None:
    usage = seen.usage() or read_usage(_read_header_counts(headers))
    if endpoint.operation == _TRANSCRIPTION and seen.duration is not None:
        usage = usage or Usage()
        if usage.audio_seconds is None:
            usage = usage._replace(audio_seconds=seen.duration)
    if usage and usage.input_tokens is None and endpoint.operation in _INPUT_ONLY:
        return usage._replace(input_tokens=usage.total_tokens)
    return usage


def _read_header_counts(headers: Mapping[str, str]) -> dict[str, Any]:
    values = {name: headers.get(header, "") for header, name in _HEADER_COUNTS.items()}
    return {name: int(value) for name, value in values.items() if value.isdecimal()}


def _read_error_header(headers: Mapping[str, str]) -> str | None:
    word = headers.get(_ERROR_HEADER, "").partition(":")[0]
    return word if word.isidentifier() else None
