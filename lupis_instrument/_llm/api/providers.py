"""Which provider answers at a host: one row for a host, or for all hosts below a domain."""

from __future__ import annotations

from typing import NamedTuple

from lupis_instrument._llm.api.operations import KNOWN, LIKELY, HostTrust


class Provider(NamedTuple):
    """The provider that answers at a host.

    Attributes:
        name: the value of OpenTelemetry's gen_ai.provider.name if that lists the provider.
        trust: which paths identify an LLM API at the host; on a `KNOWN` host, every path does.
    """

    name: str
    trust: HostTrust


# Hosts that only serve LLM APIs. A name that starts with a dot means every host below it.
# OpenTelemetry lists the names of the larger providers:
# https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/#gen-ai-provider-name
_LLM_HOSTS = {
    "openai": "api.openai.com .api.openai.com",
    "azure.ai.openai": ".openai.azure.com .openai.azure.us .openai.azure.cn",
    "azure.ai.inference": ".models.ai.azure.com .inference.ai.azure.com",
    "anthropic": "api.anthropic.com",
    "gcp.gemini": "generativelanguage.googleapis.com",
    "mistral_ai": "api.mistral.ai codestral.mistral.ai .api.mistral.ai",
    "cohere": "api.cohere.com api.cohere.ai",
    "groq": "api.groq.com",
    "deepseek": "api.deepseek.com",
    "x_ai": "api.x.ai .api.x.ai",
    "perplexity": "api.perplexity.ai",
    "together": "api.together.xyz api.together.ai api-inference.together.ai",
    "fireworks": "api.fireworks.ai",
    "cerebras": "api.cerebras.ai",
    "moonshot_ai": "api.moonshot.ai api.moonshot.cn api.kimi.com",
    "arcee": "api.arcee.ai",
    "meta": "api.meta.ai api.llama.com",
    "quicksilverpro": "api.quicksilverpro.io",
    "typesafe": "api.typesafe.ai",
    "yandex": "llm.api.cloud.yandex.net ai.api.cloud.yandex.net",
    "sambanova": "api.sambanova.ai",
    "nvidia": "integrate.api.nvidia.com ai.api.nvidia.com",
    "deepinfra": "api.deepinfra.com",
    "hyperbolic": "api.hyperbolic.xyz",
    "novita": "api.novita.ai",
    "nebius": "api.studio.nebius.ai api.studio.nebius.com api.tokenfactory.nebius.com",
    "lepton": ".lepton.run",
    "ai21": "api.ai21.com",
    "aleph_alpha": "api.aleph-alpha.com",
    "voyage": "api.voyageai.com",
    "jina": "api.jina.ai deepsearch.jina.ai",
    "mixedbread": "api.mixedbread.com api.mixedbread.ai",
    "nomic": "api-atlas.nomic.ai",
    "inference_net": "api.inference.net",
    "replicate": "api.replicate.com .replicate.net",
    "hugging_face": (
        "api-inference.huggingface.co router.huggingface.co .endpoints.huggingface.cloud"
    ),
    "ollama": "ollama.com",
    "writer": "api.writer.com",
    "venice": "api.venice.ai",
    "avian": "api.avian.io",
    "crusoe": "api.inference.crusoecloud.com",
    "doubleword": "api.doubleword.ai",
    "charm_hyper": "hyper.charm.land",
    "github_copilot": "api.githubcopilot.com .githubcopilot.com",
    "github": "models.github.ai models.inference.ai.azure.com",
    "heroku": ".inference.heroku.com",
    "zai": "api.z.ai open.bigmodel.cn",
    "minimax": "api.minimax.io api.minimax.chat api.minimaxi.com",
    "alibaba": (
        "dashscope.aliyuncs.com .dashscope.aliyuncs.com dashscope-intl.aliyuncs.com"
        " dashscope-us.aliyuncs.com"
    ),
    "baidu": "qianfan.baidubce.com",
    "volcengine": "ark.cn-beijing.volces.com",
    "stepfun": "api.stepfun.com api.stepfun.ai",
    "siliconflow": "api.siliconflow.cn api.siliconflow.com",
    "inception": "api.inceptionlabs.ai",
    "ovhcloud": ".endpoints.kepler.ai.cloud.ovh.net",
    "scaleway": "api.scaleway.ai",
    "upstage": "api.upstage.ai",
    "reka": "api.reka.ai",
    "friendli": "api.friendli.ai",
    "featherless": "api.featherless.ai",
    "chutes": "llm.chutes.ai",
    "baseten": "inference.baseten.co .api.baseten.co",
    "morph": "api.morphllm.com",
    "openrouter": "openrouter.ai",
    "vercel": "ai-gateway.vercel.sh",
    "portkey": "api.portkey.ai",
    "helicone": ".helicone.ai",
    "requesty": "router.requesty.ai",
    "pydantic_gateway": "gateway.pydantic.dev",
    "braintrust": "api.braintrust.dev",
    "opencode": "opencode.ai",
}
# Hosts that also serve other APIs, so that not every path on them belongs to an LLM API.
_SHARED_HOSTS = {
    "azure.ai.openai": ".cognitiveservices.azure.com .azure-api.net",
    "azure.ai.inference": ".services.ai.azure.com",
    "gcp.vertex_ai": ".googleapis.com .rep.googleapis.com",
    "openai": "chatgpt.com",
    "cloudflare": "api.cloudflare.com gateway.ai.cloudflare.com",
    "databricks": ".azuredatabricks.net .cloud.databricks.com .gcp.databricks.com",
    "snowflake": ".snowflakecomputing.com",
    "ibm.watsonx.ai": ".ml.cloud.ibm.com",
    "modal": ".modal.run .modal.direct",
    "oracle": ".oci.oraclecloud.com",
}
# Amazon names the service in one label of the host name, in VPC endpoints too.
_AWS_LABELS = {
    "aws.bedrock": (
        "bedrock-runtime bedrock-runtime-fips bedrock-agent-runtime bedrock-agent-runtime-fips"
        " bedrock-mantle"
    ),
    "aws.sagemaker": "sagemaker sagemaker-runtime",
}
_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")

PROVIDERS: dict[str, Provider] = {
    host: Provider(name, trust)
    for rows, trust in ((_SHARED_HOSTS, LIKELY), (_LLM_HOSTS, KNOWN), (_AWS_LABELS, KNOWN))
    for name, hosts in rows.items()
    for host in hosts.split()
}
"""The provider of each host or label; a name that starts with a dot means every host below it."""

GATEWAYS = frozenset(
    ("portkey", "helicone", "requesty", "pydantic_gateway", "braintrust", "cloudflare", "opencode")
)
"""Providers that forward a request to another provider, which the path may name."""

SHARED_HOST_PROVIDERS: dict[tuple[str, str], str] = {
    ("azure.ai.inference", "openai"): "azure.ai.openai",
    ("azure.ai.openai", "models"): "azure.ai.inference",
    ("azure.ai.inference", "anthropic"): "anthropic",
}
"""For hosts of several providers: the host's provider and the path's first segment decide."""

API_PROVIDERS: dict[str, str] = {
    "anthropic.messages": "anthropic",
    "gemini": "gcp.gemini",
    "gemini.embed": "gcp.gemini",
    "gemini.live": "gcp.gemini",
    "vertex.predict": "gcp.vertex_ai",
    "bedrock": "aws.bedrock",
    "bedrock.converse": "aws.bedrock",
    "bedrock.invoke": "aws.bedrock",
    "bedrock.agent": "aws.bedrock",
    "ollama.chat": "ollama",
    "ollama.generate": "ollama",
    "ollama.embed": "ollama",
    "cohere.rerank": "cohere",
    "huggingface": "hugging_face",
    "llama_cpp": "llama_cpp",
    "watsonx": "ibm.watsonx.ai",
    "cloudflare": "cloudflare",
    "lm_studio": "lm_studio",
    "oracle": "oracle",
    "yandex": "yandex",
    "deepinfra": "deepinfra",
}
"""The provider to assume for each wire API on an unknown host; all other APIs mean OpenAI."""

PROVIDER_ALIASES: dict[str, str] = {
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
    "x-ai": "x_ai",
    "grok": "x_ai",
    "huggingface": "hugging_face",
    "watsonx": "ibm.watsonx.ai",
    "claude": "anthropic",
}
"""Other names that a user may write for a provider."""

LOCAL_PORTS: dict[int, str] = {11434: "ollama", 30000: "sglang"}
"""Default ports of servers that usually run on a private host."""

SEGMENT_PROVIDERS: dict[str, str] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "gcp.gemini",
    "gemini": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "vertex": "gcp.vertex_ai",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "groq": "groq",
    "mistral": "mistral_ai",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "xai": "x_ai",
    "together": "together",
    "fireworks": "fireworks",
}
"""Path segments that name the provider to which a gateway forwards a request."""


def find_provider(host: str) -> Provider | None:
    """Return the provider at a host name in lower case; None for any other host."""
    provider = PROVIDERS.get(host)
    dot = host.find(".")
    while provider is None and dot >= 0:
        provider = PROVIDERS.get(host[dot:])
        dot = host.find(".", dot + 1)
    if provider is None and host.endswith(_AWS_DOMAINS):
        labels = map(PROVIDERS.get, host.split("."))
        provider = next(filter(None, labels), None)
    return provider
