"""Which of the catalogue's price lists a call is charged by, and by what name of its model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterator
from urllib.parse import urlsplit

from lupis_instrument._llm.api.addresses import is_private
from lupis_instrument._llm.api.providers import GATEWAYS, find_provider

if TYPE_CHECKING:
    from lupis_instrument._llm.pricing.catalog import Catalog, Found, Seller

SELLERS: dict[str, str] = {
    "anthropic": "anthropic",
    "avian": "avian",
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "baseten": "baseten",
    "cerebras": "cerebras",
    "cloudflare": "cloudflare",
    "cohere": "cohere",
    "databricks": "databricks",
    "deepseek": "deepseek",
    "doubleword": "doubleword",
    "fireworks": "fireworks",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "github_copilot": "github-copilot",
    "groq": "groq",
    "minimax": "minimax",
    "mistral_ai": "mistral",
    "moonshot": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "perplexity": "perplexity",
    "together": "together",
    "voyage": "voyageai",
    "x_ai": "x-ai",
    "zai": "zai",
}
"""Provider -> the seller in the catalogue whose prices it has."""

UNLISTED = frozenset(
    (
        "ai21", "aleph_alpha", "alibaba", "aws.sagemaker", "baidu", "braintrust", "charm_hyper",
        "chutes", "crusoe", "deepinfra", "featherless", "friendli", "github", "helicone", "heroku",
        "hugging_face", "hyperbolic", "ibm.watsonx.ai", "inception", "inference_net", "jina",
        "lepton", "llama_cpp", "mixedbread", "morph", "nebius", "nomic", "nvidia", "ollama",
        "opencode", "portkey", "pydantic_gateway", "reka", "replicate", "requesty", "sambanova",
        "scaleway", "siliconflow", "snowflake", "stepfun", "upstage", "venice", "vercel",
        "volcengine", "writer",
    )
)  # fmt: skip
"""Providers without a price list of their own; `find` says which of them go by another's."""

SELF_HOSTED = frozenset(("ollama", "llama_cpp", "vllm", "lm_studio", "lmstudio"))
"""Names of servers that people run themselves."""

_BY_URL = {"zai": "zhipuai"}
"""Providers whose other way in has prices of its own."""
_ROUTER = "hugging_face"
_RESELLERS = GATEWAYS | {"vercel"}
# Whoever hands a call on to these pays their prices; others' models may run anywhere.
_MAKERS = frozenset(("anthropic", "google", "openai", "x-ai"))
_HOSTS = _MAKERS | {"aws", "azure"}
_OPEN_WEIGHTS = re.compile(r"(?:^|/)(?:gpt-oss|gemma|whisper)")
# Bedrock's inference profiles other than `global.` have the prices of the region.
_REGION = re.compile(r"^(?:us|us-gov|eu|apac|jp|au|ca|in|sa|me|af|il|uk|mx)\.(?=[a-z0-9]+\.)")
_REQUEST_FIRST = frozenset(("aws.bedrock", _ROUTER))
# A request names a deployment, which may be called after any model; the response names the model.
_RESPONSE_ONLY = frozenset(("azure.ai.openai", "azure.ai.inference"))
_FREE_SUFFIX = ":free"


def order_names(provider: str, models: tuple[str, ...]) -> tuple[str, ...]:
    """Order a model's names, the response's and the request's, by what each tells of prices.

    The response's name is the more exact one, save where only the request says by which profile
    or which free way in the model was called.
    """
    if provider in _RESPONSE_ONLY:
        return models[:1]
    free = [name for name in models if name.endswith(_FREE_SUFFIX)]
    rest = models[::-1] if provider in _REQUEST_FIRST else models
    return tuple(dict.fromkeys((*free, *rest)))


def find(catalog: Catalog, provider: str, url: str, models: tuple[str, ...]) -> Found | str:
    """Find the listing of a call's model.

    Args:
        catalog: where to look.
        provider: gen_ai.provider.name.
        url: the URL called.
        models: the model's names, the best first.

    Returns:
        The listing, or in a few words why there is none.
    """
    host = (urlsplit(url).hostname or "").lower()
    foreign = find_provider(host) is None
    known = False
    for model in order_names(provider, models):
        for seller, name in _propose(catalog, provider, url, model, foreign=foreign):
            known = True
            found = catalog.find_listing(seller, name)
            if found and not (foreign and _may_be_anyones(found, name)):
                return found
    if provider in SELF_HOSTED or is_private(host):
        return "self-hosted"
    if not models:
        return "no model"
    return "unknown model" if known else "unknown provider"


def _propose(
    catalog: Catalog, provider: str, url: str, model: str, *, foreign: bool
) -> Iterator[tuple[Seller, str]]:
    """Sellers that may be meant, and what each may call the model."""
    seller = _find_seller(catalog, provider, url)
    if seller is not None:
        for name in _spellings(provider, model):
            yield seller, name
    if provider == _ROUTER and ":" in model:
        name, _, behind = model.rpartition(":")
        routed = catalog.sellers.get(f"huggingface_{behind}")
        if routed is not None:
            yield routed, name
    if provider in _RESELLERS or (provider == "openai" and foreign):
        yield from _propose_makers(catalog, model)


def _find_seller(catalog: Catalog, provider: str, url: str) -> Seller | None:
    if provider in SELLERS:
        other = catalog.sellers.get(_BY_URL.get(provider, ""))
        if other is not None and re.match(other.url, url):
            return other
        return catalog.sellers.get(SELLERS[provider])
    if provider == _ROUTER:
        return catalog.find_seller_at(url)
    if provider in UNLISTED:
        return None
    return catalog.find_seller(provider) or catalog.find_seller_at(url)


def _propose_makers(catalog: Catalog, model: str) -> Iterator[tuple[Seller, str]]:
    """Who a gateway hands the call on to, told by the model's name alone."""
    first, slash, rest = model.lower().partition("/")
    named = catalog.find_seller(first) if slash else None
    if named is not None and named.id in _HOSTS:
        yield named, rest
    known = catalog.find_seller_of(model.lower())
    if known is not None and known.id in _MAKERS:
        yield known, model


def _spellings(provider: str, model: str) -> list[str]:
    names = [model]
    if provider in ("aws.bedrock", "gcp.gemini", "gcp.vertex_ai"):
        names.append(model.rpartition("/")[2])  # of an ARN, or of models/… and publishers/…
    if provider == "aws.bedrock":
        names.append(_REGION.sub("", names[-1].lower()))
    return list(dict.fromkeys(names))


def _may_be_anyones(found: Found, name: str) -> bool:
    return found.seller.id in _MAKERS and _OPEN_WEIGHTS.search(name.lower()) is not None
