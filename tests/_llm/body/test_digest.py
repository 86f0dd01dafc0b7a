"""Facts of the calls of each API, in the formats that its reference documents."""

from __future__ import annotations

import gzip
import json

import pytest
from servers.event_stream import chunk, frame

from lupis_instrument._llm.api.endpoints import Endpoint
from lupis_instrument._llm.body.digest import (
    RequestFacts,
    RequestReader,
    digest_call,
    parse_request_body,
    read_request_facts,
)
from lupis_instrument._llm.body.long_lists import LongList
from lupis_instrument._llm.usage.usage import Usage

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com/v1/messages"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro"
VERTEX = "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers"
BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model"
COHERE = "https://api.cohere.com"
OLLAMA = "http://localhost:11434/api"


def sse(*events, end="\n"):
    return "".join(
        f"data: {event if isinstance(event, str) else json.dumps(event)}{end}{end}"
        for event in events
    ).encode()


CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 2},
}
CHAT_EXPECTED = Usage(
    100, 50, cache_read_tokens=64, reasoning_tokens=20, total_tokens=150,
    input_audio_tokens=3, output_audio_tokens=2,
)  # fmt: skip
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5-2025",
    "service_tier": "default",
    "output": [{"content": [{"text": '{"usage": {"input_tokens": 1}}'}]}],
    "usage": {
        "input_tokens": 70,
        "input_tokens_details": {"cached_tokens": 10},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 12},
        "total_tokens": 100,
    },
}
RESPONSE_EXPECTED = Usage(70, 30, cache_read_tokens=10, reasoning_tokens=12, total_tokens=100)
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "tool_use", "input": {"usage": {"input_tokens": 9}, "model": "decoy"}}],
    "stop_reason": "tool_use",
    "usage": {
        "input_tokens": 4,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 1000,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 5,
        "service_tier": "standard",
    },
}
MESSAGE_EXPECTED = Usage(
    1034, 5, cache_read_tokens=1000, cache_write_tokens=30, cache_write_5m_tokens=10,
    cache_write_1h_tokens=20,
)  # fmt: skip
MESSAGE_EVENTS = (
    {"type": "message_start", "message": {**MESSAGE, "stop_reason": None,
                                          "usage": {**MESSAGE["usage"], "output_tokens": 1}}},
    {"type": "ping"},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
)  # fmt: skip
GENERATED = {
    "candidates": [
        {
            "content": {"parts": [{"text": '"usageMetadata": {}'}]},
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 40,
        "candidatesTokenCount": 10,
        "thoughtsTokenCount": 25,
        "cachedContentTokenCount": 16,
        "toolUsePromptTokenCount": 5,
        "totalTokenCount": 80,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 30},
            {"modality": "AUDIO", "tokenCount": 10},
        ],
    },
    "modelVersion": "gemini-2.5-pro-002",
    "responseId": "r1",
}
GENERATED_EXPECTED = Usage(
    45,
    35,
    cache_read_tokens=16,
    reasoning_tokens=25,
    total_tokens=80,
    input_audio_tokens=10,
    input_text_tokens=30,
)
GENERATED_EVENTS = (
    {
        "candidates": [{"content": {"parts": [{"text": "a"}]}}],
        "usageMetadata": {"promptTokenCount": 90, "totalTokenCount": 90},
        "modelVersion": "gemini-2.5-pro-002",
        "responseId": "r1",
    },
    GENERATED,
)
TITAN_METRICS = {"inputTokenCount": 7, "outputTokenCount": 9, "invocationLatency": 1}


def chat(usage=None, **members):
    choice = {"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}
    return {"id": "c1", "model": "gpt-4o", "choices": [choice], "usage": usage, **members}


def delta(text=None, finish=None, **members):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return {"id": "c1", "model": "gpt-4o", "choices": [choice], **members}


CASES = {
    # name: (url, body, model, id, finish reasons, usage)
    "openai chat": (
        f"{OPENAI}/chat/completions", chat(CHAT_USAGE), "gpt-4o", "c1", ("stop",), CHAT_EXPECTED),
    "openai chat stream": (
        f"{OPENAI}/chat/completions",
        sse(*(delta(str(i), usage=None) for i in range(40)), delta(finish="length", usage=None),
            {"id": "c1", "model": "gpt-4o", "choices": [], "usage": CHAT_USAGE}, "[DONE]"),
        "gpt-4o", "c1", ("length",), CHAT_EXPECTED),
    "openai completions": (
        f"{OPENAI}/completions",
        {"id": "cmpl", "model": "davinci", "choices": [{"text": "x", "finish_reason": "length"}],
         "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
        "davinci", "cmpl", ("length",), Usage(1, 2, total_tokens=3)),
    "openai responses": (
        f"{OPENAI}/responses", RESPONSE, "gpt-5-2025", "resp_1", ("stop",), RESPONSE_EXPECTED),
    "openai responses stream": (
        f"{OPENAI}/responses",
        sse({"type": "response.created", "response": {**RESPONSE, "usage": None}},
            *({"type": "response.output_text.delta", "delta": "x"} for _ in range(9)),
            {"type": "response.completed", "response": RESPONSE}),
        "gpt-5-2025", "resp_1", ("stop",), RESPONSE_EXPECTED),
    "openai responses cut short": (
        f"{OPENAI}/responses",
        {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
        "gpt-5-2025", "resp_1", ("max_output_tokens",), RESPONSE_EXPECTED),
    "openai embeddings": (
        f"{OPENAI}/embeddings",
        {"data": [{"embedding": [0.1, -2e-5]}], "model": "text-embedding-3-small",
         "usage": {"prompt_tokens": 8, "total_tokens": 8}},
        "text-embedding-3-small", None, (), Usage(8, total_tokens=8)),
    "openai images": (
        f"{OPENAI}/images/generations",
        {"data": [{"b64_json": "AAAA"}],
         "usage": {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13,
                   "input_tokens_details": {"text_tokens": 2, "image_tokens": 7}}},
        None, None, (), Usage(9, 4, total_tokens=13, input_image_tokens=7, input_text_tokens=2)),
    "openai transcription": (
        f"{OPENAI}/audio/transcriptions",
        {"text": "Hi", "usage": {"type": "tokens", "total_tokens": 31, "input_tokens": 26,
                                 "input_token_details": {"audio_tokens": 21}, "output_tokens": 5}},
        None, None, (), Usage(26, 5, total_tokens=31, input_audio_tokens=21)),
    "openai assistants stream": (
        f"{OPENAI}/threads/t/runs",
        sse({"id": "run_1", "object": "thread.run", "model": "gpt-4o", "usage": None},
            {"id": "s", "object": "thread.run.step",
             "usage": {"prompt_tokens": 9, "completion_tokens": 9}},
            {"id": "run_1", "object": "thread.run", "model": "gpt-4o",
             "usage": {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}}, "[DONE]"),
        "gpt-4o", "run_1", (), Usage(20, 3, total_tokens=23)),
    "anthropic": (
        ANTHROPIC, MESSAGE, "claude-sonnet-4-5", "msg_1", ("tool_use",), MESSAGE_EXPECTED),
    "anthropic stream": (
        ANTHROPIC, sse(*MESSAGE_EVENTS), "claude-sonnet-4-5", "msg_1", ("tool_use",), MESSAGE_EXPECTED),
    "anthropic compaction": (
        ANTHROPIC,
        {"model": "c", "usage": {
            "input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 0,
            "iterations": [{"type": "compaction", "input_tokens": 100, "output_tokens": 40},
                           {"type": "message", "input_tokens": 5, "output_tokens": 2}]}},
        "c", None, (), Usage(105, 42, cache_read_tokens=0)),
    "anthropic on vertex": (
        f"{VERTEX}/anthropic/models/claude@1:rawPredict",
        MESSAGE, "claude-sonnet-4-5", "msg_1", ("tool_use",), MESSAGE_EXPECTED),
    "gemini": (
        f"{GEMINI}:generateContent", GENERATED, "gemini-2.5-pro-002", "r1", ("STOP",), GENERATED_EXPECTED),
    "gemini stream": (
        f"{GEMINI}:streamGenerateContent?alt=sse",
        sse(*GENERATED_EVENTS, end="\r\n"), "gemini-2.5-pro-002", "r1", ("STOP",), GENERATED_EXPECTED),
    "gemini array": (
        f"{VERTEX}/google/models/gemini-2.5-pro:streamGenerateContent",
        json.dumps(GENERATED_EVENTS, indent=1).encode(),
        "gemini-2.5-pro-002", "r1", ("STOP",), GENERATED_EXPECTED),
    "gemini interactions": (
        "https://generativelanguage.googleapis.com/v1beta/interactions",
        {"id": "i", "model": "g", "usage": {
            "total_input_tokens": 65, "total_output_tokens": 17, "total_thought_tokens": 47,
            "total_cached_tokens": 0, "total_tool_use_tokens": 0, "total_tokens": 129}},
        "g", "i", (), Usage(65, 64, cache_read_tokens=0, reasoning_tokens=47, total_tokens=129)),
    "vertex predict": (
        f"{VERTEX}/google/models/text-embedding-004:predict",
        {"predictions": [{"embeddings": {"values": [0.1], "statistics": {"token_count": 4}}},
                         {"embeddings": {"values": [0.1], "statistics": {"token_count": 6.0}}}]},
        None, None, (), Usage(10)),
    "bedrock converse": (
        f"{BEDROCK}/us.anthropic.claude-v1:0/converse",
        {"output": {}, "stopReason": "end_turn", "trace": {"guardrail": {"usage": {"inputTokens": 9}}},
         "usage": {"inputTokens": 12, "outputTokens": 5, "totalTokens": 1060,
                   "cacheReadInputTokens": 1000, "cacheWriteInputTokens": 43}},
        None, None, ("end_turn",),
        Usage(1055, 5, cache_read_tokens=1000, cache_write_tokens=43, total_tokens=1060)),
    "bedrock converse stream": (
        f"{BEDROCK}/us.amazon.nova-lite-v1:0/converse-stream",
        b"".join((
            frame({"role": "assistant"}, event_type="messageStart"),
            *(frame({"delta": {"text": "a"}}, event_type="contentBlockDelta") for _ in range(9)),
            frame({"stopReason": "max_tokens"}, event_type="messageStop"),
            frame({"metrics": {"latencyMs": 5},
                   "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}},
                  event_type="metadata"))),
        None, None, ("max_tokens",), Usage(3, 4, total_tokens=7)),
    "bedrock invoke anthropic stream": (
        f"{BEDROCK}/anthropic.claude-v1:0/invoke-with-response-stream",
        b"".join(map(chunk, MESSAGE_EVENTS)),
        "claude-sonnet-4-5", "msg_1", ("tool_use",), MESSAGE_EXPECTED),
    "bedrock invoke titan stream": (
        f"{BEDROCK}/amazon.titan-text-express-v1/invoke-with-response-stream",
        chunk({"outputText": "Hi", "completionReason": "FINISH", "inputTextTokenCount": 7,
               "totalOutputTextTokenCount": 9, "amazon-bedrock-invocationMetrics": TITAN_METRICS}),
        None, None, ("FINISH",), Usage(7, 9)),
    "bedrock invoke titan": (
        f"{BEDROCK}/amazon.titan-text-express-v1/invoke",
        {"inputTextTokenCount": 7, "results": [
            {"tokenCount": 9, "outputText": "Hi", "completionReason": "LENGTH"}]},
        None, None, ("LENGTH",), Usage(7, 9)),
    "bedrock invoke with metrics only": (
        f"{BEDROCK}/mistral.mistral-large/invoke-with-response-stream",
        chunk({"outputs": [{"text": "Hi", "stop_reason": "stop"}],
               "amazon-bedrock-invocationMetrics": TITAN_METRICS}),
        None, None, ("stop",), Usage(7, 9)),
    "bedrock invoke llama": (
        f"{BEDROCK}/meta.llama3/invoke",
        {"generation": "Hi", "prompt_token_count": 3, "generation_token_count": 5, "stop_reason": "length"},
        None, None, ("length",), Usage(3, 5)),
    "bedrock agent": (
        "https://bedrock-agent-runtime.us-east-1.amazonaws.com/agents/a/agentAliases/b/sessions/s/text",
        b"".join((
            *(frame({"trace": {"orchestrationTrace": {"modelInvocationOutput": {"metadata": {
                "usage": {"inputTokens": 10, "outputTokens": 2}}}}}}, event_type="trace")
              for _ in range(3)),
            chunk({"usage": {"inputTokens": 999}, "model": "decoy"}))),
        None, None, (), Usage(30, 6)),
    "cohere v2": (
        f"{COHERE}/v2/chat",
        {"id": "co", "finish_reason": "COMPLETE", "usage": {
            "billed_units": {"input_tokens": 25, "output_tokens": 9},
            "tokens": {"input_tokens": 91, "output_tokens": 11}, "cached_tokens": 64}},
        None, "co", ("COMPLETE",), Usage(
            91, 11, cache_read_tokens=64, billed_input_tokens=25, billed_output_tokens=9)),
    "cohere v2 stream": (
        f"{COHERE}/v2/chat",
        sse({"type": "message-start", "id": "co"},
            *({"type": "content-delta", "delta": {"message": {}}} for _ in range(9)),
            {"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS", "usage": {
                "tokens": {"input_tokens": 91, "output_tokens": 11}}}}),
        None, "co", ("MAX_TOKENS",), Usage(91, 11)),
    "cohere v1 lines": (
        f"{COHERE}/v1/chat",
        b"".join(json.dumps(event).encode() + b"\n" for event in (
            {"event_type": "stream-start", "generation_id": "g"},
            *({"event_type": "text-generation", "text": "a"} for _ in range(9)),
            {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": {
                "meta": {"billed_units": {"input_tokens": 5, "output_tokens": 6}}}})),
        None, "g", ("COMPLETE",), Usage(5, 6, billed_input_tokens=5, billed_output_tokens=6)),
    "cohere embeddings": (
        f"{COHERE}/v2/embed",
        {"id": "e", "embeddings": {"float": [[0.1]]}, "meta": {"billed_units": {"input_tokens": 4}}},
        None, "e", (), Usage(4, billed_input_tokens=4)),
    "ollama": (
        f"{OLLAMA}/chat",
        {"model": "llama3", "message": {"content": "Hi"}, "done": True, "done_reason": "stop",
         "prompt_eval_count": 11, "eval_count": 12},
        "llama3", None, ("stop",), Usage(11, 12)),
    "ollama lines": (
        f"{OLLAMA}/generate",
        b"".join(json.dumps(event).encode() + b"\n" for event in (
            *({"model": "llama3", "response": "a", "done": False} for _ in range(9)),
            {"model": "llama3", "response": "", "done": True, "done_reason": "length",
             "context": [1, 2], "prompt_eval_count": 11, "eval_count": 12})),
        "llama3", None, ("length",), Usage(11, 12)),
    "ollama with a cached prompt": (
        f"{OLLAMA}/chat", {"model": "llama3", "eval_count": 12}, "llama3", None, (), Usage(None, 12)),
    "mistral": (
        "https://api.mistral.ai/v1/chat/completions",
        chat({"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8, "num_cached_tokens": 4},
             model="mistral-large"),
        "mistral-large", "c1", ("stop",), Usage(6, 2, cache_read_tokens=4, total_tokens=8)),
    "mistral audio": (
        "https://api.mistral.ai/v1/audio/transcriptions",
        {"model": "voxtral", "usage": {"prompt_tokens": 3, "completion_tokens": 11, "total_tokens": 389,
                                       "prompt_tokens_details": {"audio_tokens": 375}}},
        "voxtral", None, (), Usage(378, 11, total_tokens=389, input_audio_tokens=375)),
    "deepseek": (
        "https://api.deepseek.com/chat/completions",
        chat({"prompt_tokens": 60, "completion_tokens": 2, "total_tokens": 62,
              "prompt_cache_hit_tokens": 50, "prompt_cache_miss_tokens": 10}),
        "gpt-4o", "c1", ("stop",), Usage(60, 2, cache_read_tokens=50, total_tokens=62)),
    "xai reasoning on top": (
        "https://api.x.ai/v1/chat/completions",
        chat({"prompt_tokens": 40, "completion_tokens": 8, "total_tokens": 80,
              "completion_tokens_details": {"reasoning_tokens": 32}}),
        "gpt-4o", "c1", ("stop",), Usage(40, 40, reasoning_tokens=32, total_tokens=80)),
    "groq stream": (
        "https://api.groq.com/openai/v1/chat/completions",
        sse(*(delta("a") for _ in range(9)), delta(finish="stop", x_groq={"id": "r", "usage": {
            "prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}}), "[DONE]"),
        "gpt-4o", "c1", ("stop",), Usage(5, 6, total_tokens=11)),
    "perplexity cumulative": (
        "https://api.perplexity.ai/chat/completions",
        sse(*(delta("a", usage={"prompt_tokens": 5, "completion_tokens": count, "total_tokens": 5 + count})
              for count in range(9))),
        "gpt-4o", "c1", (), Usage(5, 8, total_tokens=13)),
    "moonshot stream": (
        "https://api.moonshot.ai/v1/chat/completions",
        sse(*(delta("a") for _ in range(9)), {"id": "c1", "model": "kimi", "choices": [{
            "index": 0, "delta": {}, "finish_reason": "stop", "usage": {
                "prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32, "cached_tokens": 12}}]}),
        "kimi", "c1", ("stop",), Usage(19, 13, cache_read_tokens=12, total_tokens=32)),
    "cloudflare": (
        "https://api.cloudflare.com/client/v4/accounts/a/ai/run/@cf/meta/llama",
        {"result": {"response": "Hi", "usage": {
            "prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}}, "success": True},
        None, None, (), Usage(4, 5, total_tokens=9)),
    "databricks cache beside": (
        "https://adb-1.1.azuredatabricks.net/serving-endpoints/claude/invocations",
        chat({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115,
              "cache_read_input_tokens": 80, "cache_creation_input_tokens": 20}),
        "gpt-4o", "c1", ("stop",),
        Usage(110, 5, cache_read_tokens=80, cache_write_tokens=20, total_tokens=115)),
    "voyage": (
        "https://api.voyageai.com/v1/embeddings",
        {"data": [], "model": "voyage-3", "usage": {"total_tokens": 18}},
        "voyage-3", None, (), Usage(18, total_tokens=18)),
    "hugging face": (
        "https://api-inference.huggingface.co/models/org/name",
        [{"generated_text": "Hi", "details": {"generated_tokens": 9, "finish_reason": "length"}}],
        None, None, ("length",), Usage(None, 9)),
    "replicate": (
        "https://api.replicate.com/v1/models/meta/llama/predictions",
        {"id": "p", "model": "meta/llama", "status": "succeeded",
         "metrics": {"input_token_count": 8, "output_token_count": 9, "predict_time": 0.5}},
        "meta/llama", "p", (), Usage(8, 9)),
    "watsonx stream": (
        "https://us-south.ml.cloud.ibm.com/ml/v1/text/generation_stream",
        sse(*({"model_id": "ibm/granite", "results": [
            {"generated_token_count": count, "input_token_count": 0 if count else 8,
             "stop_reason": "not_finished"}]} for count in range(9))),
        "ibm/granite", None, ("not_finished",), Usage(8, 8)),
    "llama.cpp": (
        "http://localhost:8080/completion",
        {"content": "Hi", "model": "m.gguf", "tokens_evaluated": 4, "tokens_predicted": 6},
        "m.gguf", None, (), Usage(4, 6)),
    "aleph alpha": (
        "https://api.aleph-alpha.com/complete",
        {"completions": [{"completion": "Hi", "finish_reason": "maximum_tokens"}],
         "num_tokens_prompt_total": 9, "num_tokens_generated": 10},
        None, None, ("maximum_tokens",), Usage(9, 10)),
}  # fmt: skip


@pytest.mark.parametrize("cut", [0, 1, 7], ids="cut {}".format)
@pytest.mark.parametrize("name", CASES)
def test_call_is_read(name, cut, read):
    """Model, id, reasons and usage equal the provider's report, wherever the body is cut."""
    url, body, model, response_id, reasons, usage = CASES[name]
    facts = read(body, url=url, cut=cut)
    assert (model, response_id, reasons, usage) == (
        facts.response_model, facts.response_id, facts.finish_reasons, facts.usage
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("openai chat", False),
        ("openai chat stream", True),
        ("gemini array", True),
        ("ollama", False),
        ("ollama lines", True),
        ("bedrock converse", False),
        ("bedrock converse stream", True),
    ],
)
def test_stream_is_recognised(name, stream, read):
    """A stream is recognised by the format of its body or by the path."""
    url, body, *_ = CASES[name]
    assert stream is read(body, url=url).stream


def test_requested_stream_is_a_stream(read):
    """A request for a stream counts as a stream, even if it failed at once."""
    assert read({}, request={"model": "m", "stream": True}).stream is True


@pytest.mark.parametrize(
    ("body", "tier"),
    [
        ({"service_tier": "flex"}, "flex"),
        ({"usage": {"service_tier": "batch"}}, "batch"),
        ({"usageMetadata": {"serviceTier": "standard"}}, "standard"),
        ({"response": {"service_tier": "priority"}}, "priority"),
        ({"metadata": {"service_tier": "decoy"}}, None),
    ],
)
def test_service_tier_is_read(body, tier, read):
    """The service tier is read from the member that each API puts it in."""
    assert tier == read(body).service_tier


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"error": {"type": "invalid_request_error", "code": None, "message": "secret"}}, "invalid_request_error"),
        ({"error": {"type": "tokens", "code": "rate_limit_exceeded"}}, "rate_limit_exceeded"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, "overloaded_error"),
        ({"error": {"code": 404, "status": "NOT_FOUND", "message": "x"}}, "NOT_FOUND"),
        ({"error": {"code": 500, "message": "the key is sk-123"}}, "500"),
        ({"error": {"message": "the key is sk-123"}}, "error"),
        ({"error_code": 336003, "error_msg": "x"}, "336003"),
        ({"base_resp": {"status_code": 0}}, None),
        ({"error": "model 'x' not found"}, "error"),
        ({"__type": "com.amazon.coral#ThrottlingException", "message": "x"}, "ThrottlingException"),
        ({"object": "error", "type": "invalid_model", "code": "1500", "message": "x"}, "invalid_model"),
        ({"error_type": "TOO_MANY_TOKENS", "message": "x"}, "TOO_MANY_TOKENS"),
        ({"detail": "Not Found"}, None),
        (b"<html>", None),
        (b"", None),
    ],
)  # fmt: skip
def test_error_is_named_by_the_provider(body, word, read):
    """The word for an error is kept, but never its message, which may quote the prompt."""
    facts = read(body, status=400)
    assert (word, None) == (facts.error_type, facts.usage)


def test_error_header_is_read(read):
    """Bedrock names the error in a header; its body has only a message."""
    headers = {"x-amzn-errortype": "ValidationException:http://internal.amazon.com/coral/"}
    facts = read({"message": "x"}, url=f"{BEDROCK}/m/converse", status=400, headers=headers)
    assert facts.error_type == "ValidationException"


def test_error_within_a_stream_keeps_the_usage(read):
    """A stream that ends with an error has used the tokens that it reported before."""
    body = sse(*MESSAGE_EVENTS[:3], {"type": "error", "error": {"type": "overloaded_error"}})
    facts = read(body, url=ANTHROPIC)
    assert ("overloaded_error", 1034, 1) == (
        facts.error_type, facts.usage.input_tokens, facts.usage.output_tokens
    )  # fmt: skip


def test_exception_frame_is_an_error(read):
    """A frame that names an exception makes an AWS event stream fail."""
    body = frame({"message": "x"}, message_type="exception", exception_type="throttlingException")
    assert read(body, url=f"{BEDROCK}/m/converse-stream").error_type == "throttlingException"


def test_header_counts_are_read_if_the_body_has_none(read):
    """Bedrock reports usage in headers for models that report none in the body."""
    headers = {"x-amzn-bedrock-input-token-count": "16", "x-amzn-bedrock-output-token-count": "82"}
    body = {"completion": "Hi", "stop_reason": "stop_sequence"}
    assert (
        Usage(16, 82)
        == read(body, url=f"{BEDROCK}/anthropic.claude-v2/invoke", headers=headers).usage
    )


def test_stored_result_uses_no_tokens(read):
    """A stored result names its model, but its tokens were counted when they were used."""
    facts = read(RESPONSE, url=f"{OPENAI}/responses/resp_1", method="GET")
    assert ("gpt-5-2025", None) == (facts.response_model, facts.usage)


def test_housekeeping_names_no_model(read):
    """A fine-tuning job or an assistant names a model without calling it."""
    facts = read({"id": "ft", "model": "gpt-4o"}, url=f"{OPENAI}/fine_tuning/jobs")
    assert (None, None) == (facts.response_model, facts.usage)


def test_finish_reasons_are_ordered_by_index(read):
    """The index of an answer orders the finish reasons, whichever answer ends first."""
    events = [
        {"choices": [{"index": index, "delta": {}, "finish_reason": reason}]}
        for index, reason in ((1, "length"), (0, None), (0, "stop"))
    ]
    assert ("stop", "length") == read(sse(*events)).finish_reasons


def test_null_does_not_replace_a_count(read):
    """Reports of one stream are merged; null in a later report changes nothing."""
    first = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    body = sse(
        delta("a", usage=first), delta(usage={"prompt_tokens": None, "completion_tokens": 4})
    )
    assert (5, 4) == read(body).usage[:2]


@pytest.mark.parametrize("value", [True, -1, 1.5, "7", [1], {"a": 1}, 2**70, None])
def test_invalid_count_is_not_reported(value, read):
    """Only whole numbers from 0 on are counts."""
    assert read(chat({"prompt_tokens": value, "completion_tokens": 3})).usage == Usage(None, 3)


def test_decoys_are_ignored(read):
    """Only the documented members count, not text of a model or metadata of a caller."""
    report = {"usage": CHAT_USAGE, "model": "decoy", "id": "decoy", "finish_reason": "decoy"}
    body = {
        "choices": [
            {
                "message": {
                    "content": json.dumps(report),
                    "tool_calls": [report],
                    "usage": CHAT_USAGE,
                }
            }
        ],
        "metadata": report,
        "metadata_": {"usage": CHAT_USAGE},
        "data": [report],
        "input": report,
    }
    facts = read({**body, "metadata": {"note": json.dumps(report)}})
    assert (None, None, None, ()) == (
        facts.usage, facts.response_model, facts.response_id, facts.finish_reasons
    )  # fmt: skip


def test_call_without_response_gives_the_request():
    """A call without a response has the facts of its request."""
    endpoint = Endpoint("openai", "chat", "openai.chat", uses_tokens=True)
    facts = digest_call(
        endpoint, path="/v1/chat/completions", request={"model": "m"}, status=None, headers={}, body=None
    )  # fmt: skip
    assert ("m", None) == (facts.request_model, facts.usage)


TRANSCRIPTION = {"task": "transcribe", "text": "Hi.", "duration": 8.47, "segments": []}


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (TRANSCRIPTION, 8.47),
        ({**TRANSCRIPTION, "duration": "8.470000267028809"}, 8.470000267028809),
        ({**TRANSCRIPTION, "usage": {"type": "duration", "seconds": 9}}, 9),
        ({"text": "Hi.", "usage": {"type": "duration", "seconds": 9.5}}, 9.5),
        ({**TRANSCRIPTION, "duration": "long"}, None),
        ({**TRANSCRIPTION, "duration": -1}, None),
        ({**TRANSCRIPTION, "duration": True}, None),
        ({"text": "Hi."}, None),
    ],
)
def test_audio_duration_is_read(body, seconds, read):
    """The duration comes from the report, else from the answer, as a number or as text."""
    usage = read(body, url=f"{OPENAI}/audio/transcriptions").usage or Usage()
    assert Usage(audio_seconds=seconds) == usage


def test_mistral_counts_audio_and_tokens(read):
    """Mistral reports audio seconds and tokens (docs.mistral.ai/capabilities/audio_transcription)."""
    report = {"prompt_audio_seconds": 203, "prompt_tokens": 4, "total_tokens": 3264,
              "completion_tokens": 635}  # fmt: skip
    facts = read(
        {"text": "", "usage": report}, url="https://api.mistral.ai/v1/audio/transcriptions"
    )
    assert (203, 635) == (facts.usage.audio_seconds, facts.usage.output_tokens)


def test_duration_of_a_chat_is_ignored(read):
    """The duration in a chat's answer is not the duration of audio."""
    assert None is read(chat({"prompt_tokens": 1}, duration=5)).usage.audio_seconds


@pytest.mark.parametrize(("status", "length"), [(200, 13), (400, None)])
def test_characters_of_speech_are_counted(status, length, read):
    """The text to be spoken is counted in characters of the request, since the answer is audio."""
    request = {"model": "tts-1", "input": "Grüße, Welt 🌍"}
    facts = read(b"ID3", url=f"{OPENAI}/audio/speech", request=request, status=status)
    assert length == (facts.usage or Usage()).input_characters


@pytest.mark.parametrize("cut", [0, 7])
def test_geography_is_read(cut, read):
    """Anthropic's word for the region is read from a whole answer and from a stream."""
    message = {**MESSAGE, "usage": {**MESSAGE["usage"], "inference_geo": "us"}}
    stream = sse({"type": "message_start", "message": message})
    words = [read(body, url=ANTHROPIC, cut=cut).geography for body in (message, stream, MESSAGE)]
    assert ["us", "us", None] == words


@pytest.mark.parametrize("cut", [0, 7])
def test_speed_is_read(cut, read):
    """Anthropic's speed is read (docs.anthropic.com/en/build-with-claude/fast-mode)."""
    fast = {**MESSAGE, "usage": {**MESSAGE["usage"], "speed": "fast"}}
    stream = sse({"type": "message_start", "message": fast}, *MESSAGE_EVENTS[1:])
    speeds = [read(body, url=ANTHROPIC, cut=cut).speed for body in (fast, stream, MESSAGE)]
    assert ["fast", "fast", None] == speeds


@pytest.mark.parametrize(
    ("path", "model", "stream"),
    [
        ("/openai/deployments/gpt-4o/chat/completions?api-version=1", "gpt-4o", None),
        ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro", None),
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", "gemini-2.5-pro", True),
        ("/v1/publishers/anthropic/models/claude-3@2025:streamRawPredict", "claude-3@2025", True),
        ("/model/us.anthropic.claude-v1%3A0/converse", "us.anthropic.claude-v1:0", None),
        ("/model/us.amazon.nova-lite-v1:0/converse-stream", "us.amazon.nova-lite-v1:0", True),
        ("/model/arn%3Aaws%3Abedrock%3A1%3Ax%2Fy/invoke-with-response-stream", "arn:aws:bedrock:1:x/y", True),
        ("/v1/models/meta/llama-3/predictions", "meta/llama-3", None),
        ("/models/org/name", "org/name", None),
        ("/serving-endpoints/claude/invocations", "claude", None),
        ("/client/v4/accounts/a/ai/run/@cf/meta/llama", "@cf/meta/llama", None),
        ("/models/chat/completions?api-version=1", None, None),
        ("/v1/models", None, None),
        ("/v1/chat/completions", None, None),
    ],
)  # fmt: skip
def test_path_names_model_and_stream(path, model, stream):
    """The path names the model or a stream if the body names none."""
    assert RequestFacts(model, stream) == read_request_facts(path, {})


def test_body_names_model_and_stream():
    """The body names model and stream in its top-level members only."""
    body = {"messages": [{"model": "decoy", "stream": False}], "model": "m", "stream": True}
    assert RequestFacts("m", True) == read_request_facts(
        "/", parse_request_body(json.dumps(body).encode())
    )


def test_members_behind_a_large_content_are_found():
    """Members after a large content are found, because a large body is scanned to its end."""
    content = json.dumps('{"model": "decoy"} é \\ ' * 200_000)
    body = f'{{"messages": [{{"content": {content}}}], "model": "m", "stream": true}}'.encode()
    assert RequestFacts("m", True) == read_request_facts("/", parse_request_body(body))


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"\xff\xfe", b'{"model": 5, "stream": "x"}'])
def test_other_body_gives_no_request_facts(body):
    """A body that is no JSON object or has members of other types states no facts."""
    assert RequestFacts() == read_request_facts("/", parse_request_body(body))


@pytest.mark.parametrize("text", ["x" * (4 << 20), "\\n" * 100_001])
def test_body_that_parses_slowly_is_scanned(text):
    """A large body or one full of escapes is scanned, since parsing would stop other threads."""
    body = f'{{"messages": "{text}", "model": "m"}}'.encode()
    assert {"model": "m"} == {
        key: value for key, value in parse_request_body(body).items() if value
    }


def test_compressed_request_is_read():
    """A compressed request body is decoded, because some clients compress it."""
    assert parse_request_body(gzip.compress(b'{"model": "m"}')) == {"model": "m"}


def test_cut_off_request_gives_its_complete_members():
    """A request body that was kept only in part still gives its complete members."""
    assert RequestFacts("m", True) == read_request_facts(
        "/", parse_request_body(b'{"model":"m","stream":true,"messages":[{"co')
    )


def test_form_names_model_and_stream():
    """The fields of multipart/form-data are found before and after a large file."""
    body = b"\r\n".join(
        (b"--b", b'Content-Disposition: form-data; name="file"; filename="model"', b"",
         b"\0" * 500_000, b"--b", b'Content-Disposition: form-data; name="model"', b"", b"whisper-1",
         b"--b", b'content-disposition: form-data; name="stream"', b"", b"true", b"--b--", b""),
    )  # fmt: skip
    assert RequestFacts("whisper-1", True) == read_request_facts(
        "/v1/audio/transcriptions", parse_request_body(body)
    )


def test_broken_coding_gives_no_request_facts():
    """A body that only looks compressed states no facts and raises no error."""
    assert RequestFacts() == read_request_facts("/", parse_request_body(b"\x1f\x8b\x00\x00"))


LARGE = "x " * 300_000


@pytest.mark.parametrize(
    ("start", "end", "facts"),
    [
        (b'{"model": "m", "stream": true, "a": "', b'"}', RequestFacts("m", True)),
        (b'{"messages": [{"content": "', b'"}], "model": "m", "stream": true}', RequestFacts("m", True)),
        (b'{"messages": [{"content": "', b'"}], "stream": false, "model": "m"} \n', RequestFacts("m", False)),
        (b'{"messages": [{"content": "', b'", "model": "decoy"}]}', RequestFacts()),
        (b'{"a": "', b'\\"model\\": \\"decoy\\""}', RequestFacts()),
        (b'{"a": "', b'", "model": "m', RequestFacts()),
        (b'{"model": "m", "a": ["', b'"], "tools": [{"model": "decoy"}]}', RequestFacts("m")),
        (b"", b"", RequestFacts()),
    ],
)  # fmt: skip
def test_the_ends_of_a_body_name_model_and_stream(start, end, facts):
    """The middle of a very large body is not kept."""
    pieces = [start + LARGE[:1000].encode(), LARGE[:1000].encode(), end]
    assert facts == read_request_facts("/", RequestReader().read_body(pieces, cut=True))


@pytest.mark.parametrize(
    "body",
    [
        {"model": "m", "messages": [{"role": "user", "content": LARGE}], "stream": True},
        {"input": "QUJD" * 30_000, "model": "m"},
        {"system": "s", "messages": [{"role": "user", "content": "é" * 100} for number in range(500)]},
        {"tools": [{"name": str(number)} for number in range(5000)], "contents": [{"parts": ["q"]}]},
    ],
)  # fmt: skip
def test_a_large_body_is_read_like_a_small_one(body):
    """All its members are there."""
    members = RequestReader().read_body([json.dumps(body).encode()])
    assert body == {
        name: member[:] if isinstance(member, LongList) else member
        for name, member in members.items()
    }


@pytest.mark.parametrize("content", ["[" + "{}," * 300_000 + "1]", '"' + "\\n" * 100_001 + '"'])
def test_a_large_body_that_parses_slowly_is_scanned(content):
    """Small values take much more memory than their text, and escapes take time."""
    body = f'{{"model": "m", "messages": {content}}}'.encode()
    assert {"model": "m"} == RequestReader().read_body([body])
