"""Answers of LLM APIs in the forms that providers document, with the values to read from them.

The contents are made up. Each form has the address at which its provider documents it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Mapping, NamedTuple


class Form(NamedTuple):
    """One call in a documented form.

    Attributes:
        name: the form's name in the output of tests.
        source: the address of the documentation.
        url: the called URL.
        answer: the JSON value of the response, or the events of a stream.
        expected: the values to read: provider, operation, input, output, cached, reasoning, cost
            in USD, status, source (of the cost) and a part of the reason; None means none.
        request: the JSON value of the request; None for a GET.
        headers: the response's headers, in lower case.
    """

    name: str
    source: str
    url: str
    answer: Any
    expected: Mapping[str, Any]
    request: Any = MappingProxyType({})
    headers: Mapping[str, str] = MappingProxyType({})


OPENAI = "https://api.openai.com/v1/"
ANTHROPIC = "https://api.anthropic.com/v1/messages"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/"
OPENROUTER = "https://openrouter.ai/api/v1/chat/completions"
PERPLEXITY = "https://api.perplexity.ai/"
VERCEL = "https://ai-gateway.vercel.sh/v1/chat/completions"
XAI = "https://api.x.ai/v1/"
COHERE = "https://api.cohere.com/v2/"
OPENROUTER_SOURCE = "https://openrouter.ai/docs/use-cases/usage-accounting"


def chat(model, prompt, completion, *, total=None, root=None, **usage):
    """An answer of Chat Completions with the members of `usage` in its usage report."""
    total = prompt + completion if total is None else total
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    answer = {"id": "c1", "object": "chat.completion", "model": model, "choices": [choice]}
    return {**answer, "usage": {**counts, **usage}, **(root or {})}


def response(model, tokens_in, tokens_out, *, root=None, **usage):
    """An answer of the Responses API with the members of `usage` in its usage report."""
    counts = {"input_tokens": tokens_in, "output_tokens": tokens_out}
    counts["total_tokens"] = tokens_in + tokens_out
    answer = {"id": "resp_1", "object": "response", "status": "completed", "model": model}
    return {**answer, "output": [], "usage": {**counts, **usage}, **(root or {})}


def message(model, tokens_in, tokens_out, **usage):
    """An answer of Anthropic's Messages API with the members of `usage` in its usage report."""
    counts = {"input_tokens": tokens_in, "output_tokens": tokens_out}
    cached = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    return {"id": "m1", "type": "message", "model": model, "usage": {**counts, **cached, **usage}}


def a_round(kind, tokens_in, tokens_out, model=None):
    """One of Anthropic's rounds."""
    counts = {"input_tokens": tokens_in, "output_tokens": tokens_out}
    return {"type": kind, **counts, **({"model": model} if model else {})}


BYOK = {"cost": 0.0001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.004}}
SEARCH_COST = {"input_tokens_cost": 0.00001, "output_tokens_cost": 0.00018, "request_cost": 0.005}
IMAGE_TOOL = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 50, "image_tokens": 0},
    "output_tokens": 1000,
    "total_tokens": 1050,
}

FORMS = (
    # The cost that the answer states.
    Form(
        "openrouter cost",
        OPENROUTER_SOURCE,
        OPENROUTER,
        chat("openai/gpt-4o", 100, 10, cost=0.5, cost_details={"upstream_inference_cost": None}),
        {"provider": "openrouter", "input": 100, "cost": 0.5, "source": "reported",
         "estimate": 0.00035},
    ),
    Form(
        "openrouter with the user's own key",
        "https://openrouter.ai/docs/guides/overview/auth/byok",
        OPENROUTER,
        chat("anthropic/claude-opus-5", 14, 164, **BYOK),
        {"cost": 0.0041, "source": "reported"},
    ),
    Form(
        "openrouter form of another gateway",
        OPENROUTER_SOURCE,
        "https://llm.example.net/v1/chat/completions",
        chat("moonshotai/kimi-k2", 57, 17, cost=0.00007159, cost_details={}),
        {"cost": 0.00007159, "source": "reported"},
    ),
    Form(
        "a cost of an unknown gateway in an unknown currency",
        OPENROUTER_SOURCE,
        "https://llm.example.net/v1/chat/completions",
        chat("house-model", 57, 17, cost=3),
        {"cost": None, "status": "unpriced"},
    ),
    Form(
        "openrouter fallback from a free model",
        "https://openrouter.ai/docs/guides/routing/model-fallbacks",
        OPENROUTER,
        chat("openai/gpt-4o", 1000, 100),
        {"status": "priced", "cost": 0.0035},
        {"model": "meta-llama/llama-3.3-70b-instruct:free", "models": ["openai/gpt-4o"]},
    ),
    Form(
        "openrouter free model",
        "https://openrouter.ai/docs/guides/routing/model-variants/free",
        OPENROUTER,
        chat("meta-llama/llama-3.3-70b-instruct", 1000, 100),
        {"status": "free", "cost": 0},
        {"model": "meta-llama/llama-3.3-70b-instruct:free"},
    ),
    Form(
        "openrouter transcription",
        "https://openrouter.ai/docs/api-reference/transcriptions",
        "https://openrouter.ai/api/v1/audio/transcriptions",
        {"text": "x", "usage": {"input_tokens": 37, "output_tokens": 12, "total_tokens": 49,
                                "cost": 0.00010625}},
        {"operation": "transcription", "cost": 0.00010625, "source": "reported"},
    ),
    Form(
        "xai ticks",
        "https://docs.x.ai/developers/cost-tracking",
        XAI + "responses",
        response("grok-4.5", 199, 1, cost_in_usd_ticks=37756000,
                 server_side_tool_usage_details={"web_search_calls": 1, "x_search_calls": 2}),
        {"provider": "x_ai", "cost": 0.0037756, "source": "reported", "status": "priced"},
    ),
    Form(
        "xai image",
        "https://docs.x.ai/developers/cost-tracking",
        XAI + "images/generations",
        {"data": [{"url": "x"}], "usage": {"cost_in_usd_ticks": 200000000}},
        {"operation": "image_generation", "cost": 0.02, "input": None},
    ),
    Form(
        "vercel leaves reasoning out",
        "https://vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions",
        VERCEL,
        chat("google/gemini-3-pro-preview", 223, 25, cost=0.003938, market_cost=0.003938,
             is_byok=False, completion_tokens_details={"reasoning_tokens": 266}),
        {"provider": "vercel", "output": 291, "reasoning": 266, "cost": 0.003938},
    ),
    Form(
        "vercel with the user's own key",
        "https://vercel.com/docs/ai-gateway/authentication-and-byok/byok",
        VERCEL,
        chat("openai/gpt-4o", 100, 10, cost=0, market_cost=0.0007, is_byok=True),
        {"cost": 0.0007, "status": "priced", "estimate": 0.00035},
    ),
    Form(
        "perplexity cost",
        "https://docs.perplexity.ai/api-reference/chat-completions-post",
        PERPLEXITY + "chat/completions",
        chat("sonar", 10, 180, search_context_size="low",
             cost={**SEARCH_COST, "total_cost": 0.00519}),
        {"provider": "perplexity", "cost": 0.00519, "source": "reported", "estimate": None},
    ),
    Form(
        "perplexity request fee by search size",
        "https://docs.perplexity.ai/guides/pricing",
        PERPLEXITY + "chat/completions",
        chat("sonar-pro", 100, 100, search_context_size="medium"),
        {"cost": 0.0118, "source": "catalog", "status": "priced"},
    ),
    Form(
        "perplexity deep research",
        "https://docs.perplexity.ai/models/models/sonar-deep-research",
        PERPLEXITY + "chat/completions",
        chat("sonar-deep-research", 33, 1000, citation_tokens=2000, num_search_queries=10,
             reasoning_tokens=5000),
        # 33 * 2 + 1000 * 8 + 5000 * 3 + 2000 * 2 per million, 10 searches at 5 a thousand
        {"output": 1000, "cost": 0.077066, "status": "priced"},
    ),
    Form(
        "perplexity responses with cached input",
        "https://docs.perplexity.ai/api-reference/responses-post",
        PERPLEXITY + "v1/responses",
        response("perplexity/kimi-k3", 1000, 10,
                 input_tokens_details={"cache_read_input_tokens": 400},
                 tool_calls_details={"search_web": {"invocation": 2}}),
        {"cached": 400, "status": "partial", "reason": "no price for web searches"},
    ),
    Form(
        "litellm header",
        "https://docs.litellm.ai/docs/proxy/response_headers",
        "http://litellm:4000/v1/chat/completions",
        chat("house-model", 10, 5),
        {"cost": 0.000123, "source": "reported"},
        headers={"x-litellm-response-cost": "0.000123"},
    ),
    Form(
        "litellm header without a price",
        "https://docs.litellm.ai/docs/proxy/response_headers",
        "http://litellm:4000/v1/chat/completions",
        chat("house-model", 10, 5),
        {"cost": None, "status": "unpriced"},
        headers={"x-litellm-response-cost": "0.0"},
    ),
    Form(
        "deepinfra cost",
        "https://docs.deepinfra.com/chat/overview",
        "https://api.deepinfra.com/v1/openai/chat/completions",
        chat("deepseek-ai/DeepSeek-V4", 15, 16, estimated_cost=0.0000268),
        {"provider": "deepinfra", "cost": 0.0000268},
    ),
    Form(
        "deepinfra native",
        "https://docs.deepinfra.com/api-reference/inference",
        "https://api.deepinfra.com/v1/inference/meta-llama/Meta-Llama-3-8B-Instruct",
        {"results": [{"generated_text": "x"}], "request_id": "r",
         "inference_status": {"status": "succeeded", "cost": 0.0000075, "tokens_input": 12,
                              "tokens_generated": 25}},
        {"provider": "deepinfra", "input": 12, "output": 25, "cost": 0.0000075},
        {"input": "x"},
    ),
    Form(
        "venice cost",
        "https://docs.venice.ai/api-reference/endpoint/chat/completions",
        "https://api.venice.ai/api/v1/chat/completions",
        chat("qwen3-5-9b", 1000, 16, root={"cost": {"usd": 0.0001, "diem": 0}}),
        {"provider": "venice", "cost": 0.0001, "source": "reported"},
    ),
    Form(
        "copilot credits",
        "https://docs.github.com/en/copilot/concepts/billing/usage-based-billing",
        "https://api.githubcopilot.com/chat/completions",
        chat("claude-opus-9", 100, 50, root={"copilot_usage": {"total_nano_aiu": 250000000}}),
        {"provider": "github_copilot", "cost": 0.0025},
    ),
    # Parts that are charged beside the tokens of the model.
    Form(
        "anthropic advisor",
        "https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool",
        ANTHROPIC,
        message("claude-sonnet-4-5", 100, 20,
                iterations=[a_round("message", 100, 20),
                            a_round("advisor_message", 1000, 100, "claude-opus-4-5")]),
        # Sonnet at 3 and 15, Opus at 5 and 25
        {"input": 100, "output": 20, "cost": 0.0081, "status": "priced"},
    ),
    Form(
        "anthropic advisor without a price",
        "https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool",
        ANTHROPIC,
        message("claude-sonnet-4-5", 100, 20,
                iterations=[a_round("advisor_message", 1000, 100, "house-model")]),
        {"cost": 0.0006, "status": "partial", "reason": "another model"},
    ),
    Form(
        "anthropic fallback after output",
        "https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback",
        ANTHROPIC,
        message("claude-sonnet-4-5", 100, 20,
                iterations=[a_round("message", 100, 40, "claude-opus-4-5"),
                            a_round("fallback_message", 100, 20, "claude-sonnet-4-5")]),
        {"cost": 0.0021, "status": "priced"},
    ),
    Form(
        "anthropic fallback before output",
        "https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback",
        ANTHROPIC,
        message("claude-sonnet-4-5", 100, 20,
                iterations=[a_round("message", 100, 0, "claude-opus-4-5"),
                            a_round("fallback_message", 100, 20, "claude-sonnet-4-5")]),
        {"cost": 0.0006, "status": "priced"},
    ),
    Form(
        "anthropic round of an unknown type",
        "https://platform.claude.com/docs/en/api/beta/messages",
        ANTHROPIC,
        message("claude-sonnet-4-5", 100, 20, iterations=[a_round("oracle_message", 5, 5)]),
        {"status": "partial", "reason": "oracle message not read"},
    ),
    Form(
        "anthropic searches and fetches",
        "https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-fetch-tool",
        ANTHROPIC,
        message("claude-sonnet-4-5", 100, 20,
                server_tool_use={"web_search_requests": 1, "web_fetch_requests": 3}),
        {"cost": 0.0106, "status": "priced"},
    ),
    Form(
        "openai searches of a response",
        "https://developers.openai.com/api/reference/resources/responses",
        OPENAI + "responses",
        response("gpt-5.5", 1000, 100, root={"tool_usage": {"web_search": {"num_requests": 2}}}),
        {"cost": 0.028, "status": "priced"},
    ),
    Form(
        "openai images of a response",
        "https://developers.openai.com/api/reference/resources/responses",
        OPENAI + "responses",
        response("gpt-5.5", 1000, 100, root={"tool_usage": {"image_gen": IMAGE_TOOL}}),
        # gpt-5.5: 0.008; gpt-image-2: 50 * 5 + 1000 * 30 per million
        {"cost": 0.03825, "status": "priced"},
        {"model": "gpt-5.5", "tools": [{"type": "image_generation", "model": "gpt-image-2"}]},
    ),
    Form(
        "openai images of an unknown model",
        "https://developers.openai.com/api/reference/resources/responses",
        OPENAI + "responses",
        response("gpt-5.5", 1000, 100, root={"tool_usage": {"image_gen": IMAGE_TOOL}}),
        {"cost": 0.008, "status": "partial", "reason": "another model: no model"},
    ),
    Form(
        "openai vector graphics of a response",
        "https://developers.openai.com/api/reference/resources/responses",
        OPENAI + "responses",
        response("gpt-5.5", 1000, 100,
                 root={"output": [{"type": "image_generation_call", "id": "i",
                                   "svg_usage": {"model": "gpt-5.5", "input_tokens": 100,
                                                 "output_tokens": 100, "reasoning_tokens": 10,
                                                 "total_tokens": 200}}]}),
        {"cost": 0.0115, "status": "priced"},
    ),
    Form(
        "openai decision",
        "https://developers.openai.com/api/reference/resources/decisions",
        OPENAI + "decisions",
        {"id": "d", "object": "decision", "model": "gpt-6-luna", "answers": [],
         "usage": {"input_tokens": 1000, "output_tokens": 0, "total_tokens": 1000}},
        {"operation": "decisions", "input": 1000, "cost": 0.0001},
    ),
    Form(
        "perplexity decision",
        "https://docs.perplexity.ai/api-reference/decisions-post",
        PERPLEXITY + "v1/decisions",
        {"id": "d", "model": "pplx-decider-v1.2", "answers": {},
         "usage": {"input_tokens": 1000, "output_tokens": 0}},
        {"provider": "perplexity", "input": 1000, "cost": 0.00002},
    ),
    Form(
        "gemini grounding and modalities of an interaction",
        "https://ai.google.dev/api/interactions-api",
        GEMINI + "interactions",
        {"id": "i", "model": "gemini-2.5-flash", "status": "completed",
         "usage": {"total_input_tokens": 1000, "total_output_tokens": 100, "total_tokens": 1100,
                   "input_tokens_by_modality": [{"modality": "video", "tokens": 900},
                                                {"modality": "text", "tokens": 100}],
                   "grounding_tool_count": [{"type": "google_search", "count": 2}]}},
        {"input": 1000, "cost": 0.07055, "status": "priced"},
    ),
    Form(
        "gemini maps of an interaction",
        "https://ai.google.dev/api/interactions-api",
        GEMINI + "interactions",
        {"id": "i", "model": "gemini-2.5-flash", "status": "completed",
         "usage": {"total_input_tokens": 1000, "total_output_tokens": 100, "total_tokens": 1100,
                   "grounding_tool_count": [{"type": "google_maps", "count": 1}]}},
        {"cost": 0.00055, "status": "partial", "reason": "google maps not read"},
    ),
    Form(
        "gemini thoughts behind the openai form",
        "https://ai.google.dev/gemini-api/docs/openai",
        GEMINI + "openai/chat/completions",
        chat("gemini-2.5-flash", 100, 10, total=210),
        {"output": 110, "reasoning": 100, "cost": 0.000305, "status": "priced"},
    ),
    Form(
        "mistral connectors",
        "https://docs.mistral.ai/agents/connectors/websearch",
        "https://api.mistral.ai/v1/conversations",
        {"object": "conversation.response", "conversation_id": "c", "outputs": [],
         "usage": {"prompt_tokens": 188, "completion_tokens": 55, "total_tokens": 7355,
                   "connector_tokens": 7112, "connectors": {"web_search": 1}}},
        # mistral-medium-2508 at 0.4 and 2: 7,300 and 55 tokens
        {"operation": "invoke_agent", "input": 188, "cost": 0.00303, "status": "partial",
         "reason": "no price for web searches"},
        {"model": "mistral-medium-2508", "inputs": "x"},
    ),
    Form(
        "mistral pages",
        "https://docs.mistral.ai/api/endpoint/ocr",
        "https://api.mistral.ai/v1/ocr",
        {"pages": [], "model": "mistral-ocr-2512", "usage_info": {"pages_processed": 3}},
        {"input": None, "cost": 0.006, "status": "priced"},
    ),
    Form(
        "mistral pages with annotations",
        "https://docs.mistral.ai/api/endpoint/ocr",
        "https://api.mistral.ai/v1/ocr",
        {"pages": [], "model": "mistral-ocr-2512", "usage_info": {"pages_processed": 3}},
        {"cost": 0.009, "status": "priced"},
        {"model": "mistral-ocr-2512", "document_annotation_format": {"type": "json_schema"}},
    ),
    Form(
        "cohere image embedding",
        "https://docs.cohere.com/reference/embed",
        COHERE + "embed",
        {"id": "e", "embeddings": {}, "meta": {"billed_units": {"images": 1, "input_tokens": 0}}},
        {"operation": "embeddings", "cost": None, "status": "unpriced",
         "reason": "no price for images"},
        {"model": "embed-v4.0", "images": ["x"]},
    ),
    # Calls of rarer APIs.
    Form(
        "llama api",
        "https://llama.developer.meta.com/docs/api/chat",
        "https://api.llama.com/v1/chat/completions",
        {"id": "l", "completion_message": {"role": "assistant", "stop_reason": "stop"},
         "metrics": [{"metric": "num_completion_tokens", "value": 8, "unit": "tokens"},
                     {"metric": "num_prompt_tokens", "value": 14, "unit": "tokens"},
                     {"metric": "num_total_tokens", "value": 22, "unit": "tokens"}]},
        {"provider": "meta", "input": 14, "output": 8},
    ),
    Form(
        "lm studio chat",
        "https://lmstudio.ai/docs/developer/rest/chat",
        "http://localhost:1234/api/v1/chat",
        {"model_instance_id": "qwen3-4b", "output": [], "response_id": "resp_1",
         "stats": {"input_tokens": 646, "total_output_tokens": 586, "reasoning_output_tokens": 95,
                   "tokens_per_second": 43.7, "time_to_first_token_seconds": 0.78}},
        {"provider": "lm_studio", "operation": "chat", "input": 646, "output": 586,
         "reasoning": 95, "cost": None},
        {"model": "qwen3-4b", "input": "x"},
    ),
    Form(
        "oracle chat",
        "https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/ChatResult/Chat",
        "https://inference.generativeai.eu-frankfurt-1.oci.oraclecloud.com/20231130/actions/chat",
        {"modelId": "cohere.command-a-03-2025", "chatResponse": {
            "apiFormat": "COHERE", "text": "x",
            "usage": {"promptTokens": 5, "completionTokens": 6, "totalTokens": 11}}},
        {"provider": "oracle", "operation": "chat", "input": 5, "output": 6, "cost": None},
    ),
    Form(
        "yandex completion",
        "https://yandex.cloud/en/docs/foundation-models/text-generation/api-ref/TextGeneration/completion",
        "https://llm.api.cloud.yandex.net/foundationModels/v1/completion",
        {"result": {"alternatives": [], "modelVersion": "09.02.2025",
                    "usage": {"inputTextTokens": "20", "completionTokens": "11",
                              "totalTokens": "31"}}},
        {"provider": "yandex", "operation": "chat", "input": 20, "output": 11, "cost": None},
        {"modelUri": "gpt://f/yandexgpt"},
    ),
    Form(
        "tgi at the root of an endpoint",
        "https://huggingface.co/docs/text-generation-inference/reference/api_reference",
        "https://x1.us-east-1.aws.endpoints.huggingface.cloud/",
        [{"generated_text": "x", "details": {"finish_reason": "length", "generated_tokens": 20}}],
        {"provider": "hugging_face", "operation": "text_completion", "output": 20},
        {"inputs": "x", "parameters": {"details": True}},
    ),
    Form(
        "tgi behind a private host",
        "https://huggingface.co/docs/text-generation-inference/reference/api_reference",
        "http://tgi:8080/generate",
        {"generated_text": "x", "details": {"finish_reason": "length", "generated_tokens": 20}},
        {"operation": "text_completion", "output": 20},
        {"inputs": "x", "parameters": {"details": True}},
    ),
    Form(
        "volcengine multimodal embeddings",
        "https://www.volcengine.com/docs/82379/1409291",
        "https://ark.cn-beijing.volces.com/api/v3/embeddings/multimodal",
        {"data": {"embedding": []}, "model": "doubao-embedding-vision", "object": "list",
         "usage": {"prompt_tokens": 528, "total_tokens": 528,
                   "prompt_tokens_details": {"text_tokens": 16, "image_tokens": 512}}},
        {"provider": "volcengine", "operation": "embeddings", "input": 528},
    ),
    Form(
        "kimi coding plan",
        "https://www.kimi.com/code/docs/en/more/third-party-agents.html",
        "https://api.kimi.com/coding/v1/chat/completions",
        chat("kimi-for-coding", 10, 5),
        {"provider": "moonshot_ai", "operation": "chat", "input": 10},
    ),
    Form(
        "databricks responses",
        "https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference",
        "https://dbc-1.cloud.databricks.com/serving-endpoints/responses",
        response("databricks-gpt-5", 10, 5),
        {"provider": "databricks", "operation": "chat", "input": 10, "output": 5},
        {"model": "databricks-gpt-5", "input": "x"},
    ),
    Form(
        "foundry run",
        "https://learn.microsoft.com/en-us/rest/api/aifoundry/aiagents/create-run",
        "https://r.services.ai.azure.com/api/projects/p/threads/t1/runs?api-version=v1",
        {"id": "run_1", "object": "thread.run", "status": "completed", "model": "gpt-4o",
         "usage": {"prompt_tokens": 123, "completion_tokens": 456, "total_tokens": 579}},
        {"operation": "invoke_agent", "input": 123, "output": 456},
        {"assistant_id": "a"},
    ),
    Form(
        "vertex endpoint",
        "https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/predict",
        "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/123:predict",
        {"predictions": ["x"], "deployedModelId": "1"},
        {"provider": "gcp.vertex_ai", "operation": "generate_content", "cost": None},
        {"instances": []},
    ),
    Form(
        "nova canvas",
        "https://docs.aws.amazon.com/nova/latest/userguide/image-gen-access.html",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-canvas-v1:0/invoke",
        {"images": ["x"]},
        {"provider": "aws.bedrock", "operation": "image_generation", "cost": None},
        {"taskType": "TEXT_IMAGE"},
    ),
    # Sellers that the catalog knows by the URL of their API.
    Form(
        "meta",
        "https://api.meta.ai",
        "https://api.meta.ai/v1/chat/completions",
        chat("muse-spark-1.3", 1000, 100),
        {"provider": "meta", "cost": 0.001675, "status": "priced"},
    ),
    Form(
        "a seller with the model of another",
        "https://api.arcee.ai",
        "https://api.arcee.ai/api/v1/chat/completions",
        chat("gpt-4o", 1000, 100),
        {"provider": "arcee", "cost": None, "status": "unpriced"},
    ),
    Form(
        "a user's own server on a seller's cloud",
        "https://modal.com/docs/examples/vllm_inference",
        "https://workspace--serve.modal.run/v1/chat/completions",
        chat("gpt-4o", 1000, 100),
        {"provider": "modal", "cost": None, "status": "unpriced"},
    ),
    # Errors in an answer with status 200.
    Form(
        "openrouter error in an answer",
        "https://openrouter.ai/docs/api/reference/errors-and-debugging",
        OPENROUTER,
        {"error": {"code": 502, "message": "x"}},
        {"error": "502", "cost": None},
    ),
    Form(
        "minimax error in an answer",
        "https://platform.minimax.io/docs/api-reference/errorcode",
        "https://api.minimax.io/v1/text/chatcompletion_v2",
        {"id": "m", "base_resp": {"status_code": 1004, "status_msg": "x"}},
        {"error": "1004", "cost": None},
    ),
)  # fmt: skip
"""The documented forms."""
