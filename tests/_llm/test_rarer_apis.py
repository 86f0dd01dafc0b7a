"""Usage and model of APIs that few programs call, in the formats that their references document."""

from __future__ import annotations

import json

import pytest
from servers.event_stream import chunk, frame

BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model/"
VERTEX = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/models/"


def sse(*events, named=False):
    return "".join(
        (f"event: {event.get('type', 'x')}\n" if named else "") + f"data: {json.dumps(event)}\n\n"
        for event in events
    ).encode()


# API: (URL, answer, input tokens, output tokens, model)
CASES = {
    "watsonx embeddings": (
        "https://us-south.ml.cloud.ibm.com/ml/v1/text/embeddings?version=2024",
        {"model_id": "ibm/slate", "results": [{"embedding": [1]}], "input_token_count": 4},
        4,
        None,
        "ibm/slate",
    ),
    "watsonx rerank": (
        "https://us-south.ml.cloud.ibm.com/ml/v1/text/rerank?version=2024",
        {"model_id": "m", "results": [{"index": 0, "score": 1}], "input_token_count": 14},
        14,
        None,
        "m",
    ),
    "palm text": (
        VERTEX + "text-bison:predict",
        {
            "predictions": [{"content": "x"}],
            "metadata": {
                "tokenMetadata": {
                    "inputTokenCount": {"totalTokens": 5, "totalBillableCharacters": 3},
                    "outputTokenCount": {"totalTokens": 7, "totalBillableCharacters": 3},
                }
            },
        },
        5,
        7,
        None,
    ),
    "nova invoke": (
        BEDROCK + "amazon.nova-lite-v1%3A0/invoke",
        {
            "output": {"message": {"content": [{"text": "x"}]}},
            "stopReason": "end_turn",
            "usage": {
                "inputTokens": 5,
                "outputTokens": 7,
                "totalTokens": 12,
                "cacheReadInputTokenCount": 0,
            },
        },
        5,
        7,
        None,
    ),
    "nova invoke stream": (
        BEDROCK + "amazon.nova-lite-v1%3A0/invoke-with-response-stream",
        b"".join(
            [
                chunk({"messageStart": {"role": "assistant"}}),
                chunk({"contentBlockDelta": {"delta": {"text": "x"}}}),
                chunk({"messageStop": {"stopReason": "end_turn"}}),
                chunk(
                    {
                        "metadata": {"usage": {"inputTokens": 5, "outputTokens": 7}, "metrics": {}},
                        "amazon-bedrock-invocationMetrics": {
                            "inputTokenCount": 5,
                            "outputTokenCount": 7,
                        },
                    }
                ),
            ]
        ),
        5,
        7,
        None,
    ),
    "llama stream": (
        BEDROCK + "meta.llama3-8b-instruct-v1%3A0/invoke-with-response-stream",
        b"".join(
            [
                chunk(
                    {
                        "generation": "a",
                        "prompt_token_count": 5,
                        "generation_token_count": 1,
                        "stop_reason": None,
                    }
                )
            ]
            + [
                chunk(
                    {
                        "generation": "b",
                        "prompt_token_count": None,
                        "generation_token_count": i,
                        "stop_reason": None,
                    }
                )
                for i in range(2, 30)
            ]
            + [
                chunk(
                    {
                        "generation": "",
                        "prompt_token_count": None,
                        "generation_token_count": 30,
                        "stop_reason": "stop",
                        "amazon-bedrock-invocationMetrics": {
                            "inputTokenCount": 5,
                            "outputTokenCount": 30,
                        },
                    }
                )
            ]
        ),
        5,
        30,
        None,
    ),
    "jamba invoke": (
        BEDROCK + "ai21.jamba-1-5-mini-v1%3A0/invoke",
        {
            "id": "c",
            "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
            "meta": {"requestDurationMillis": 5},
            "model": "jamba-1.5-mini",
        },
        5,
        7,
        "jamba-1.5-mini",
    ),
    "cohere bedrock stream": (
        BEDROCK + "cohere.command-r-v1%3A0/invoke-with-response-stream",
        b"".join(
            [chunk({"is_finished": False, "event_type": "text-generation", "text": "a"})] * 20
            + [
                chunk(
                    {
                        "is_finished": True,
                        "event_type": "stream-end",
                        "finish_reason": "COMPLETE",
                        "response": {"text": "x", "finish_reason": "COMPLETE"},
                        "amazon-bedrock-invocationMetrics": {
                            "inputTokenCount": 5,
                            "outputTokenCount": 7,
                        },
                    }
                )
            ]
        ),
        5,
        7,
        None,
    ),
    "titan embed": (
        BEDROCK + "amazon.titan-embed-text-v2%3A0/invoke",
        {"embedding": [1], "inputTextTokenCount": 5},
        5,
        None,
        None,
    ),
    "dashscope": (
        "https://dashscope.aliyuncs.com/api/v1/services/aigc/text-generation/generation",
        {
            "output": {"finish_reason": "stop", "text": "x"},
            "usage": {"total_tokens": 12, "output_tokens": 7, "input_tokens": 5},
            "request_id": "r",
        },
        5,
        7,
        None,
    ),
    "dashscope sse": (
        "https://dashscope.aliyuncs.com/api/v1/services/aigc/text-generation/generation",
        b"".join(
            b"id:%d\nevent:result\n:HTTP_STATUS/200\ndata:%s\n\n"
            % (
                i,
                json.dumps(
                    {
                        "output": {
                            "choices": [
                                {
                                    "message": {"content": "x"},
                                    "finish_reason": "null" if i < 9 else "stop",
                                }
                            ]
                        },
                        "usage": {"total_tokens": 5 + i, "output_tokens": i, "input_tokens": 5},
                        "request_id": "r",
                    }
                ).encode(),
            )
            for i in range(1, 10)
        ),
        5,
        9,
        None,
    ),
    "dashscope multimodal": (
        "https://dashscope-intl.aliyuncs.com/api/v1/services/aigc/multimodal-generation/generation",
        {
            "output": {"choices": []},
            "usage": {
                "input_tokens_details": {"text_tokens": 3, "image_tokens": 2},
                "output_tokens": 7,
                "input_tokens": 5,
                "image_tokens": 2,
            },
        },
        5,
        7,
        None,
    ),
    "dashscope embed": (
        "https://dashscope.aliyuncs.com/api/v1/services/embeddings/text-embedding/text-embedding",
        {"output": {"embeddings": []}, "usage": {"total_tokens": 26}, "request_id": "r"},
        26,
        None,
        None,
    ),
    "jina embed": (
        "https://api.jina.ai/v1/embeddings",
        {"model": "jina-embeddings-v3", "object": "list", "usage": {"total_tokens": 6}, "data": []},
        6,
        None,
        "jina-embeddings-v3",
    ),
    "jina rerank": (
        "https://api.jina.ai/v1/rerank",
        {"model": "jina-reranker-v2", "usage": {"total_tokens": 815}, "results": []},
        815,
        None,
        "jina-reranker-v2",
    ),
    "voyage mm": (
        "https://api.voyageai.com/v1/multimodalembeddings",
        {
            "object": "list",
            "data": [],
            "model": "voyage-multimodal-3",
            "usage": {"text_tokens": 5, "image_pixels": 1000, "total_tokens": 3576},
        },
        3576,
        None,
        "voyage-multimodal-3",
    ),
    "mistral conv stream": (
        "https://api.mistral.ai/v1/conversations#stream",
        sse(
            {"type": "conversation.response.started", "conversation_id": "c"},
            *[{"type": "message.output.delta", "content": "x", "model": "mistral-medium-2505"}] * 9,
            {
                "type": "conversation.response.done",
                "usage": {
                    "prompt_tokens": 5,
                    "completion_tokens": 7,
                    "total_tokens": 12,
                    "connector_tokens": None,
                },
            },
            named=True,
        ),
        5,
        7,
        "mistral-medium-2505",
    ),
    "mistral conv": (
        "https://api.mistral.ai/v1/conversations",
        {
            "object": "conversation.response",
            "conversation_id": "c",
            "outputs": [{"type": "message.output", "model": "mistral-medium-2505", "content": "x"}],
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": 7,
                "total_tokens": 12,
                "connector_tokens": 0,
            },
        },
        5,
        7,
        None,
    ),
    "openai transcript stream": (
        "https://api.openai.com/v1/audio/transcriptions",
        sse(
            *[{"type": "transcript.text.delta", "delta": "x"}] * 9,
            {
                "type": "transcript.text.done",
                "text": "x",
                "usage": {
                    "type": "tokens",
                    "input_tokens": 14,
                    "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
                    "output_tokens": 45,
                    "total_tokens": 59,
                },
            },
        ),
        14,
        45,
        None,
    ),
    "openai speech sse": (
        "https://api.openai.com/v1/audio/speech",
        sse(
            *[{"type": "speech.audio.delta", "audio": "x"}] * 9,
            {
                "type": "speech.audio.done",
                "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115},
            },
        ),
        14,
        101,
        None,
    ),
    "openai image stream": (
        "https://api.openai.com/v1/images/generations",
        sse(
            *[{"type": "image_generation.partial_image", "b64_json": "x" * 300000}] * 2,
            {
                "type": "image_generation.completed",
                "b64_json": "x" * 400000,
                "usage": {
                    "total_tokens": 100,
                    "input_tokens": 50,
                    "output_tokens": 50,
                    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                },
            },
        ),
        50,
        50,
        None,
    ),
    "openai run stream": (
        "https://api.openai.com/v1/threads/t/runs",
        sse(
            {
                "id": "run_1",
                "object": "thread.run",
                "status": "queued",
                "model": "gpt-4o",
                "usage": None,
            },
            *[{"id": "m", "object": "thread.message.delta", "delta": {}}] * 9,
            {
                "id": "s",
                "object": "thread.run.step",
                "usage": {"prompt_tokens": 20, "completion_tokens": 11, "total_tokens": 31},
            },
            {
                "id": "run_1",
                "object": "thread.run",
                "status": "completed",
                "model": "gpt-4o",
                "usage": {"prompt_tokens": 20, "completion_tokens": 11, "total_tokens": 31},
            },
        ),
        20,
        11,
        "gpt-4o",
    ),
    "cohere v1 stream ndjson": (
        "https://api.cohere.com/v1/chat",
        b"\n".join(
            [
                json.dumps(
                    {"is_finished": False, "event_type": "text-generation", "text": "x"}
                ).encode()
            ]
            * 20
            + [
                json.dumps(
                    {
                        "is_finished": True,
                        "event_type": "stream-end",
                        "finish_reason": "COMPLETE",
                        "response": {
                            "generation_id": "g",
                            "text": "x",
                            "meta": {
                                "billed_units": {"input_tokens": 4, "output_tokens": 7},
                                "tokens": {"input_tokens": 70, "output_tokens": 7},
                            },
                        },
                    }
                ).encode()
            ]
        ),
        70,
        7,
        None,
    ),
    "cohere summarize": (
        "https://api.cohere.ai/v1/summarize",
        {
            "id": "i",
            "summary": "x",
            "meta": {"billed_units": {"input_tokens": 4, "output_tokens": 7}},
        },
        4,
        7,
        None,
    ),
    "hf tgi array": (
        "https://api-inference.huggingface.co/models/org/m",
        [
            {
                "generated_text": "x",
                "details": {
                    "finish_reason": "length",
                    "generated_tokens": 7,
                    "seed": None,
                    "prefill": [],
                    "tokens": [],
                },
            }
        ],
        None,
        7,
        None,
    ),
    "replicate": (
        "https://api.replicate.com/v1/models/meta/m/predictions",
        {
            "id": "p",
            "model": "meta/m",
            "status": "succeeded",
            "metrics": {
                "predict_time": 1,
                "input_token_count": 5,
                "output_token_count": 7,
                "tokens_per_second": 2,
            },
        },
        5,
        7,
        "meta/m",
    ),
    "gemini cli": (
        "https://cloudcode-pa.googleapis.com/v1internal:streamGenerateContent?alt=sse",
        sse(
            {
                "response": {
                    "candidates": [],
                    "usageMetadata": {
                        "promptTokenCount": 5,
                        "candidatesTokenCount": 7,
                        "totalTokenCount": 12,
                    },
                    "modelVersion": "gemini-2.5-pro",
                }
            }
        ),
        5,
        7,
        "gemini-2.5-pro",
    ),
    "vertex llama": (
        "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/openapi/chat/completions",
        {
            "id": "x",
            "model": "meta/llama",
            "choices": [],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        },
        5,
        7,
        "meta/llama",
    ),
    "sagemaker tgi": (
        "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/e/invocations",
        [{"generated_text": "x", "details": {"generated_tokens": 7, "input_length": 5}}],
        5,
        7,
        None,
    ),
    "ai21 j2": (
        "https://api.ai21.com/studio/v1/chat/completions",
        {
            "id": "x",
            "model": "jamba-large",
            "choices": [],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        },
        5,
        7,
        "jamba-large",
    ),
    "reka": (
        "https://api.reka.ai/v1/chat",
        {
            "id": "x",
            "model": "reka-core",
            "responses": [{"finish_reason": "stop"}],
            "usage": {"input_tokens": 5, "output_tokens": 7},
        },
        5,
        7,
        "reka-core",
    ),
    "minimax": (
        "https://api.minimax.io/v1/text/chatcompletion_v2",
        {
            "id": "x",
            "model": "abab",
            "choices": [],
            "usage": {"total_tokens": 12, "prompt_tokens": 5, "completion_tokens": 7},
        },
        5,
        7,
        "abab",
    ),
    "ollama openai embed": (
        "http://localhost:11434/v1/embeddings",
        {"object": "list", "model": "nomic", "usage": {"prompt_tokens": 5, "total_tokens": 5}},
        5,
        None,
        "nomic",
    ),
    "ollama embed": (
        "http://localhost:11434/api/embed",
        {"model": "nomic", "embeddings": [[1]], "total_duration": 1, "prompt_eval_count": 8},
        8,
        None,
        "nomic",
    ),
    "llama.cpp stream": (
        "http://localhost:8080/completion",
        sse(
            *[
                {"content": "x", "stop": False, "tokens_predicted": i, "tokens_evaluated": 5}
                for i in range(9)
            ],
            {
                "content": "",
                "stop": True,
                "model": "m",
                "tokens_predicted": 9,
                "tokens_evaluated": 5,
                "timings": {},
            },
        ),
        5,
        9,
        "m",
    ),
    "llama.cpp infill": (
        "http://localhost:8080/infill",
        {"content": "x", "stop": True, "model": "m", "tokens_predicted": 9, "tokens_evaluated": 5},
        5,
        9,
        "m",
    ),
    "bedrock mantle": (
        "https://bedrock-mantle.us-east-1.api.aws/v1/responses",
        {
            "id": "r",
            "model": "openai.gpt-oss",
            "object": "response",
            "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
        },
        5,
        7,
        "openai.gpt-oss",
    ),
    "inline agent": (
        "https://bedrock-agent-runtime.us-east-1.amazonaws.com/agents/s123",
        frame(
            {
                "trace": {
                    "orchestrationTrace": {
                        "modelInvocationOutput": {
                            "metadata": {"usage": {"inputTokens": 5, "outputTokens": 7}}
                        }
                    }
                }
            },
            event_type="trace",
        ),
        5,
        7,
        None,
    ),
    "copilot messages": (
        "https://api.githubcopilot.com/v1/messages",
        {
            "id": "m",
            "type": "message",
            "model": "claude",
            "content": [],
            "usage": {"input_tokens": 5, "output_tokens": 7},
        },
        5,
        7,
        "claude",
    ),
    "perplexity agent": (
        "https://api.perplexity.ai/v1/responses",
        {
            "id": "m",
            "model": "p",
            "object": "response",
            "usage": {
                "input_tokens": 5,
                "output_tokens": 7,
                "total_tokens": 12,
                "cost": {"total_cost": 1},
            },
        },
        5,
        7,
        "p",
    ),
    "nvidia rerank": (
        "https://ai.api.nvidia.com/v1/retrieval/nvidia/reranking",
        {"rankings": [], "usage": {"prompt_tokens": 5, "total_tokens": 5}},
        5,
        None,
        None,
    ),
    "cf embed": (
        "https://api.cloudflare.com/client/v4/accounts/a/ai/v1/embeddings",
        {"object": "list", "model": "@cf/bge", "usage": {"prompt_tokens": 5, "total_tokens": 5}},
        5,
        None,
        "@cf/bge",
    ),
    "cf run model": (
        "https://api.cloudflare.com/client/v4/accounts/a/ai/run/@cf/m",
        {
            "result": {
                "response": "x",
                "model": "@cf/m",
                "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
            },
            "success": True,
        },
        5,
        7,
        "@cf/m",
    ),
    "databricks messages": (
        "https://dbc.cloud.databricks.com/serving-endpoints/anthropic/v1/messages",
        {
            "id": "m",
            "type": "message",
            "model": "claude",
            "usage": {"input_tokens": 5, "output_tokens": 7},
        },
        5,
        7,
        "claude",
    ),
    "openai compaction": (
        "https://api.openai.com/v1/responses/compact",
        {
            "id": "r",
            "object": "response.compaction",
            "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
        },
        5,
        7,
        None,
    ),
    "tei embed": (
        "http://localhost:8080/v1/rerank",
        {"model": "x", "results": [], "usage": {"total_tokens": 5}},
        5,
        None,
        "x",
    ),
    "together rerank": (
        "https://api.together.xyz/v1/rerank",
        {
            "model": "salesforce",
            "results": [],
            "usage": {"prompt_tokens": 1837, "completion_tokens": 0, "total_tokens": 1837},
        },
        1837,
        0,
        "salesforce",
    ),
    "azure ext": (
        "https://corp.openai.azure.com/openai/deployments/d/extensions/chat/completions?api-version=1",
        {
            "id": "c",
            "model": "gpt-4",
            "choices": [],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        },
        5,
        7,
        "gpt-4",
    ),
    "gemini openai": (
        "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        {
            "id": "c",
            "model": "gemini",
            "choices": [],
            # The total includes 8 thoughts.
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 20},
        },
        5,
        15,
        "gemini",
    ),
    "nomic": (
        "https://api-atlas.nomic.ai/v1/embedding/text",
        {"embeddings": [], "usage": {"prompt_tokens": 5, "total_tokens": 5}, "model": "nomic"},
        5,
        None,
        "nomic",
    ),
    "mixedbread": (
        "https://api.mixedbread.com/v1/embeddings",
        {
            "model": "mxbai",
            "usage": {"prompt_tokens": 5, "total_tokens": 5, "completion_tokens": None},
        },
        5,
        None,
        "mxbai",
    ),
    "inference.net": (
        "https://api.inference.net/v1/chat/completions",
        {
            "id": "c",
            "model": "m",
            "choices": [],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7},
        },
        5,
        7,
        "m",
    ),
    "deepseek fim": (
        "https://api.deepseek.com/beta/completions",
        {
            "id": "c",
            "model": "deepseek-chat",
            "choices": [{"text": "x"}],
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": 7,
                "total_tokens": 12,
                "prompt_cache_hit_tokens": 0,
                "prompt_cache_miss_tokens": 5,
            },
        },
        5,
        7,
        "deepseek-chat",
    ),
}


@pytest.mark.parametrize("cut", [0, 7])
@pytest.mark.parametrize("name", CASES)
def test_usage_and_model_are_read(name, cut, read):
    """Usage and model equal the report of the API; they are None if it reports none."""
    url, body, input_tokens, output_tokens, model = CASES[name]
    facts = read(body, url=url, cut=cut)
    assert (input_tokens, output_tokens, model) == (
        facts.usage.input_tokens,
        facts.usage.output_tokens,
        facts.response_model,
    )
