"""The cost of a call: the choice of prices, the parts of the cost, and the status."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

import pytest

from lupis_instrument._llm.pricing.catalog import load_catalog
from lupis_instrument._llm.pricing.own_prices import OwnPrices
from lupis_instrument._llm.pricing.price_lists import PRICE_LISTS
from lupis_instrument._llm.pricing.prices import (
    BILLED_UNITS,
    COUNT_UNITS,
    OWN_CATALOG,
    Price,
    price_call,
)
from lupis_instrument._llm.usage.report import read_usage
from lupis_instrument._llm.usage.usage import Usage

AT = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
USED = Usage(input_tokens=1000, output_tokens=200, cache_read_tokens=100)
URLS = {
    "anthropic": "https://api.anthropic.com/v1/messages",
    "aws.bedrock": "https://bedrock-runtime.us-east-1.amazonaws.com/model/x/converse",
    "azure.ai.openai": "https://corp.openai.azure.com/openai/deployments/x/chat/completions",
    "gcp.gemini": "https://generativelanguage.googleapis.com/v1beta/models/x:generateContent",
    "gcp.vertex_ai": "https://us-central1-aiplatform.googleapis.com/v1/x:generateContent",
    "hugging_face": "https://router.huggingface.co/v1/chat/completions",
    "openai": "https://api.openai.com/v1/chat/completions",
    "openrouter": "https://openrouter.ai/api/v1/chat/completions",
    "vercel": "https://ai-gateway.vercel.sh/v1/chat/completions",
}
PROFILE = "arn:aws:bedrock:us-east-1:1:inference-profile"
LOCAL = "http://127.0.0.1:8000/v1/chat/completions"


def charge(provider, *models, usage=USED, url=None, **options):
    """The price of a call to a provider, at its usual URL by default."""
    url = url or URLS.get(provider, "https://api.example/v1/chat/completions")
    return price_call(provider=provider, api_url=url, models=models, usage=usage, at=AT, **options)


def assess(provider, *models, **options):
    """The status of a call's price, and its reason."""
    return charge(provider, *models, **options)[:2]


def test_parts_have_their_own_prices():
    """Input outside the cache, output and cached input: gpt-4o at 2.5, 10 and 1.25."""
    parts = (Decimal("0.00225"), Decimal("0.002"), Decimal("0.000125"), Decimal("0.004375"))
    assert Price("priced", None, *parts, str(load_catalog()), "catalog") == charge(
        "openai", "gpt-4o"
    )


def test_searches_are_charged_as_input():
    """Anthropic's usage report counts three searches, at 10 USD a thousand."""
    report = {"input_tokens": 1000, "output_tokens": 10}
    with_searches = {**report, "server_tool_use": {"web_search_requests": 3}}
    plain, searched = (
        charge("anthropic", "claude-sonnet-4-5", usage=read_usage(row))
        for row in (report, with_searches)
    )
    assert Decimal("0.03") == searched.input - plain.input == searched.total - plain.total


def test_cache_writes_belong_to_the_cache():
    """Anthropic's price depends on the lifetime: 400 tokens for 5 minutes, 100 for an hour."""
    usage = Usage(
        input_tokens=3000,
        output_tokens=50,
        cache_read_tokens=1000,
        cache_write_tokens=500,
        cache_write_5m_tokens=400,
        cache_write_1h_tokens=100,
    )
    cost = charge("anthropic", "claude-sonnet-4-5-20250929", usage=usage)
    expected = (1000 * Decimal("0.3") + 400 * Decimal("3.75") + 100 * Decimal(6)) / 10**6
    assert expected == cost.cache


@pytest.mark.parametrize("provider", ["openai", "perplexity", "anthropic", "gcp.gemini"])
def test_parts_add_up_to_the_total(provider):
    """Also if a price list has other prices, such as a price for each request."""
    price_list = load_catalog().price_lists[PRICE_LISTS[provider]]
    for model in load_catalog().list_models(price_list):
        cost = charge(provider, model.id, usage=Usage(12345, 678, 1000, 500))
        if cost.total is not None and None not in cost[2:5]:
            assert cost.total == cost.input + cost.output + cost.cache, model.id


def test_response_model_comes_first():
    """The request's model counts only if the response's is not in the price list."""
    assert charge("openai", "gpt-4o", "gpt-4") == charge("openai", "gpt-4o")
    assert charge("openai", "no-such-model", "gpt-4o") == charge("openai", "gpt-4o")


@pytest.mark.parametrize(
    ("provider", "models", "same_as"),
    [
        ("aws.bedrock", ["us.anthropic.claude-sonnet-4-20250514-v1:0"], "anthropic"),
        (
            "aws.bedrock",
            [None, f"{PROFILE}/eu.anthropic.claude-sonnet-4-20250514-v1:0"],
            "anthropic",
        ),
        ("aws.bedrock", ["apac.anthropic.claude-sonnet-4-20250514-v1:0"], "anthropic"),
        ("gcp.vertex_ai", ["claude-sonnet-4@20250514"], "anthropic"),
        ("gcp.vertex_ai", ["publishers/anthropic/models/claude-sonnet-4"], "anthropic"),
        ("openrouter", ["anthropic/claude-sonnet-4"], "anthropic"),
        ("vercel", ["anthropic/claude-sonnet-4"], "anthropic"),
        ("portkey", ["claude-sonnet-4-20250514"], "anthropic"),
    ],
)
def test_names_at_other_clouds_mean_the_same_model(provider, models, same_as):
    """Claude Sonnet 4 costs the same at all of them."""
    cost = charge(provider, *models)
    assert charge(same_as, "claude-sonnet-4-20250514").total == cost.total


def test_bedrock_profile_determines_the_price():
    """The response names the model; the request's profile, global or regional, the price."""
    names = ("claude-opus-5", "global.anthropic.claude-opus-5")
    cheap = charge("aws.bedrock", *names)
    regional = charge("aws.bedrock", names[0], "us.anthropic.claude-opus-5")
    assert cheap.total < regional.total


def test_unlisted_region_has_the_price_of_other_regions():
    """The catalog lacks `apac.` for this model, but all regions have one price."""
    listed = charge("aws.bedrock", "us.anthropic.claude-opus-5")
    assert listed == charge("aws.bedrock", "apac.anthropic.claude-opus-5")


def test_application_profile_does_not_tell_its_model():
    """The user chooses the name in the ARN, so it is no evidence."""
    arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2c3"
    assert ("unpriced", "unknown model") == assess("aws.bedrock", None, arn)


def test_azure_deployment_is_not_its_model():
    """The response names the model; a deployment may have the name of another model."""
    assert charge("openai", "gpt-4o").total == charge("azure.ai.openai", "gpt-4o", "gpt-4").total
    assert ("unpriced", "unknown model") == assess("azure.ai.openai", "new-model", "gpt-4")


def test_huggingface_route_determines_the_price_list():
    """The route is the suffix of the model's name, or a part of the path."""
    by_name = charge("hugging_face", "m", "meta-llama/Llama-3.3-70B-Instruct:together")
    url = "https://router.huggingface.co/together/v1/chat/completions"
    by_path = charge("hugging_face", "meta-llama/Llama-3.3-70B-Instruct", url=url)
    assert ("priced", by_name) == (by_path.status, by_path)
    assert "unpriced" == charge("hugging_face", "meta-llama/Llama-3.3-70B-Instruct").status


def test_free_variant_is_free_although_the_response_names_another():
    """OpenRouter's `:free` models cost 0, which is a known price."""
    cost = charge("openrouter", "deepseek/deepseek-r1", "deepseek/deepseek-r1:free")
    assert ("free", None, 0, 0, 0, 0) == cost[:6]


def test_vertex_gives_nothing_away():
    """Gemma is free in Gemini's API, and billed by the hour on Vertex AI."""
    assert ("free", None) == assess("gcp.gemini", "gemma-3-27b-it")
    assert ("unpriced", "no price") == assess("gcp.vertex_ai", "gemma-3-27b-it")


def test_listed_without_a_price_is_not_free():
    """The catalog lists some models without knowing their prices."""
    assert ("unpriced", "no price") == assess("cerebras", "qwen-3-coder-480b")


@pytest.mark.parametrize(
    ("provider", "model", "reason"),
    [
        ("openai", "gpt-99", "unknown model"),
        ("openai", None, "no model"),
        ("nobody", "gpt-99", "unknown provider"),
        ("replicate", "meta/llama-3", "unknown provider"),
        ("ollama", "llama3", "self-hosted"),
    ],
)
def test_unknown_price_has_a_reason_and_is_not_0(provider, model, reason):
    """Every figure is absent."""
    assert Price("unpriced", reason, catalog=str(load_catalog())) == charge(provider, model)


@pytest.mark.parametrize("model", ["meta-llama/Llama-3-8b", "openai/gpt-oss-20b", "gpt-oss-20b"])
def test_open_weights_on_a_private_host_are_self_hosted(model):
    """Such a server is the user's own, although it has OpenAI's API."""
    assert ("unpriced", "self-hosted") == assess("openai", model, url=LOCAL)


@pytest.mark.parametrize("model", ["gpt-4o", "openai/gpt-4o"])
@pytest.mark.parametrize("url", [LOCAL, "https://llm.corp.example/v1/chat/completions"])
def test_closed_models_behind_a_proxy_have_their_price(url, model):
    """Only OpenAI runs them, so the proxy must call OpenAI."""
    assert charge("openai", "gpt-4o") == charge("openai", model, url=url)


@pytest.mark.parametrize("usage", [None, Usage(), Usage(total_tokens=10)])
def test_without_usage_there_is_no_price(usage):
    """A total alone is not enough, because prices of input and output differ."""
    assert ("unpriced", "no usage") == assess("openai", "gpt-4o", usage=usage)


def test_usage_that_contradicts_itself_is_not_priced():
    """It has more cached input than input."""
    usage = Usage(input_tokens=10, output_tokens=1, cache_read_tokens=500)
    assert ("unpriced", "inconsistent usage") == assess("openai", "gpt-4o", usage=usage)


def test_audio_without_a_price_of_its_own_is_partial():
    """Audio costs many times as much as text."""
    usage = Usage(input_tokens=100, output_tokens=10, input_audio_tokens=50)
    reason = ("partial", "no price for audio input")
    assert reason == assess("openai", "gpt-4o-audio-preview", usage=usage)


def test_unreported_overlap_is_partial():
    """The provider reported cached input and audio, but not the cached audio."""
    usage = Usage(100, 10, cache_read_tokens=10, input_audio_tokens=50)
    cost = charge("openai", "gpt-4o-realtime-preview", usage=usage)
    assert ("partial", "no count of cache audio read tokens") == cost[:2]
    assert (40 * 5 + 50 * 40 + 10 * Decimal("2.5") + 10 * 20) / 10**6 == cost.total


def test_part_without_a_price_is_absent():
    """An embedding model has no price for output, so reported output has no cost, not even 0."""
    cost = charge("openai", "text-embedding-3-small", usage=Usage(1000, 5))
    assert ("partial", "no price for output", None) == (cost.status, cost.reason, cost.output)
    assert cost.total == cost.input == Decimal("0.00002")


@pytest.mark.parametrize(
    ("usage", "reason", "parts"),
    [
        (Usage(input_tokens=1000), "no count of output", (Decimal("0.0025"), None)),
        (Usage(output_tokens=1000), "no count of input", (None, Decimal("0.01"))),
    ],
)
def test_part_without_a_count_is_absent(usage, reason, parts):
    """The counted part has a cost; the other part is not 0."""
    cost = charge("openai", "gpt-4o", usage=usage)
    assert ("partial", reason, parts) == (cost.status, cost.reason, (cost.input, cost.output))


def test_gemini_leaves_out_zeros():
    """The report on a blocked prompt has no count of output, which means 0."""
    cost = charge("gcp.gemini", "gemini-2.5-pro", usage=Usage(input_tokens=1000))
    assert ("priced", 0) == (cost.status, cost.output)


def test_cached_input_without_a_price_of_its_own_is_input():
    """It costs as much as other input, and the cost of the cache is unknown."""
    cost = charge("openai", "gpt-4", usage=Usage(1000, 0, 400))
    assert ("priced", Decimal("0.03"), None) == (cost.status, cost.input, cost.cache)


@pytest.mark.parametrize(
    ("tier", "status", "total"),
    [
        (None, "priced", "0.004375"),
        ("default", "priced", "0.004375"),
        ("AUTO", "priced", "0.004375"),
        ("priority", "priced", "0.0074375"),
        ("flex", "partial", "0.004375"),
    ],
)
def test_service_tier_has_its_price(tier, status, total):
    """If the catalog lacks a tier, the standard price counts, and the status is partial."""
    cost = charge("openai", "gpt-4o", service_tier=tier)
    assert (status, Decimal(total)) == (cost.status, cost.total)


def test_batch_is_priced_only_if_its_price_is_known():
    """It is usually half of the standard price, but that is no known price."""
    assert Decimal("0.00225") == charge("openai", "gpt-4o", service_tier="batch").total
    reason = ("unpriced", "no price for batch")
    assert reason == assess("azure.ai.openai", "gpt-4o", service_tier="batch")


@pytest.mark.parametrize("geography", ["global", "not_available", None])
def test_a_call_that_may_run_anywhere_has_the_usual_price(geography):
    """No choice of location costs nothing extra."""
    cost = charge("anthropic", "claude-opus-4-6", geography=geography)
    assert charge("anthropic", "claude-opus-4-6") == cost
    assert "priced" == cost.status


def test_a_call_with_a_chosen_location_is_partial():
    """Anthropic charges more for it, and the catalog lacks these prices."""
    assert ("partial", "no price for inference geo us") == assess(
        "anthropic", "claude-opus-4-6", geography="us"
    )


def test_speed_has_its_price():
    """Some of Anthropic's models have a fast mode, which costs more."""
    (fast,) = [
        model.id
        for model in load_catalog().list_models(load_catalog().price_lists["anthropic"])
        if any(context == {"speed": "fast"} for context, *_ in model.variants)
    ][:1]
    standard = charge("anthropic", fast)
    assert standard == charge("anthropic", fast, speed="standard")
    assert standard.total < charge("anthropic", fast, speed="fast").total


def test_decimal_context_of_the_program_changes_nothing():
    """A program may compute with two digits."""
    from decimal import localcontext

    expected = charge("openai", "gpt-4o", usage=Usage(123456, 7891, 2345))
    with localcontext() as context:
        context.prec = 2
        assert expected == charge("openai", "gpt-4o", usage=Usage(123456, 7891, 2345))


def test_own_prices_come_first():
    """They also price models that the catalog does not have, at any provider."""
    own = OwnPrices({"models": {"gpt-4o": {"input_mtok": 1}, "llama*": {"input_mtok": 2}}})
    price = charge("openai", "gpt-4o", own_prices=own)
    assert (Decimal("0.001"), OWN_CATALOG, "prices_file") == price[5:8]
    assert Decimal("0.002") == charge("ollama", "llama3:8b", own_prices=own).total
    assert ("unpriced", "self-hosted") == assess("ollama", "qwen3", own_prices=own)


def test_own_price_of_0_is_free():
    """The user has set it."""
    own = OwnPrices({"providers": {"ollama": {"models": {"*": {"input_mtok": 0}}}}})
    assert ("free", None) == assess("ollama", "llama3", own_prices=own)


def test_every_count_has_a_unit():
    """The tables map all fields of `Usage` that count something to units of the catalog."""
    assert set() == {*COUNT_UNITS.values(), *BILLED_UNITS.values()} - set(
        load_catalog().tariff.units
    )
    others = {"total_tokens", "input_apart_tokens", "output_apart_tokens", "search_size"}
    others |= {"stated_cost", "rounds", "problems", "input_text_tokens", "output_text_tokens"}
    assert others == set(Usage._fields) - {*COUNT_UNITS, *BILLED_UNITS}


COHERE_REPORT = {
    "billed_units": {"input_tokens": 41, "output_tokens": 25},
    "tokens": {"input_tokens": 1441, "output_tokens": 54},
    "cached_tokens": 144,
}


def test_cohere_charges_billed_tokens():
    """Command R7B at 0.0375 and 0.15. Tokens that Cohere adds to the prompt are not billed."""
    cost = charge("cohere", "command-r7b-12-2024", usage=read_usage(COHERE_REPORT))
    parts = (Decimal("0.0000015375"), Decimal("0.00000375"), Decimal(0), Decimal("0.0000052875"))
    assert Price("priced", None, *parts, str(load_catalog()), "catalog") == cost


def test_other_providers_of_cohere_models_charge_all_tokens():
    """Cohere's billed units do not concern their customers."""
    usage = read_usage(COHERE_REPORT)
    plain = usage._replace(billed_input_tokens=None, billed_output_tokens=None)
    costs = [
        charge("openrouter", "cohere/command-r7b-12-2024", usage=report)
        for report in (usage, plain)
    ]
    assert costs[0] == costs[1]
    assert costs[0].total is not None


def test_without_billed_tokens_cohere_charges_all_tokens():
    """Some of its reports lack the billed units, or one of them."""
    without_report, without_input = (
        charge("cohere", "command-r7b-12-2024", usage=Usage(1000, 1000, **billed)).total
        for billed in ({}, {"billed_input_tokens": 0})
    )
    assert (Decimal("0.0001875"), Decimal("0.00015")) == (without_report, without_input)


TRANSCRIPTIONS = "https://api.openai.com/v1/audio/transcriptions"


def test_audio_is_charged_by_its_length():
    """Half a minute at 0.006 USD a minute; no count of tokens is needed."""
    cost = charge("openai", "whisper-1", usage=Usage(audio_seconds=30.0), url=TRANSCRIPTIONS)
    assert ("priced", Decimal("0.003")) == (cost.status, cost.total)


def test_short_audio_is_charged_at_the_minimum():
    """Groq bills at least ten seconds."""
    costs = [
        charge("groq", "whisper-large-v3", usage=Usage(audio_seconds=seconds)).total
        for seconds in (3.5, 10, 20)
    ]
    assert costs[0] == costs[1]
    assert pytest.approx(costs[2]) == 2 * costs[1]


def test_tokens_cost_nothing_if_audio_is_charged_by_length():
    """Mistral reports both, and charges only the length."""
    usage = Usage(4, 635, audio_seconds=203)
    cost = charge("mistral_ai", "voxtral-mini-2602", usage=usage)
    assert ("priced", True) == (cost.status, cost.total > 0)


def test_spoken_text_is_charged_by_its_length():
    """At 15 USD a million characters."""
    cost = charge("openai", "tts-1", usage=Usage(input_characters=1000))
    assert ("priced", Decimal("0.015")) == (cost.status, cost.total)


def test_searches_of_an_answer_are_charged():
    """Perplexity reports the searches of its deep research."""
    with_searches = USED._replace(web_searches=3)
    costs = [
        charge("perplexity", "sonar-deep-research", usage=usage).total
        for usage in (USED, with_searches)
    ]
    assert Decimal("0.015") == costs[1] - costs[0]


def test_an_hour_in_the_cache_has_its_price():
    """Also on Bedrock. Five minutes cost the price of a cache write."""
    report = {"inputTokens": 10, "outputTokens": 5, "cacheWriteInputTokens": 1000}
    costs = [
        charge(
            "aws.bedrock",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            usage=read_usage({**report, "cacheDetails": [{"ttl": ttl, "inputTokens": 1000}]}),
        ).cache
        for ttl in ("5m", "1h")
    ]
    assert costs[1] == costs[0] * Decimal("1.6")


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        ("ON_DEMAND", ("priced", None)),
        ("ON_DEMAND_FLEX", ("partial", "no price for service tier flex")),
        (
            "PROVISIONED_THROUGHPUT",
            ("unpriced", "no price for service tier provisioned_throughput"),
        ),
    ],
)
def test_vertex_tiers_are_known_by_their_names(tier, expected):
    """Capacity that was paid in advance has no known price."""
    assert expected == assess("gcp.vertex_ai", "gemini-2.5-flash", service_tier=tier)
