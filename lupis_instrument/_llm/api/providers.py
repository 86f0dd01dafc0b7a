"""Whose API a host is: one row a host, or one for all hosts below a domain."""

from __future__ import annotations

from typing import NamedTuple

from lupis_instrument._llm.api.operations import KNOWN, LIKELY


class Provider(NamedTuple):
    """Who answers at a host."""

    name: str
    """As in OpenTelemetry's gen_ai.provider.name where it knows the provider."""
    trust: int
    """Which paths tell an LLM API there; on a `KNOWN` host everything belongs to it."""


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
    "moonshot": "api.moonshot.ai api.moonshot.cn",
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
    "jina": "api.jina.ai",
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
    "alibaba": "dashscope.aliyuncs.com dashscope-intl.aliyuncs.com dashscope-us.aliyuncs.com",
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
_SHARED_HOSTS = {
    "azure.ai.openai": ".cognitiveservices.azure.com",
    "azure.ai.inference": ".services.ai.azure.com",
    "gcp.vertex_ai": ".googleapis.com .rep.googleapis.com",
    "openai": "chatgpt.com",
    "cloudflare": "api.cloudflare.com gateway.ai.cloudflare.com",
    "databricks": ".azuredatabricks.net .cloud.databricks.com .gcp.databricks.com",
    "snowflake": ".snowflakecomputing.com",
    "ibm.watsonx.ai": ".ml.cloud.ibm.com",
}
# Amazon puts the service into one label of many kinds of name, VPC endpoints included.
_LABELS = {
    "aws.bedrock": (
        "bedrock-runtime bedrock-runtime-fips bedrock-agent-runtime bedrock-agent-runtime-fips"
        " bedrock-mantle"
    ),
    "aws.sagemaker": "sagemaker sagemaker-runtime",
}

_LABELLED = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")

PROVIDERS: dict[str, Provider] = {
    host: Provider(name, trust)
    for rows, trust in ((_SHARED_HOSTS, LIKELY), (_LLM_HOSTS, KNOWN), (_LABELS, KNOWN))
    for name, hosts in rows.items()
    for host in hosts.split()
}
"""Host or label -> provider; a name that starts with a dot stands for every host below it."""

GATEWAYS = frozenset(
    ("portkey", "helicone", "requesty", "pydantic_gateway", "braintrust", "cloudflare", "opencode")
)
"""Providers who hand a request on to one that the path may name."""

PATH_PROVIDERS: dict[tuple[str, str], str] = {
    ("azure.ai.inference", "openai"): "azure.ai.openai",
    ("azure.ai.openai", "models"): "azure.ai.inference",
    ("azure.ai.inference", "anthropic"): "anthropic",
}
"""Provider by host, first segment of the path -> who is asked, on hosts of several."""

API_PROVIDERS: dict[str, str] = {
    "anthropic.messages": "anthropic",
    "gemini": "gcp.gemini",
    "gemini.embed": "gcp.gemini",
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
}
"""Wire API -> who is behind it on a host that tells nothing; everybody else speaks OpenAI's."""

# Words a person writes for a provider -> its name, where the two differ.
ALIASES: dict[str, str] = {
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
    "xai": "x_ai",
    "x-ai": "x_ai",
    "grok": "x_ai",
    "huggingface": "hugging_face",
    "watsonx": "ibm.watsonx.ai",
    "claude": "anthropic",
}

LOCAL_PORTS: dict[int, str] = {11434: "ollama"}
"""Ports by which a server on a private host is known."""

PATH_WORDS: dict[str, str] = {
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
"""Path segments by which a gateway tells whom it hands a request on to."""


def find_provider(host: str) -> Provider | None:
    """The provider at a host name in lower case; None for any other host."""
    found = PROVIDERS.get(host)
    dot = host.find(".")
    while found is None and dot >= 0:
        found = PROVIDERS.get(host[dot:])
        dot = host.find(".", dot + 1)
    if found is None and host.endswith(_LABELLED):
        labels = (PROVIDERS.get(label) for label in host.split("."))
        found = next((provider for provider in labels if provider), None)
    return found
