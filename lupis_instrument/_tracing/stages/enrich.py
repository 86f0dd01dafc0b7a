"""Third stage: what the wire showed of a call, as attributes of its span."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Status, StatusCode

from lupis_instrument import _semconv
from lupis_instrument._llm.body.digest import digest_call, parse_request_body
from lupis_instrument._llm.pricing.prices import price_call
from lupis_instrument._llm.usage.background_jobs import BackgroundJobs
from lupis_instrument._tracing.http_call import parse_url
from lupis_instrument._tracing.resends import earlier_attempts, resends_of

if TYPE_CHECKING:
    from typing import Iterable

    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._llm.api.endpoints import Endpoint
    from lupis_instrument._llm.pricing.own_prices import OwnPrices
    from lupis_instrument._llm.usage.facts import Facts
    from lupis_instrument._llm.usage.report import Usage
    from lupis_instrument._tracing.draft import Draft
    from lupis_instrument._tracing.http_call import HttpCall, ResponseBody

_FIRST_ERROR_STATUS = 400
_BROKEN_FRAMING = "IncompleteRead"  # what http.client and urllib3 make of it

STABLE_NAMES = {
    "http.method": _semconv.HTTP_REQUEST_METHOD,
    "http.status_code": _semconv.HTTP_RESPONSE_STATUS_CODE,
    "http.url": _semconv.URL_FULL,
}
"""What instrumentors call it that were set up before the stable conventions were asked for."""

USAGE_NAMES = (
    ("input_tokens", (_semconv.GEN_AI_USAGE_INPUT_TOKENS,)),
    ("output_tokens", (_semconv.GEN_AI_USAGE_OUTPUT_TOKENS,)),
    ("cache_read_tokens", (_semconv.GEN_AI_USAGE_CACHE_READ,)),
    (
        "cache_write_tokens",
        (_semconv.GEN_AI_USAGE_CACHE_WRITE, _semconv.GEN_AI_USAGE_CACHE_CREATION),
    ),
    ("reasoning_tokens", (_semconv.GEN_AI_USAGE_REASONING,)),
    ("total_tokens", (_semconv.LUPIS_USAGE_TOTAL_TOKENS,)),
)


COST_NAMES = (
    ("status", _semconv.LUPIS_COST_STATUS),
    ("reason", _semconv.LUPIS_COST_REASON),
    ("input", _semconv.LUPIS_COST_INPUT),
    ("output", _semconv.LUPIS_COST_OUTPUT),
    ("cache", _semconv.LUPIS_COST_CACHE),
    ("total", _semconv.LUPIS_COST_TOTAL),
    ("catalog", _semconv.LUPIS_COST_CATALOG),
)


class Enrich:
    """Adds HTTP attributes to every call, GenAI attributes and cost to those of LLM APIs."""

    def __init__(self, config: LupisConfig, own_prices: OwnPrices | None = None) -> None:
        """Take from `config` which headers are wanted; price by `own_prices` first."""
        self._globs = [glob.lower() for glob in config.capture_headers]
        self._own_prices = own_prices
        self._pending = BackgroundJobs()
        self._name_header = lru_cache(maxsize=1024)(self._find_header_name)

    def __call__(self, draft: Draft) -> Draft:
        """Return the draft with what its exchange shows."""
        for old, stable in STABLE_NAMES.items():
            if old in draft.attributes:
                draft.attributes.setdefault(stable, draft.attributes.pop(old))
        http_call = draft.record.http_call
        if http_call is not None and http_call.attempts:
            self._add_http(draft, http_call)
            if http_call.endpoint is not None:
                facts = self._add_genai(draft, http_call, http_call.endpoint)
                self._add_cost(draft, http_call, http_call.endpoint, facts)
        _add_error_type(draft)
        return draft

    def _add_genai(self, draft: Draft, http_call: HttpCall, endpoint: Endpoint) -> Facts:
        draft.asked = parse_request_body(b"".join(http_call.request_body))
        facts = digest_call(
            endpoint,
            path=parse_url(http_call.url).path,
            request=draft.asked,
            status=http_call.status,
            headers={name.lower(): value for name, value in http_call.response_headers},
            body=http_call.body.reader if http_call.body is not None else None,
        )
        facts = draft.facts = self._pending.assign_usage(endpoint, facts)
        attributes = draft.attributes
        attributes[_semconv.GEN_AI_PROVIDER_NAME] = endpoint.provider
        attributes[_semconv.GEN_AI_OPERATION_NAME] = endpoint.operation
        model = facts.request_model or facts.response_model
        draft.name = f"{endpoint.operation} {model}" if model else endpoint.operation
        _add_facts(attributes, facts)
        if http_call.body is not None:
            _add_body(draft, http_call, http_call.body, ending=facts.body_outcome)
        if (
            facts.error_type
            and http_call.status is not None
            and http_call.status < _FIRST_ERROR_STATUS
        ):
            # An error that a stream reports after its 200.
            attributes.setdefault(_semconv.ERROR_TYPE, facts.error_type)
            draft.status = Status(StatusCode.ERROR)
        return facts

    def _add_cost(
        self, draft: Draft, http_call: HttpCall, endpoint: Endpoint, facts: Facts
    ) -> None:
        if facts.usage is None and (facts.waiting or not _may_have_cost(http_call, endpoint)):
            return
        cost = price_call(
            provider=endpoint.provider,
            api_url=http_call.url,
            models=(facts.response_model, facts.request_model),
            usage=facts.usage,
            at=datetime.fromtimestamp((draft.source.start_time or 0) / 1e9, tz=timezone.utc),
            service_tier=facts.service_tier,
            speed=facts.speed,
            geography=facts.geography,
            own_prices=self._own_prices,
        )
        for field, name in COST_NAMES:
            value = getattr(cost, field)
            if value is not None:
                draft.attributes[name] = float(value) if isinstance(value, Decimal) else value

    def _add_http(self, draft: Draft, http_call: HttpCall) -> None:
        attributes = draft.attributes
        place = parse_url(str(attributes.get(_semconv.URL_FULL) or http_call.url))
        attributes.setdefault(_semconv.SERVER_ADDRESS, place.host)
        if place.port is not None:
            attributes.setdefault(_semconv.SERVER_PORT, place.port)
        if http_call.version is not None:
            attributes[_semconv.NETWORK_PROTOCOL_VERSION] = http_call.version
        if http_call.status is not None:
            attributes.setdefault(_semconv.HTTP_RESPONSE_STATUS_CODE, http_call.status)
        resends = resends_of(http_call)
        if resends:
            attributes[_semconv.HTTP_REQUEST_RESEND_COUNT] = resends
        if http_call.earlier_attempts:
            draft.events = [
                *draft.events,
                *earlier_attempts(http_call, draft.source.start_time or 0),
            ]
        self._add_headers(
            attributes, _semconv.HTTP_REQUEST_HEADER, http_call.read_request_headers()
        )
        self._add_headers(attributes, _semconv.HTTP_RESPONSE_HEADER, http_call.response_headers)

    def _add_headers(
        self, attributes: dict[str, Any], prefix: str, headers: Iterable[tuple[str, str]]
    ) -> None:
        found: dict[str, tuple[str, ...]] = {}
        for name, value in headers:
            key = self._name_header(prefix, name)
            if key is not None:
                found[key] = (*found[key], value) if key in found else (value,)
        attributes.update(found)

    def _find_header_name(self, prefix: str, name: str) -> str | None:
        """Name a header's attribute, if it is wanted."""
        name = name.lower()
        wanted = any(fnmatchcase(name, glob) for glob in self._globs)
        return prefix + name if wanted else None


def _may_have_cost(http_call: HttpCall, endpoint: Endpoint) -> bool:
    """Tell whether a call without reported usage still used tokens: one that did not fail."""
    ok = http_call.status is not None and http_call.status < _FIRST_ERROR_STATUS
    return ok and endpoint.uses_tokens


def _add_facts(attributes: dict[str, Any], facts: Facts) -> None:
    found = {
        _semconv.GEN_AI_REQUEST_MODEL: facts.request_model,
        _semconv.GEN_AI_RESPONSE_MODEL: facts.response_model,
        _semconv.GEN_AI_RESPONSE_ID: facts.response_id,
        _semconv.GEN_AI_RESPONSE_FINISH_REASONS: facts.finish_reasons or None,
        _semconv.GEN_AI_REQUEST_STREAM: facts.stream,
    }
    attributes.update((name, value) for name, value in found.items() if value is not None)
    if facts.usage is not None:
        _add_usage(attributes, facts.usage)


def _add_usage(attributes: dict[str, Any], usage: Usage) -> None:
    for field, names in USAGE_NAMES:
        count = getattr(usage, field)
        if count is not None:
            for name in names:
                attributes[name] = count
            attributes[_semconv.LUPIS_USAGE_SOURCE] = "reported"


def _add_body(draft: Draft, http_call: HttpCall, body: ResponseBody, *, ending: str | None) -> None:
    attributes = draft.attributes
    # A program that closes behind the body's end has read all there was.
    outcome = ending if ending and body.outcome == "closed" else body.outcome
    attributes[_semconv.LUPIS_RESPONSE_CHUNKS] = body.chunk_count
    if outcome is not None:
        attributes[_semconv.LUPIS_RESPONSE_OUTCOME] = outcome
    if body.first_chunk is not None:
        seconds = (body.first_chunk - http_call.started) / 1e9
        attributes[_semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] = seconds
    if outcome == "error":
        error = body.error_type or _BROKEN_FRAMING
        attributes[_semconv.ERROR_TYPE] = error
        draft.status = Status(StatusCode.ERROR, error)


def _add_error_type(draft: Draft) -> None:
    """Name the error of a call that failed, where its instrumentor left that open.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status
    """
    attributes = draft.attributes
    if _semconv.HTTP_REQUEST_METHOD not in attributes:
        return
    status = attributes.get(_semconv.HTTP_RESPONSE_STATUS_CODE)
    if isinstance(status, int) and status >= _FIRST_ERROR_STATUS:
        attributes.setdefault(_semconv.ERROR_TYPE, str(status))
        if draft.status.status_code is StatusCode.UNSET:
            draft.status = Status(StatusCode.ERROR)
    elif _semconv.ERROR_TYPE not in attributes:
        for event in draft.events:
            if event.name == "exception" and event.attributes:
                attributes[_semconv.ERROR_TYPE] = event.attributes.get("exception.type", "_OTHER")
