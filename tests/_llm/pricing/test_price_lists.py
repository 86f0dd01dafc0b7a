"""The choice of the price list and of the model's name for a call."""

from __future__ import annotations

import pytest

from lupis_instrument._llm.api.providers import (
    API_PROVIDERS,
    LOCAL_PORTS,
    PROVIDER_ALIASES,
    PROVIDERS,
    SEGMENT_PROVIDERS,
    SHARED_HOST_PROVIDERS,
)
from lupis_instrument._llm.pricing.catalog import load_catalog
from lupis_instrument._llm.pricing.price_lists import (
    PRICE_LISTS,
    SELF_HOSTED,
    UNLISTED,
    find_match,
    order_names,
)

CATALOG = load_catalog()
PUBLIC = "https://llm.example.com/v1/chat/completions"
LOCAL = "http://127.0.0.1:8000/v1/chat/completions"
OPENAI = "https://api.openai.com/v1/chat/completions"
BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model/x/converse"
PROFILE = "arn:aws:bedrock:us-east-1:1:inference-profile"
ROUTER = "https://router.huggingface.co"


def find_ids(provider, *models, url=PUBLIC):
    """The ids of the price list and the model, or the reason that there are none."""
    match = find_match(CATALOG, provider, url, models)
    return match if isinstance(match, str) else (match.price_list.id, match.model.id)


EMITTED_PROVIDERS = sorted(
    {row.name for row in PROVIDERS.values()}
    | {*API_PROVIDERS.values(), *SHARED_HOST_PROVIDERS.values(), *LOCAL_PORTS.values()}
    | {*SEGMENT_PROVIDERS.values(), *PROVIDER_ALIASES.values(), "aws.sagemaker", "hugging_face"}
)


def test_every_provider_is_in_one_table():
    """Each provider that a span may name has a price list, or is known to have none."""
    assert set() == {*PRICE_LISTS} & {*UNLISTED}
    assert set() == {*EMITTED_PROVIDERS} - {*PRICE_LISTS} - {*UNLISTED}


def test_every_price_list_is_in_the_catalog():
    """Each price list of the table has models."""
    list_ids = {*PRICE_LISTS.values()}
    assert list_ids == {
        list_id for list_id in list_ids if CATALOG.list_models(CATALOG.price_lists[list_id])
    }


def test_self_hosted_servers_have_no_price_list():
    """None of their names is also a seller's."""
    assert set() == SELF_HOSTED & set(PRICE_LISTS)


@pytest.mark.parametrize(
    ("provider", "models", "expected"),
    [
        ("openai", ("answered", "asked"), ("answered", "asked")),
        ("openai", ("same", "same"), ("same",)),
        ("openai", (), ()),
        ("openrouter", ("m", "m:free"), ("m:free", "m")),
        ("aws.bedrock", ("m", "us.m"), ("us.m", "m")),
        ("hugging_face", ("m", "m:together"), ("m:together", "m")),
        ("azure.ai.openai", ("m", "deployment"), ("m",)),
        ("azure.ai.inference", ("m", "deployment"), ("m",)),
    ],
)
def test_the_telling_name_comes_first(provider, models, expected):
    """Usually the response's; the request's if only that tells the variant of the model."""
    assert expected == order_names(provider, models)


@pytest.mark.parametrize(
    ("provider", "models", "url", "expected"),
    [
        ("openai", ["gpt-4o"], OPENAI, ("openai", "gpt-4o")),
        ("openai", ["GPT-4o"], OPENAI, ("openai", "gpt-4o")),
        ("openai", ["no-such-model", "gpt-4o"], OPENAI, ("openai", "gpt-4o")),
        ("gcp.gemini", ["models/gemini-2.5-pro"], PUBLIC, ("google", "gemini-2.5-pro")),
        (
            "gcp.vertex_ai",
            ["publishers/google/models/gemini-2.5-pro"],
            PUBLIC,
            ("google", "gemini-2.5-pro"),
        ),
        ("portkey", ["gpt-4o"], PUBLIC, ("openai", "gpt-4o")),
        ("portkey", ["openai/gpt-4o"], PUBLIC, ("openai", "gpt-4o")),
    ],
)
def test_a_model_is_found_in_the_price_list_of_its_provider(provider, models, url, expected):
    """Its name may have a prefix; a gateway charges the prices of the model's maker."""
    assert expected == find_ids(provider, *models, url=url)


@pytest.mark.parametrize("prefix", ["", "us.", f"{PROFILE}/eu."])
def test_bedrock_names_have_prefixes(prefix):
    """The region of an inference profile, or a whole ARN."""
    model = f"{prefix}anthropic.claude-sonnet-4-20250514-v1:0"
    list_id, model_id = find_ids("aws.bedrock", model, url=BEDROCK)
    assert ("aws", True) == (list_id, "claude-sonnet-4" in model_id)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct:together", ""),
        ("meta-llama/Llama-3.3-70B-Instruct", "/together"),
    ],
    ids=["name", "path"],
)
def test_a_route_of_hugging_face_has_its_price_list(model, path):
    """The suffix of the model's name or the path tells the route."""
    url = f"{ROUTER}{path}/v1/chat/completions"
    assert "huggingface_together" == find_ids("hugging_face", model, url=url)[0]


def test_the_url_chooses_between_two_price_lists():
    """Zhipu AI sells under two domains, at different prices."""
    ids = [
        find_ids("zai", "glm-4.7", url=f"https://{host}/chat/completions")[0]
        for host in ("api.z.ai/api/paas/v4", "open.bigmodel.cn/api/paas/v4")
    ]
    assert ["zai", "zhipuai"] == ids


@pytest.mark.parametrize(
    ("provider", "models", "url", "reason"),
    [
        ("openai", ["gpt-99"], OPENAI, "unknown model"),
        ("openai", [], OPENAI, "no model"),
        ("nobody", ["gpt-99"], PUBLIC, "unknown provider"),
        ("replicate", ["meta/llama-3"], PUBLIC, "unknown provider"),
        ("ollama", ["llama3"], PUBLIC, "self-hosted"),
        ("openai", ["my-own-model"], LOCAL, "self-hosted"),
        ("openai", ["gpt-oss-20b"], PUBLIC, "unknown model"),
        ("openai", ["my-own-model"], PUBLIC, "unknown model"),
    ],
)
def test_without_a_match_there_is_a_reason(provider, models, url, reason):
    """Open-weight models at unknown hosts have no known price, no matter which company made them."""
    assert reason == find_ids(provider, *models, url=url)
