"""Chooses the price list and the model entry by which a call is charged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterator
from urllib.parse import urlsplit

from lupis_instrument._llm.api.addresses import is_private
from lupis_instrument._llm.api.providers import GATEWAYS, find_provider

if TYPE_CHECKING:
    from lupis_instrument._llm.pricing.catalog import ModelMatch, PriceCatalog, PriceList

PRICE_LISTS: dict[str, str] = {
    "anthropic": "anthropic",
    "arcee": "arcee",
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
    "meta": "meta",
    "minimax": "minimax",
    "mistral_ai": "mistral",
    "modal": "modal",
    "moonshot_ai": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "perplexity": "perplexity",
    "quicksilverpro": "quicksilverpro",
    "together": "together",
    "typesafe": "typesafe",
    "voyage": "voyageai",
    "x_ai": "x-ai",
    "zai": "zai",
}
"""Price list by gen_ai.provider.name; the lists are named by their ids in the catalog."""

UNLISTED = frozenset(
    (
        "ai21", "aleph_alpha", "alibaba", "aws.sagemaker", "baidu", "braintrust", "charm_hyper",
        "chutes", "crusoe", "deepinfra", "featherless", "friendli", "github", "helicone", "heroku",
        "hugging_face", "hyperbolic", "ibm.watsonx.ai", "inception", "inference_net", "jina",
        "lepton", "llama_cpp", "lm_studio", "mixedbread", "morph", "nebius", "nomic", "nvidia",
        "ollama", "opencode", "oracle", "portkey", "pydantic_gateway", "reka", "replicate",
        "requesty", "sambanova", "scaleway", "sglang", "siliconflow", "snowflake", "stepfun",
        "upstage", "venice", "vercel", "volcengine", "writer", "yandex",
    )
)  # fmt: skip
"""Providers without their own price list; for some, `find_match` uses another provider's."""

SELF_HOSTED = frozenset(("ollama", "llama_cpp", "vllm", "lm_studio", "lmstudio", "sglang"))
"""Provider names of servers that users run themselves."""

_LISTS_BY_URL = {"zai": "zhipuai"}
"""A second price list of a provider, for the calls whose URL matches that list."""
_LISTS_BY_PATH = {("openai", "/decisions"): "openai-decisions"}
"""The price list of one API of a provider, by the end of the path."""
_ROUTER = "hugging_face"
_RESELLERS = GATEWAYS | {"vercel"}
# A gateway charges the prices of these companies for their models. Models of others may run
# on anybody's servers, at any price.
_MAKERS = frozenset(("anthropic", "google", "openai", "x-ai"))
_HOSTS = _MAKERS | {"aws", "azure"}
# Models of `_MAKERS` that anybody may run, because their weights are public.
_OPEN_WEIGHTS = re.compile(r"(?:^|/)(?:gpt-oss|gemma|whisper)")
# Bedrock's inference profiles other than `global.` have the prices of the region.
_REGION = re.compile(r"^(?:us|us-gov|eu|apac|jp|au|ca|in|sa|me|af|il|uk|mx)\.(?=[a-z0-9]+\.)")
# Only the request names the inference profile (Bedrock) or the route (Hugging Face).
_REQUEST_FIRST = frozenset(("aws.bedrock", _ROUTER))
# A request to Azure names a deployment, which users may name after any model. The response names
# the model itself.
_RESPONSE_ONLY = frozenset(("azure.ai.openai", "azure.ai.inference"))
_FREE_SUFFIX = ":free"
_VARIANT = re.compile(r"(?:-\d[\d-]*)?(?::free)?")


def order_names(provider: str, models: tuple[str, ...]) -> tuple[str, ...]:
    """Order a model's names so that the name that determines the price comes first.

    The response's name is usually more exact than the request's. For some providers only the
    request tells the inference profile, the route or the free variant of the model.

    Args:
        provider: gen_ai.provider.name.
        models: the model's name in the response, then its name in the request.
    """
    if provider in _RESPONSE_ONLY:
        return models[:1]
    free = [name for name in models if name.endswith(_FREE_SUFFIX) and _names_answer(name, models)]
    ordered = models[::-1] if provider in _REQUEST_FIRST else models
    return tuple(dict.fromkeys((*free, *ordered)))


def _names_answer(name: str, models: tuple[str, ...]) -> bool:
    """Return whether a free variant of a model is the model that answered.

    A gateway may answer with another model than the requested one: openrouter.ai/docs/features/
    model-routing. The response may name the model without its variant, or with a date.
    """
    base = name[: -len(_FREE_SUFFIX)]
    return models[0].startswith(base) and _VARIANT.fullmatch(models[0][len(base) :]) is not None


def find_match(
    catalog: PriceCatalog, provider: str, url: str, models: tuple[str, ...]
) -> ModelMatch | str:
    """Find the catalog's entry for the model of a call.

    Args:
        catalog: the catalog to search.
        provider: gen_ai.provider.name.
        url: the called URL.
        models: the model's name in the response, then its name in the request.

    Returns:
        The match, or the reason that there is none, in a few words.
    """
    host = (urlsplit(url).hostname or "").lower()
    is_foreign = find_provider(host) is None
    has_price_list = False
    for model in order_names(provider, models):
        for price_list, name in _propose_names(catalog, provider, url, model, foreign=is_foreign):
            has_price_list = True
            match = catalog.match_model(price_list, name)
            if match and not (is_foreign and _has_open_weights(match, name)):
                return match
    if provider in SELF_HOSTED or is_private(host):
        return "self-hosted"
    if not models:
        return "no model"
    return "unknown model" if has_price_list else "unknown provider"


def _propose_names(
    catalog: PriceCatalog, provider: str, url: str, model: str, *, foreign: bool
) -> Iterator[tuple[PriceList, str]]:
    """Yield the price lists that may apply, each with a name that it may have for the model.

    `foreign` says that the host of the URL is not a known provider's.
    """
    seller = catalog.find_list_by_url(url) if foreign else None
    price_list = seller or _find_price_list(catalog, provider, url)
    if price_list is not None:
        for name in _list_spellings(provider, model):
            yield price_list, name
    if seller is not None:
        return  # it sets its own prices, whatever the model's name says
    if provider == _ROUTER and ":" in model:
        name, _, route = model.rpartition(":")
        routed = catalog.price_lists.get(f"huggingface_{route}")
        if routed is not None:
            yield routed, name
    if provider in _RESELLERS or (provider == "openai" and foreign):
        yield from _propose_makers(catalog, model)


def _find_price_list(catalog: PriceCatalog, provider: str, url: str) -> PriceList | None:
    if provider in PRICE_LISTS:
        for (name, end), list_id in _LISTS_BY_PATH.items():
            if provider == name and url.endswith(end):
                return catalog.price_lists.get(list_id)
        second = catalog.price_lists.get(_LISTS_BY_URL.get(provider, ""))
        if second is not None and re.match(second.url, url):
            return second
        return catalog.price_lists.get(PRICE_LISTS[provider])
    if provider == _ROUTER:
        return catalog.find_list_by_url(url)
    if provider in UNLISTED:
        return None
    return catalog.find_price_list(provider) or catalog.find_list_by_url(url)


def _propose_makers(catalog: PriceCatalog, model: str) -> Iterator[tuple[PriceList, str]]:
    """Yield the price lists of the companies to which a gateway may forward calls of a model.

    A prefix names the company (`anthropic/claude-sonnet-4`), or the model's name alone tells it.
    """
    prefix, slash, name = model.lower().partition("/")
    named = catalog.find_price_list(prefix) if slash else None
    if named is not None and named.id in _HOSTS:
        yield named, name
    known = catalog.find_list_by_model(model.lower())
    if known is not None and known.id in _MAKERS:
        yield known, model


def _list_spellings(provider: str, model: str) -> list[str]:
    """Return the names by which the catalog may list a model, without prefixes."""
    names = [model]
    if provider in ("aws.bedrock", "gcp.gemini", "gcp.vertex_ai"):
        names.append(model.rpartition("/")[2])  # of an ARN, or of models/… and publishers/…
    if provider == "aws.bedrock":
        names.append(_REGION.sub("", names[-1].lower()))
    return list(dict.fromkeys(names))


def _has_open_weights(match: ModelMatch, name: str) -> bool:
    return match.price_list.id in _MAKERS and _OPEN_WEIGHTS.search(name.lower()) is not None
