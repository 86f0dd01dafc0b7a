"""Identifies the LLM API of a request by its host, port and path."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Tuple

from lupis_instrument._llm.api.addresses import is_private
from lupis_instrument._llm.api.operations import (
    ANYWHERE,
    KNOWN,
    LIKELY,
    OTHER_API,
    HostTrust,
    Operation,
    find_nested_operation,
    find_operation,
    find_socket_operation,
)
from lupis_instrument._llm.api.providers import (
    API_PROVIDERS,
    GATEWAYS,
    LOCAL_PORTS,
    PROVIDER_ALIASES,
    SEGMENT_PROVIDERS,
    SHARED_HOST_PROVIDERS,
    find_provider,
)

ProviderHosts = Tuple[Tuple[str, str], ...]
"""The setting `LUPIS_PROVIDER_HOSTS` as pairs, so that it can be part of a cache's key."""
WEBSOCKET = "WEBSOCKET"
"""The word that stands for the method of a call whose messages go over a WebSocket."""


class Endpoint(NamedTuple):
    """The LLM API of a request.

    Attributes:
        provider: the value of OpenTelemetry's gen_ai.provider.name.
        operation: the value of OpenTelemetry's gen_ai.operation.name.
        api: the name of the wire API, which a gateway shares with the provider behind it.
        uses_tokens: False for stored results, token counting, lists and files.
        needs_model: whether this is a guess that only a model in the request, or usage in the
            response, confirms.
    """

    provider: str
    operation: str
    api: str
    uses_tokens: bool
    needs_model: bool = False


# A label of a public host name that says that the host serves LLMs.
_LLM_HOST = re.compile(
    r"(?:^|[.-])(?:llms?|litellm|openai|anthropic|claude|gpt|ollama|vllm|genai|ai-gateway"
    r"|inference)(?=[.-])"
)
# The first word of a path after prefixes such as /v1/ and /api/: "files" in /openai/v1/files/f1.
_FIRST_WORD = re.compile(r"/(?:v[0-9][a-z0-9]*/|api/|openai/|beta/)*([A-Za-z][A-Za-z_-]{0,40})?")


@lru_cache(maxsize=512)
def identify_endpoint(
    method: str, host: str, port: int | None, path: str, hosts: ProviderHosts = ()
) -> Endpoint | None:
    """Return the LLM API of a request; None for any other request. Never raises.

    Args:
        method: the HTTP method, in any case; `WEBSOCKET` for a message on a WebSocket.
        host: the host name or address, in any case.
        port: the port, if known.
        path: the path, with or without its query.
        hosts: the setting LUPIS_PROVIDER_HOSTS: pairs of ``host:port`` or ``host`` and the name of
            its provider.
    """
    try:
        host = host.lower().rstrip(".")
        providers = dict(hosts)
        provider = providers.get(f"{host}:{port}") or providers.get(host)
        return _identify_cached(method, host, port, path.partition("?")[0], provider)
    except Exception:
        return None


@lru_cache(maxsize=512)
def _identify_cached(
    method: str, host: str, port: int | None, path: str, configured_provider: str | None
) -> Endpoint | None:
    if method == WEBSOCKET:
        return _identify_socket(host, port, path, configured_provider)
    is_post = method.upper() == "POST"
    if configured_provider:
        name = configured_provider.lower()
        return _build_endpoint(PROVIDER_ALIASES.get(name, name), KNOWN, path, is_post=is_post)
    provider = find_provider(host)
    if provider is not None:
        name = _resolve_provider(provider.name, path)
        return _build_endpoint(name, provider.trust, path, is_post=is_post)
    # An unknown host: only a POST with the path of an operation can be a call of an LLM API.
    operation = find_operation(path, LIKELY) if is_post else None
    if operation is not None and operation.trust > ANYWHERE and not _is_likely_llm_host(host):
        operation = find_operation(path, ANYWHERE)
    if operation is None:
        return None
    name = _guess_provider(operation, port, path)
    return Endpoint(
        name, operation.name, operation.api, operation.uses_tokens, operation.needs_model
    )


def _identify_socket(
    host: str, port: int | None, path: str, configured_provider: str | None
) -> Endpoint | None:
    """Return the endpoint of the messages on a WebSocket by its path.

    On a host without any sign of an LLM API, a call has to name a model or report tokens.
    """
    operation = find_socket_operation(path)
    if operation is None:
        return None
    known = find_provider(host)
    needs_model = False
    if configured_provider:
        name = configured_provider.lower()
        name = PROVIDER_ALIASES.get(name, name)
    elif known is not None:
        name = _resolve_provider(known.name, path)
    else:
        name = _guess_provider(operation, port, path)
        needs_model = not _is_likely_llm_host(host)
    return Endpoint(name, operation.name, operation.api, operation.uses_tokens, needs_model)


def _is_likely_llm_host(host: str) -> bool:
    return is_private(host) or _LLM_HOST.search(host) is not None


def _resolve_provider(provider: str, path: str) -> str:
    """Return the provider that answers behind a gateway, or on a host of several providers."""
    if provider in GATEWAYS:
        return _find_path_provider(path) or provider
    return SHARED_HOST_PROVIDERS.get((provider, path[1:].partition("/")[0]), provider)


def _build_endpoint(
    provider: str, trust: HostTrust, path: str, *, is_post: bool
) -> Endpoint | None:
    """Return the endpoint of a path at a provider's host.

    On a `KNOWN` host, a path without a row is still a call of the provider's API: the endpoint is
    named for the first word of the path.
    """
    operation = find_operation(path, trust) or find_nested_operation(path, provider)
    if operation is not None:
        name = operation.provider or provider
        return Endpoint(name, operation.name, operation.api, is_post and operation.uses_tokens)
    if trust < KNOWN:
        return None
    match = _FIRST_WORD.match(path)
    word = match.group(1) if match else None
    return Endpoint(provider, (word or "other").lower(), OTHER_API, uses_tokens=False)


def _guess_provider(operation: Operation, port: int | None, path: str) -> str:
    """Return the likeliest provider on an unknown host: by path, by port, then by wire API."""
    api_provider = API_PROVIDERS.get(operation.api)
    return _find_path_provider(path) or LOCAL_PORTS.get(port or 0) or api_provider or "openai"


def _find_path_provider(path: str) -> str | None:
    for segment in path.split("/")[1:-1]:
        if segment in SEGMENT_PROVIDERS:
            return SEGMENT_PROVIDERS[segment]
    return None
