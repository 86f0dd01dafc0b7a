"""Reads the facts of one finished call from its request, its response headers and its body."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Mapping, NamedTuple
from urllib.parse import unquote

from lupis_instrument._llm.api.bills import BILL_HEADERS
from lupis_instrument._llm.api.field_paths import read_path
from lupis_instrument._llm.api.operations import OTHER_API
from lupis_instrument._llm.api.request_fields import (
    FIELDS_BY_MEMBER,
    MESSAGE_LISTS,
    NUMBER,
    OPERATION_OUTPUTS,
    OUTPUT,
    OUTPUT_TYPES,
    TEXTS,
    TOOL_LISTS,
    WORD,
)
from lupis_instrument._llm.body.encodings import build_decoders
from lupis_instrument._llm.body.framing import parse_json
from lupis_instrument._llm.body.json_scanner import JsonScanner
from lupis_instrument._llm.body.long_lists import LongLists
from lupis_instrument._llm.conversation.long_texts import RequestMembers, replace_long_texts
from lupis_instrument._llm.usage.facts import MAX_TOOLS, Facts, read_tool_name
from lupis_instrument._llm.usage.report import read_usage
from lupis_instrument._llm.usage.stated_cost import read_header_cost
from lupis_instrument._llm.usage.usage import Usage

if TYPE_CHECKING:
    from lupis_instrument._llm.api.endpoints import Endpoint
    from lupis_instrument._llm.api.field_paths import FieldPath
    from lupis_instrument._llm.api.request_fields import ValueKind
    from lupis_instrument._llm.body.body_reader import BodyReader
    from lupis_instrument._llm.body.encodings import Write
    from lupis_instrument._llm.usage.facts import ResponseFacts
    from lupis_instrument._llm.usage.usage import Round

_FIRST_ERROR_STATUS = 400
# A header of Bedrock -> the name of its count in a usage report:
# docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-response headers
_HEADER_COUNTS = {
    "x-amzn-bedrock-input-token-count": "inputTokenCount",
    "x-amzn-bedrock-output-token-count": "outputTokenCount",
    "x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokenCount",
    "x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokenCount",
}
_ERROR_HEADER = "x-amzn-errortype"
_DEFERRED_APIS = frozenset(("openai.chat", "openai.videos"))
# All tokens of these operations are input, so a total is enough: Voyage's embeddings report only
# a total.
_INPUT_ONLY_OPERATIONS = frozenset(("classify", "embeddings", "rerank"))
# docs.mistral.ai/api/endpoint/ocr: pages with annotations cost more.
_ANNOTATION_NAMES = ("bbox_annotation_format", "document_annotation_format")
_SPEECH, _TRANSCRIPTION = "speech", "transcription"

_MAX_PARSED_BYTES = 4 << 20
"""The largest request body that is parsed: parsing is faster than scanning, and takes less time
than the program needed to write the body."""
_MAX_ESCAPES = 100_000
"""Parsing holds the interpreter's lock, and undoing escapes is its slowest part."""
_MAX_VALUES = 400_000
"""Values take much more memory than their text."""
_LARGE_BODY_BYTES = 64 * 1024
"""The size of a body from which on long texts and long lists are not parsed."""
_MAX_TRIES = 8
_BLOCK_BYTES = 64 * 1024
_MODEL_NAMES = ("model", "model_id", "modelId", "version")
_REQUEST_NAMES: frozenset[str] = frozenset((*_MODEL_NAMES, "stream"))
_WHOLE_NAMES: frozenset[str] = frozenset()
_MAX_TEXT = 256
_MAX_TEXTS = 16
_MAX_STOP_TEXT = 64
_MAX_NUMBER = 2**63
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-]{0,127}")

# Paths that name the model: one row for each API.
_MODEL_PATHS = tuple(
    re.compile(pattern)
    for pattern in (
        r"/model/([^/?]+)/[a-z-]+",  # Bedrock: an id, an ARN, an inference profile
        r"/(?:models|tunedModels|endpoints)/([^/?]+):[A-Za-z]+(?:\?|$)",  # Gemini, Vertex AI
        r"/deployments/([^/?]+)/",  # Azure OpenAI
        r"/(?:serving-)?endpoints/([^/?]+)/invocations",  # Databricks, SageMaker
        r"/models/([^/?]+/[^/?]+)/(?:predictions|v1/|pipeline/)",  # Replicate, Hugging Face
        r"^/(?:models|pipeline/[a-z-]+)/(?!chat/completions)([^?]+)$",  # Hugging Face
        r"/ai/run/(@[^?]+)",  # Cloudflare
        r"^/v1/inference/([^?]+)",  # DeepInfra
        r"/engines/([^/?]+)/",  # OpenAI's first API
        r"/(?:realtime|responses)/?\?(?:.*&)?(?:model|deployment)=([^&]+)",  # WebSockets
    )
)
_STREAM_PATH = re.compile(
    r":stream[A-Z]|/[a-z-]*-stream(?:\?|$)|_stream(?:\?|$)|[?&]alt=sse"
)  # fmt: skip
_FORM_FIELD = re.compile(
    rb'name="(model|stream)"[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n([^\r\n]{1,256})\r?\n'
)
_FORM_END_BYTES = 64 * 1024


class RequestFacts(NamedTuple):
    """The facts that a request's body and path state; None if neither states one.

    Attributes:
        model: the model that the request names.
        stream: whether the request asks for a stream.
        text_length: the length in characters of the text in `input`, which a speech request has.
    """

    model: str | None = None
    stream: bool | None = None
    text_length: int | None = None


def digest_call(
    endpoint: Endpoint,
    *,
    path: str,
    request: Mapping[str, Any],
    status: int | None,
    headers: Mapping[str, str],
    body: BodyReader | None,
) -> Facts:
    """Return the facts of one finished call.

    This can take a while, so call it on a background thread, not on the program's.

    Args:
        endpoint: the result of `identify_endpoint` for the request.
        path: the request's path, with its query.
        request: the members of the request's body, from `parse_request_body`.
        status: the response's status; None if there was no response.
        headers: the response's headers, names in lower case.
        body: the reader that was fed the response's body; None if there was none.
    """
    model, stream, text_length = read_request_facts(path, request)
    known = _read_parameters(endpoint, request)
    failed = status is not None and status >= _FIRST_ERROR_STATUS
    error = _read_error_header(headers) if failed else None
    if body is None:
        return Facts(model, stream=bool(stream), error_type=error, **known)
    decoder = body.finish()
    response = decoder.facts
    error = response.error_type or error
    stream = stream or decoder.is_stream
    if endpoint.api == OTHER_API:
        # A file, a list or a stored setting: the models that it names were not called.
        return Facts(model, stream=stream, error_type=error, body_outcome=decoder.body_outcome)
    reported = None if failed else _find_usage(endpoint, response, headers)
    if reported and (reported.rounds or reported.document_pages):
        reported = _complete_usage(reported, request)
    usage = reported if endpoint.uses_tokens else None
    if endpoint.operation == _SPEECH and text_length and endpoint.uses_tokens and not failed:
        usage = (usage or Usage())._replace(input_characters=text_length)
    return Facts(
        request_model=model,
        response_model=response.model,
        response_id=response.id,
        finish_reasons=response.finish_reasons,
        usage=usage,
        stream=stream,
        service_tier=response.tier,
        speed=response.speed,
        geography=response.geography,
        waiting=response.waiting or _is_deferred(endpoint, response),
        stored_usage=None if endpoint.uses_tokens else reported,
        error_type=error,
        body_outcome=decoder.body_outcome,
        conversation_id=response.conversation_id,
        answer_hash=response.answer_hash,
        job_id=response.job if endpoint.uses_tokens else _read_last_segment(path),
        called_tools=tuple(response.tools.values()),
        **known,
    )


def _is_deferred(endpoint: Endpoint, response: ResponseFacts) -> bool:
    return endpoint.api in _DEFERRED_APIS and response.job is not None and response.is_only_job


def _read_last_segment(path: str) -> str:
    return path.partition("?")[0].rpartition("/")[2][:_MAX_TEXT]


def _find_usage(
    endpoint: Endpoint, response: ResponseFacts, headers: Mapping[str, str]
) -> Usage | None:
    usage = response.find_usage(endpoint.provider) or read_usage(_read_header_counts(headers))
    if endpoint.operation == _TRANSCRIPTION and response.duration is not None:
        usage = usage or Usage()
        if usage.audio_seconds is None:
            usage = usage._replace(audio_seconds=response.duration)
    if usage and usage.input_tokens is None and endpoint.operation in _INPUT_ONLY_OPERATIONS:
        usage = usage._replace(input_tokens=usage.total_tokens)
    if not BILL_HEADERS.isdisjoint(headers) and (usage is None or usage.stated_cost is None):
        return (usage or Usage())._replace(stated_cost=read_header_cost(headers))
    return usage


def _complete_usage(usage: Usage, request: Mapping[str, Any]) -> Usage:
    """Return the usage with facts that only the request states.

    They are the models of tools, and whether pages of documents are to be annotated.
    """
    if usage.document_pages and any(request.get(name) for name in _ANNOTATION_NAMES):
        usage = usage._replace(annotated_pages=usage.document_pages)
    if any(row.tool for row in usage.rounds):
        rounds = (row._replace(model=_find_tool_model(row, request)) for row in usage.rounds)
        usage = usage._replace(rounds=tuple(rounds))
    return usage


def _find_tool_model(row: Round, request: Mapping[str, Any]) -> str | None:
    tools = request.get("tools") if row.tool and row.model is None else None
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and tool.get("type") == row.tool:
            return tool["model"] if _is_model_name(tool.get("model")) else None
    return row.model


def _read_header_counts(headers: Mapping[str, str]) -> dict[str, Any]:
    values = {name: headers.get(header, "") for header, name in _HEADER_COUNTS.items()}
    return {name: int(value) for name, value in values.items() if value.isdecimal()}


def _read_error_header(headers: Mapping[str, str]) -> str | None:
    word = headers.get(_ERROR_HEADER, "").partition(":")[0]
    return word if word.isidentifier() else None


def read_request_facts(path: str, request: Mapping[str, Any]) -> RequestFacts:
    """Return the facts of a request's path and of its body's members from `parse_request_body`."""
    models = (request.get(name) for name in _MODEL_NAMES)
    model = next((model for model in models if _is_model_name(model)), None)
    stream = request.get("stream")
    if _STREAM_PATH.search(path):
        stream = True
    text = request.get("input")
    return RequestFacts(
        model or _find_path_model(path),
        stream if isinstance(stream, bool) else None,
        len(text) if isinstance(text, str) else None,
    )


def _read_parameters(endpoint: Endpoint, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Facts` that describe the request beyond its model."""
    if endpoint.api == OTHER_API:
        return {}
    parameters: dict[str, Any] = {}
    for member in request:
        for field, path in FIELDS_BY_MEMBER.get(member, ()):
            value = read_path(request[member], path) if path else request[member]
            checked = _check_parameter(field.kind, value) if value is not None else None
            if checked is not None:
                parameters.setdefault(field.name, checked)
    if endpoint.operation in OPERATION_OUTPUTS:
        parameters["output_type"] = OPERATION_OUTPUTS[endpoint.operation]
    tools = next((tools for tools in _read_lists(request, TOOL_LISTS) if tools), [])
    messages = next(_read_lists(request, MESSAGE_LISTS), None)
    return {
        "parameters": parameters,
        "tool_count": len(tools) or None,
        "offered_tools": _list_tool_names(tools) if tools else (),
        "message_count": len(messages) if messages is not None else None,
    }


def _check_parameter(kind: ValueKind, value: Any) -> Any:
    """Return a parameter's value as an attribute can hold it; None if it is not of the kind."""
    if kind is TEXTS:
        texts = [value] if isinstance(value, str) else value
        is_short = isinstance(texts, list) and 0 < len(texts) <= _MAX_TEXTS
        return tuple(texts) if is_short and all(map(_is_short_text, texts)) else None
    if kind is OUTPUT:
        return OUTPUT_TYPES.get(value) if isinstance(value, str) else None
    if kind is WORD:
        return value if isinstance(value, str) and _WORD.fullmatch(value) else None
    if type(value) not in (int, float) or not abs(value) < _MAX_NUMBER:
        return None
    if kind is NUMBER:
        return float(value)
    return value if type(value) is int else None


def _is_short_text(text: Any) -> bool:
    return isinstance(text, str) and len(text) <= _MAX_STOP_TEXT


def _read_lists(request: Mapping[str, Any], paths: Iterable[FieldPath]) -> Iterator[list[Any]]:
    for path in paths:
        value = request.get(path[0])
        value = read_path(value, path[1:]) if path[1:] else value
        if isinstance(value, list):
            yield value


def _list_tool_names(tools: list[Any]) -> tuple[str, ...]:
    """Return the names of tools; a tool of the provider has a type, such as `web_search`."""
    names: list[str | None] = []
    for tool in tools[:MAX_TOOLS]:
        if not isinstance(tool, dict):
            continue
        declared = tool.get("functionDeclarations") or tool.get("function_declarations")
        for function in declared if isinstance(declared, list) else [tool]:
            inner = tool.get("function") or tool.get("toolSpec") or function
            source = inner if isinstance(inner, dict) else tool
            names.append(read_tool_name(source.get("name") or source.get("type")))
    return tuple(name for name in names[:MAX_TOOLS] if name is not None)


def _find_path_model(path: str) -> str | None:
    for pattern in _MODEL_PATHS:
        match = pattern.search(path)
        if match:
            return unquote(match.group(1))[:_MAX_TEXT]
    return None


def _is_model_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT


class RequestReader:
    """Reads the bodies of requests, the large ones with the help of the requests before."""

    def __init__(self) -> None:
        self._long_lists = LongLists(_has_few_values)

    def read_body(self, pieces: list[bytes], *, cut: bool = False) -> Mapping[str, Any]:
        """Return the members of a request's body, as `parse_request_body` does.

        Args:
            pieces: the pieces of the body.
            cut: whether the middle is missing: behind the first piece is the end of the body.
        """
        if cut:
            return _read_ends(pieces[0], b"".join(pieces[1:]))
        body = b"".join(pieces)
        if len(body) <= _LARGE_BODY_BYTES or not body[:_BLOCK_BYTES].lstrip().startswith(b"{"):
            return parse_request_body(body)
        return self._read_large_body(body) or parse_request_body(body)

    def _read_large_body(self, body: bytes) -> Mapping[str, Any] | None:
        short_body, long_texts = replace_long_texts(body)
        members: Any = None
        if len(short_body) > _LARGE_BODY_BYTES:
            members = self._long_lists.read_members(short_body)
        if members is None and _is_quickly_parsed(short_body):
            members = parse_json(short_body)
        if not isinstance(members, dict):
            return None
        if long_texts and isinstance(members.get("input"), str):
            return None  # the length of this text counts: see `RequestFacts`
        return RequestMembers(members, long_texts)


def parse_request_body(body: bytes | None) -> Mapping[str, Any]:
    """Return the members of a request's body.

    All members are returned if the body is JSON of up to 4 MiB, compressed or not. If the body is
    larger, cut off, full of escapes or of small values, only the members that name the model and
    the stream are.
    """
    if not body:
        return {}
    if body.startswith(b"--"):
        return _parse_form(body)
    value = parse_json(body) if _is_quickly_parsed(body) else None
    return value if isinstance(value, dict) else _scan_request(body)


def _is_quickly_parsed(body: bytes) -> bool:
    """Return whether parsing a JSON text takes little time and memory."""
    if len(body) > _MAX_PARSED_BYTES:
        return False
    if len(body) <= 2 * _MAX_ESCAPES:  # an escape takes at least two bytes
        return True
    return _has_few_values(body) and body.count(b"\\") <= _MAX_ESCAPES


def _has_few_values(body: bytes) -> bool:
    """Return whether the values of a JSON text take little memory.

    The escapes in a long list do not matter: its messages are parsed one by one, and other threads
    run in between.
    """
    return sum(map(body.count, (b",", b"[", b"{"))) <= _MAX_VALUES


def _read_ends(start: bytes, end: bytes) -> dict[str, Any]:
    """Return the members that name the model and the stream of a body without its middle.

    A member at the end is surely the object's own, and not of an object in it, if the text from its
    name on and an opening brace are an object.
    """
    if start.startswith(b"--"):
        return _parse_form(start + end)
    members = _scan_request(start[:_BLOCK_BYTES])  # mostly, the model comes first or last
    for name in _REQUEST_NAMES - members.keys():
        key = json.dumps(name).encode()
        position = len(end)
        for _ in range(_MAX_TRIES):
            position = end.rfind(key, 0, position)
            value = parse_json(b"{" + end[position:]) if position >= 0 else None
            if isinstance(value, dict):
                members[name] = value[name]
            if position < 0 or isinstance(value, dict):
                break
    return members if "model" in members else {**_scan_request(start), **members}


def _scan_request(body: bytes) -> dict[str, Any]:
    """Return the members of a body that is compressed or not quickly parsed."""
    members: dict[str, Any] = {}
    scanner = JsonScanner(_REQUEST_NAMES, _WHOLE_NAMES, members.update)
    decoded = bytearray()

    def scan_piece(data: bytes) -> None:
        scanner.feed(data)
        if len(decoded) <= _MAX_PARSED_BYTES:
            decoded.extend(data)

    try:
        _decode_body(body, scan_piece)
        scanner.close()
    except Exception:
        pass  # each coding has its own error; the members before a broken byte still count
    text = bytes(decoded) if decoded != body else b""
    value = parse_json(text) if text and _is_quickly_parsed(text) else None
    return value if isinstance(value, dict) else members


def _decode_body(body: bytes, write: Write) -> None:
    decoders = build_decoders(None, write)  # some clients compress their requests
    for start in range(0, len(body), _BLOCK_BYTES):
        decoders[0].feed(body[start : start + _BLOCK_BYTES])
    for decoder in decoders:
        decoder.close()


def _parse_form(body: bytes) -> dict[str, Any]:
    """Return the fields of multipart/form-data.

    A file may be between the fields, so the beginning and the end of the body are searched.
    """
    is_short = len(body) <= 2 * _FORM_END_BYTES
    ends = body if is_short else body[:_FORM_END_BYTES] + body[-_FORM_END_BYTES:]
    form: dict[str, Any] = {
        name.decode(): value.decode("utf-8", "replace") for name, value in _FORM_FIELD.findall(ends)
    }
    if "stream" in form:
        form["stream"] = form["stream"].lower() in ("true", "1")
    return form
