"""Identification of the LLM API that a request goes to."""

from __future__ import annotations

import pytest

from lupis_instrument._llm.api.endpoints import WEBSOCKET, identify_endpoint

KNOWN = [
    # host, path, provider, operation, api
    ("api.openai.com", "/v1/chat/completions", "openai", "chat", "openai.chat"),
    ("api.openai.com", "/v1/responses", "openai", "chat", "openai.responses"),
    ("api-inference.together.ai", "/v1/chat/completions", "together", "chat", "openai.chat"),
    ("api.openai.com", "/v1/embeddings", "openai", "embeddings", "openai.embeddings"),
    ("api.openai.com", "/v1/completions", "openai", "text_completion", "openai.completions"),
    ("api.openai.com", "/v1/threads/t/runs", "openai", "invoke_agent", "openai.assistants"),
    ("eu.api.openai.com", "/v1/responses", "openai", "chat", "openai.responses"),
    ("chatgpt.com", "/backend-api/codex/responses", "openai", "chat", "openai.responses"),
    ("x.openai.azure.com", "/openai/deployments/d/chat/completions", "azure.ai.openai", "chat", "openai.chat"),
    ("x.openai.azure.com", "/openai/deployments/d/embeddings", "azure.ai.openai", "embeddings", "openai.embeddings"),
    ("x.services.ai.azure.com", "/models/chat/completions", "azure.ai.inference", "chat", "openai.chat"),
    ("x.services.ai.azure.com", "/openai/v1/responses", "azure.ai.openai", "chat", "openai.responses"),
    ("x.services.ai.azure.com", "/anthropic/v1/messages", "anthropic", "chat", "anthropic.messages"),
    ("api.anthropic.com", "/v1/messages", "anthropic", "chat", "anthropic.messages"),
    ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-pro:generateContent", "gcp.gemini", "generate_content", "gemini"),
    ("generativelanguage.googleapis.com", "/v1beta/models/g:streamGenerateContent", "gcp.gemini", "generate_content", "gemini"),
    ("generativelanguage.googleapis.com", "/v1beta/models/g:batchEmbedContents", "gcp.gemini", "embeddings", "gemini.embed"),
    ("us-east5-aiplatform.googleapis.com", "/v1/projects/p/locations/l/publishers/google/models/g:generateContent", "gcp.vertex_ai", "generate_content", "gemini"),
    ("aiplatform.googleapis.com", "/v1/projects/p/locations/l/publishers/anthropic/models/c@1:streamRawPredict", "gcp.vertex_ai", "chat", "anthropic.messages"),
    ("aiplatform.googleapis.com", "/v1/publishers/google/models/text-embedding-004:predict", "gcp.vertex_ai", "embeddings", "vertex.predict"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/anthropic.claude-v2/converse-stream", "aws.bedrock", "chat", "bedrock.converse"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/arn%3Aaws%3Abedrock/invoke", "aws.bedrock", "chat", "bedrock.invoke"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/amazon.titan-embed-text-v2:0/invoke", "aws.bedrock", "embeddings", "bedrock.invoke"),
    ("vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com", "/model/m/converse", "aws.bedrock", "chat", "bedrock.converse"),
    ("bedrock-mantle.us-east-1.api.aws", "/v1/responses", "aws.bedrock", "chat", "openai.responses"),
    ("runtime.sagemaker.us-east-1.amazonaws.com", "/endpoints/e/invocations", "aws.sagemaker", "chat", "sagemaker"),
    ("api.mistral.ai", "/v1/fim/completions", "mistral_ai", "text_completion", "openai.chat"),
    ("api.cohere.com", "/v2/chat", "cohere", "chat", "cohere.chat"),
    ("api.cohere.com", "/v2/embed", "cohere", "embeddings", "cohere.embed"),
    ("api.groq.com", "/openai/v1/chat/completions", "groq", "chat", "openai.chat"),
    ("api.x.ai", "/v1/responses", "x_ai", "chat", "openai.responses"),
    ("api.deepseek.com", "/chat/completions", "deepseek", "chat", "openai.chat"),
    ("api.perplexity.ai", "/chat/completions", "perplexity", "chat", "openai.chat"),
    ("openrouter.ai", "/api/v1/chat/completions", "openrouter", "chat", "openai.chat"),
    ("api.voyageai.com", "/v1/embeddings", "voyage", "embeddings", "openai.embeddings"),
    ("api.replicate.com", "/v1/models/meta/llama/predictions", "replicate", "text_completion", "replicate"),
    ("api-inference.huggingface.co", "/models/org/name", "hugging_face", "text_completion", "huggingface"),
    ("us-south.ml.cloud.ibm.com", "/ml/v1/text/generation", "ibm.watsonx.ai", "text_completion", "watsonx"),
    ("adb-1.1.azuredatabricks.net", "/serving-endpoints/chat/completions", "databricks", "chat", "openai.chat"),
    ("a.snowflakecomputing.com", "/api/v2/cortex/inference:complete", "snowflake", "chat", "openai.chat"),
    ("api.cloudflare.com", "/client/v4/accounts/a/ai/run/@cf/meta/llama", "cloudflare", "chat", "cloudflare"),
    ("gateway.ai.cloudflare.com", "/v1/a/g/anthropic/v1/messages", "anthropic", "chat", "anthropic.messages"),
    ("gateway.pydantic.dev", "/proxy/openai/responses", "openai", "chat", "openai.responses"),
    # unknown hosts
    ("llm.corp.example", "/v1/chat/completions", "openai", "chat", "openai.chat"),
    ("gw.corp.example", "/groq/openai/v1/chat/completions", "groq", "chat", "openai.chat"),
    ("gw.corp.example", "/google/v1beta/models/g:generateContent", "gcp.gemini", "generate_content", "gemini"),
    ("litellm.corp.example", "/v1/messages", "anthropic", "chat", "anthropic.messages"),
    ("10.1.2.3", "/v1/responses", "openai", "chat", "openai.responses"),
    ("::1", "/v1/messages", "anthropic", "chat", "anthropic.messages"),
    ("vllm", "/v1/completions", "openai", "text_completion", "openai.completions"),
    ("localhost", "/api/chat", "ollama", "chat", "ollama.chat"),
    ("gateway.local", "/model/m/converse", "aws.bedrock", "chat", "bedrock.converse"),
]  # fmt: skip


@pytest.mark.parametrize(("host", "path", "provider", "operation", "api"), KNOWN)
def test_host_and_path_identify_an_llm_api(host, path, provider, operation, api):
    """A POST to an LLM API is identified, also behind a gateway or proxy."""
    endpoint = identify_endpoint("POST", host, None, path)
    assert (provider, operation, api, True) == endpoint[:4]


@pytest.mark.parametrize(
    ("method", "host", "path"),
    [
        ("GET", "api.github.com", "/repos/o/r/issues"),
        ("POST", "example.com", "/"),
        ("POST", "example.com", "/api/chat"),
        ("POST", "example.com", "/api/generate"),
        ("POST", "example.com", "/v1/chat/completions/vote"),
        ("GET", "example.com", "/v1/chat/completions"),
        ("GET", "localhost", "/api/chat"),
        ("POST", "storage.googleapis.com", "/upload/storage/v1/b/bucket/o"),
        ("POST", "gmail.googleapis.com", "/gmail/v1/users/me/messages/send"),
        ("POST", "bucket.s3.amazonaws.com", "/key"),
        ("POST", "api.cloudflare.com", "/client/v4/zones"),
        ("POST", "api.openai.com.evil.example", "/v1/files"),
        ("POST", "a.snowflakecomputing.com", "/queries/v1/query-request"),
        ("POST", "x.services.ai.azure.com", "/contentunderstanding/analyzers/a:analyze"),
    ],
)
def test_other_request_is_not_identified(method, host, path):
    """An ambiguous path identifies an LLM API only on a host that makes it likely."""
    assert identify_endpoint(method, host, 443, path) is None


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("example.com", "/v1/messages"),
        ("example.com", "/v1/responses"),
        ("graph.example.ai", "/v1/messages"),
        ("sqs.us-east-1.amazonaws.com", "/v1/messages"),
        ("localhost", "/responses"),
        ("localhost", "/rerank"),
    ],
)
def test_common_path_needs_a_model(host, path):
    """Other APIs have these paths, too: the request or the response has to confirm the guess."""
    assert identify_endpoint("POST", host, 443, path).needs_model


@pytest.mark.parametrize(
    ("method", "host", "path"),
    [
        ("GET", "api.openai.com", "/v1/responses/resp_1"),
        ("GET", "api.openai.com", "/v1/responses/resp_1?stream=true"),
        ("GET", "api.openai.com", "/v1/chat/completions"),
        ("GET", "api.openai.com", "/v1/threads/t/runs/r"),
        ("GET", "api.openai.com", "/v1/models"),
        ("POST", "api.openai.com", "/v1/responses/input_tokens"),
        ("POST", "api.openai.com", "/v1/responses/resp_1/cancel"),
        ("POST", "api.openai.com", "/v1/files"),
        ("POST", "api.openai.com", "/v1/batches"),
        ("DELETE", "api.openai.com", "/v1/responses/resp_1"),
        ("POST", "api.anthropic.com", "/v1/messages/count_tokens"),
        ("POST", "api.anthropic.com", "/v1/messages/batches"),
        ("GET", "api.anthropic.com", "/v1/messages/batches/b/results"),
        ("POST", "generativelanguage.googleapis.com", "/v1beta/models/g:countTokens"),
        ("POST", "generativelanguage.googleapis.com", "/v1beta/cachedContents"),
        ("POST", "bedrock-runtime.us-east-1.amazonaws.com", "/model/m/count-tokens"),
    ],
)
def test_call_without_model_uses_no_tokens(method, host, path):
    """Calls that read a stored result, count tokens or manage files use no tokens."""
    assert identify_endpoint(method, host, 443, path).uses_tokens is False


def test_query_and_case_are_ignored():
    """Host and method may be in any case, and the path may have a query."""
    plain = identify_endpoint("POST", "api.openai.com", 443, "/v1/responses")
    assert plain == identify_endpoint("post", "API.OpenAI.com.", 443, "/v1/responses?beta=true#x")


@pytest.mark.parametrize("key", ["llm.corp.example:8443", "llm.corp.example"])
def test_configured_host_belongs_to_its_provider(key):
    """LUPIS_PROVIDER_HOSTS names the provider of a private host, by any of its names."""
    endpoint = identify_endpoint(
        "POST", "llm.corp.example", 8443, "/x/responses", ((key, "azure"),)
    )
    assert ("azure.ai.openai", "chat", "openai.responses", True) == endpoint[:4]


def test_host_configured_for_another_port_is_not_identified():
    """A configured host with a port is for that port only."""
    assert (
        identify_endpoint("POST", "h.example", 1, "/responses", (("h.example:2", "openai"),))
        is None
    )


def test_port_identifies_a_local_server():
    """Ollama is identified by its port, whichever API the request uses."""
    assert (
        identify_endpoint("POST", "localhost", 11434, "/v1/chat/completions").provider == "ollama"
    )


@pytest.mark.parametrize("wrong", [None, 7, b"x"])
def test_wrong_types_give_none(wrong):
    """Arguments of wrong types give None instead of an error."""
    assert identify_endpoint(wrong, wrong, wrong, wrong) is None


@pytest.mark.parametrize(
    ("host", "needs_model"),
    [("forms.example.com", True), ("llm.example.com", False), ("127.0.0.1", False)],
)
def test_socket_of_an_unknown_host_is_a_call_if_it_names_a_model(host, needs_model):
    """Other services have paths such as /surveys/5/responses."""
    endpoint = identify_endpoint(WEBSOCKET, host, 443, "/surveys/5/responses")
    assert needs_model == endpoint.needs_model
