"""Which LLM API a request goes to, told by its host, its port and its path."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Mapping, NamedTuple

from lupis_instrument._llm.api.addresses import is_private
from lupis_instrument._llm.api.operations import (
    ANYWHERE,
    KNOWN,
    LIKELY,
    OTHER_API,
    Operation,
    find_nested,
    find_operation,
)
from lupis_instrument._llm.api.providers import (
    ALIASES,
    API_PROVIDERS,
    GATEWAYS,
    LOCAL_PORTS,
    PATH_PROVIDERS,
    PATH_WORDS,
    find_provider,
)


class Endpoint(NamedTuple):
    """Which API a request goes to."""

    provider: str
    """OpenTelemetry's gen_ai.provider.name."""
    operation: str
    """OpenTelemetry's gen_ai.operation.name."""
    api: str
    """The wire API, which gateways share with the provider they stand in for."""
    counts: bool
    """False where the call uses no tokens: stored results, counting, lists, files."""


# A label of a public name that says what the host is for.
_LLM_HOST = re.compile(
    r"(?:^|[.-])(?:llms?|litellm|openai|anthropic|claude|gpt|ollama|vllm|genai|ai-gateway"
    r"|inference)(?=[.-])"
)
_FIRST_WORD = re.compile(r"/(?:v[0-9][a-z0-9]*/|api/|openai/|beta/)*([A-Za-z][A-Za-z_-]{0,40})?")
_NO_HOSTS: Mapping[str, str] = {}


def identify(
    method: str, host: str, port: int | None, path: str, hosts: Mapping[str, str] = _NO_HOSTS
) -> Endpoint | None:
    """Tell the API that a request goes to; None for one that is no LLM API. Never raises.

    Args:
        method: the HTTP method, in any case.
        host: the host name or address, in any case.
        port: the port, if known.
        path: the path, with or without its query.
        hosts: LUPIS_PROVIDER_HOSTS: ``host:port`` or ``host`` -> a provider's name.
    """
    try:
        host = host.lower().rstrip(".")
        named = (hosts.get(f"{host}:{port}") or hosts.get(host)) if hosts else None
        return _identify(method, host, port, path.partition("?")[0], named)
    except Exception:
        return None


@lru_cache(maxsize=512)
def _identify(
    method: str, host: str, port: int | None, path: str, named: str | None
) -> Endpoint | None:
    post = method.upper() == "POST"
    if named:
        return _describe(ALIASES.get(named.lower(), named.lower()), KNOWN, path, post=post)
    provider = find_provider(host)
    if provider is not None:
        name = _find_addressee(provider.name, path)
        return _describe(name, provider.trust, path, post=post)
    operation = find_operation(path, LIKELY) if post else None
    if operation is not None and operation.trust > ANYWHERE and not _is_likely(host):
        operation = find_operation(path, ANYWHERE)
    if operation is None:
        return None
    name = _guess_provider(operation, port, path)
    return Endpoint(name, operation.name, operation.api, operation.counts)


def _is_likely(host: str) -> bool:
    return is_private(host) or _LLM_HOST.search(host) is not None


def _find_addressee(provider: str, path: str) -> str:
    """Whom a host of several providers, or a gateway, hands the request on to."""
    if provider in GATEWAYS:
        return _find_path_word(path) or provider
    return PATH_PROVIDERS.get((provider, path[1:].partition("/")[0]), provider)


def _describe(provider: str, trust: int, path: str, *, post: bool) -> Endpoint | None:
    operation = find_operation(path, trust) or find_nested(path, provider)
    if operation is not None:
        name = operation.provider or provider
        return Endpoint(name, operation.name, operation.api, post and operation.counts)
    if trust < KNOWN:
        return None
    match = _FIRST_WORD.match(path)
    word = match.group(1) if match else None
    return Endpoint(provider, (word or "other").lower(), OTHER_API, counts=False)


def _guess_provider(operation: Operation, port: int | None, path: str) -> str:
    by_api = API_PROVIDERS.get(operation.api)
    return _find_path_word(path) or LOCAL_PORTS.get(port or 0) or by_api or "openai"


def _find_path_word(path: str) -> str | None:
    for segment in path.split("/")[1:-1]:
        if segment in PATH_WORDS:
            return PATH_WORDS[segment]
    return None
