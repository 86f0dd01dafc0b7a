"""Rules for keys of LLM providers, and of services that are used together with LLMs."""

from __future__ import annotations

from lupis_instrument._redaction.checks import has_digit, has_random_end, is_generated, is_random
from lupis_instrument._redaction.rules.rule import (
    ALNUM,
    HEX,
    MIXED,
    NOT_IN_NAME,
    PIECE,
    UPPER,
    URLSAFE,
    UUID,
    UUID_BODY,
    Rule,
    key_rule,
    match_prefix,
)

LLM_RULES: tuple[Rule, ...] = (
    Rule(
        "sk-key",
        ("sk-",),
        (match_prefix("sk-") + r"[A-Za-z0-9_\-]{17,}",),
        "API keys of OpenAI, Anthropic, OpenRouter, DeepSeek, Moonshot, Stability and others.",
        (
            f"sk-{HEX[:40]}",
            f"key is sk-proj-{ALNUM[:24]}-{ALNUM[30:54]}_{ALNUM[60:90]}.",
            f"sk-ant-api03-{ALNUM[:40]}-{ALNUM[:40]}-{ALNUM[:8]}AA",
            f"(sk-or-v1-{HEX[:64]})",
        ),
        (
            "sk-learn-column-transformer-pipeline",
            "sk-short",
            f"task-{HEX[:32]}",
            f"disk-{HEX[:20]}",
        ),
        is_random,
    ),
    key_rule(
        "sk-key-base64",
        "sk- keys in base64, as Kubernetes stores them",
        "c2stcHJvai c2stYW50L c2stb3It c2stc3ZjYWNjd",
        r"[A-Za-z0-9+/]{24,}={0,2}",
    ),
    key_rule(
        "pk-key",
        "Publishable and project keys that begin with pk_, from Lupis' own list",
        "pk_",
        r"[A-Za-z0-9_]{20,}",
    ),
    key_rule(
        "ak-key",
        "Access keys of Modal and Moonshot, and others from Lupis' own list",
        "ak- ak_",
        URLSAFE,
    ),
    key_rule("as-key", "Modal token secrets", "as-", r"[A-Za-z0-9]{22}(?![\w\-])", ALNUM[:22]),
    key_rule(
        "sk_-key",
        "Keys of ElevenLabs, Clerk, Novita and Cartesia",
        "sk_",
        r"(?:car_)?[A-Za-z0-9]{20,}",
        not_before=NOT_IN_NAME,
    ),
    Rule(
        "google-api-key",
        ("4 aiza",),
        (match_prefix("AIza") + r"[A-Za-z0-9_\-]{35}(?![A-Za-z0-9_\-])",),
        "Google API keys (Gemini, Maps, Firebase): https://cloud.google.com/docs/authentication/api-keys",
        (f"AIza{ALNUM[:35]}", f"https://x.googleapis.com/?key=AIzaSy{ALNUM[:15]}-{ALNUM[:17]}"),
        (f"AIza{ALNUM[:20]}", f"fAIza{ALNUM[:35]}", f"AIza{ALNUM[:60]}"),
    ),
    key_rule(
        "google-auth-key",
        "Google API keys that are bound to service accounts",
        "AQ.Ab",
        URLSAFE,
        MIXED,
    ),
    key_rule("google-access-token", "Google OAuth 2.0 access tokens", "ya29.", URLSAFE, MIXED),
    key_rule("google-client-secret", "Google OAuth 2.0 client secrets", "GOCSPX-", URLSAFE, MIXED),
    Rule(
        "google-refresh-token",
        ("!1//0",),
        (match_prefix("1//0") + r"[A-Za-z0-9_\-]{30,}",),
        "Google OAuth 2.0 refresh tokens.",
        (f"1//0g{ALNUM[:40]}-{ALNUM[:20]}",),
        ("http1//0short", f"21//0{ALNUM[:50]}"),
    ),
    key_rule(
        "openai-ephemeral",
        "OpenAI client secrets of the Realtime API: https://platform.openai.com/docs/api-reference/realtime-sessions",
        "ek_",
        PIECE,
        HEX[:32],
        not_before=NOT_IN_NAME,
    ),
    Rule(
        "zhipu",
        ("#dotted",),
        (
            (
                r"\.(?<=(?<![A-Za-z0-9_\-.])(?P<head>[0-9a-f]{32})\.)"
                r"[A-Za-z0-9]{16}(?![A-Za-z0-9_\-]|\.[A-Za-z0-9])"
            ),
        ),
        "Zhipu AI (Z.ai, BigModel) API keys, an id and a secret: https://docs.bigmodel.cn/cn/api/introduction",
        (f"{HEX[:32]}.{ALNUM[:16]}", f"Z.ai key {HEX[8:40]}.{ALNUM[4:20]}."),
        (
            f"{HEX[:32]}.{ALNUM[:12]}",
            f"{HEX[:32]}.internationalize",
            f"{HEX[:32]}.{ALNUM[:16]}.js",
        ),
        has_random_end,
    ),
    Rule(
        "fal",
        ("#uuid-pair",),
        (
            (
                rf":(?<=(?<![A-Za-z0-9])(?P<head>{UUID_BODY}):)"
                r"[0-9a-f]{32}(?![\w\-])"
            ),
        ),
        "fal keys, an id and a secret: https://docs.fal.ai/model-apis/authentication",
        (f"{UUID}:{HEX[:32]}", f"Authorization: Key {UUID}:{HEX[8:40]}"),
        (f"{UUID}:{HEX[:30]}", f"{UUID}:{UUID}", f"a{UUID}:{HEX[:32]}"),
    ),
    key_rule(
        "nebius",
        "Nebius Token Factory API keys: https://docs.tokenfactory.nebius.com/api-reference/introduction",
        "v1.Cm",
        r"[A-Za-z0-9_\-]{60,}\.[A-Za-z0-9_\-]{40,}",
        f"{ALNUM[:180]}.{'A' * 11}{ALNUM[:100]}",
    ),
    key_rule(
        "runway",
        "Runway API secrets, and Cursor keys of the older format: https://docs.dev.runwayml.com/guides/setup",
        "key_",
        r"[0-9a-f]{60,}(?![\w\-])",
        HEX[:128],
    ),
    key_rule(
        "mem0", "Mem0 keys: https://docs.mem0.ai/platform/quickstart", "m0-", PIECE, ALNUM[:40]
    ),
    key_rule(
        "openpipe",
        "OpenPipe keys: https://docs.openpipe.ai/getting-started/quick-start",
        "opk_ opk-",
        r"[A-Za-z0-9]{20,}",
        HEX[:42],
    ),
    key_rule(
        "dify",
        "Dify keys: https://docs.dify.ai/en/guides/application-publishing/developing-with-apis",
        "app- dataset-",
        r"[A-Za-z0-9]{24}(?![\w\-])",
        ALNUM[:24],
        not_before=NOT_IN_NAME,
    )._replace(check=is_generated),
    key_rule("fastgpt", "FastGPT keys", "fastgpt-", PIECE),
    key_rule("requesty", "Requesty keys", "rqsty-sk- rqsty-", URLSAFE, MIXED),
    key_rule("you", "You.com keys", "ydc-sk-", URLSAFE, f"{HEX[:16]}-{ALNUM[:40]}"),
    key_rule("turbopuffer", "turbopuffer keys", "tpuf_", PIECE),
    key_rule("chroma", "Chroma Cloud keys", "ck-", r"[A-Za-z0-9]{40,}(?![\w\-])", ALNUM[:44]),
    key_rule("luma", "Luma AI keys", "luma-", rf"{UUID_BODY}(?:-{UUID_BODY})?(?![\w])", UUID),
    key_rule(
        "brave", "Brave Search keys", "BSA", r"[A-Za-z0-9_\-]{28}(?![\w\-])", ALNUM[:28]
    )._replace(check=has_digit),
    key_rule(
        "baidu",
        "Baidu Qianfan keys: https://cloud.baidu.com/doc/qianfan/index.html",
        "bce-v3/ALTAK-",
        r"[A-Za-z0-9]{21}/[0-9a-f]{40}(?![\w])",
        f"{ALNUM[:21]}/{HEX[:40]}",
    )._replace(literals=("altak-",)),
    key_rule("coze", "Coze personal access tokens", "pat_", r"[A-Za-z0-9]{64}(?![\w])", ALNUM[:64]),
    key_rule("braintrust", "Braintrust service tokens", "bt-st-", URLSAFE, MIXED),
    key_rule("humanloop", "Humanloop keys", "hl_sk_", PIECE),
    key_rule("arcade", "Arcade keys", "arc_", r"[A-Za-z0-9]{40,}(?![\w\-])", ALNUM[:52]),
    key_rule("groq", "Groq API keys", "gsk_"),
    key_rule("xai", "xAI API keys", "xai-"),
    key_rule("replicate", "Replicate API tokens", "r8_"),
    key_rule("perplexity", "Perplexity API keys", "pplx-"),
    key_rule("hugging-face", "Hugging Face user and organization tokens", "hf_ api_org_"),
    key_rule("nvidia", "NVIDIA API catalog keys", "nvapi-", URLSAFE, MIXED),
    key_rule("cerebras", "Cerebras API keys", "csk-"),
    key_rule("together", "Together AI keys", "tgp_v1_", URLSAFE, MIXED),
    key_rule("fireworks", "Fireworks AI keys", "fw_", PIECE),
    key_rule("voyage", "Voyage AI keys", "pa-", r"[A-Za-z0-9_\-]{40,}", MIXED),
    key_rule("jina", "Jina AI keys", "jina_", URLSAFE, MIXED),
    key_rule("tavily", "Tavily keys", "tvly-", URLSAFE, MIXED),
    key_rule("pinecone", "Pinecone keys", "pcsk_", URLSAFE, MIXED),
    key_rule(
        "langsmith", "LangSmith keys", "lsv2_pt_ lsv2_sk_ ls__", r"[A-Za-z0-9_]{20,}", HEX[:32]
    ),
    key_rule("e2b", "E2B keys", "e2b_", PIECE),
    key_rule("anyscale", "Anyscale keys", "esecret_"),
    key_rule("logfire", "Pydantic Logfire write tokens", "pylf_v1_ pylf_v2_", r"[A-Za-z0-9_]{20,}"),
    key_rule("wandb", "Weights & Biases keys", "wandb_v1_", URLSAFE, MIXED),
    key_rule("llama-cloud", "LlamaCloud keys", "llx-"),
    key_rule("llama-api", "Llama API keys", "LL-", PIECE),
    key_rule("firecrawl", "Firecrawl keys", "fc-", r"[0-9a-f]{32}(?![\w\-])", HEX[:32]),
    key_rule("browserbase", "Browserbase keys", "bb_live_", URLSAFE, MIXED),
    key_rule("upstage", "Upstage keys", "up_", PIECE),
    key_rule("friendli", "Friendli tokens", "flp_", PIECE),
    key_rule("runpod", "RunPod keys", "rpa_"),
    key_rule("composio", "Composio keys", "comp_ uak_ oak_ ck_", PIECE),
    key_rule(
        "bedrock-key",
        "Amazon Bedrock long-term API keys",
        "ABSK",
        r"[A-Za-z0-9+/]{40,}={0,2}",
        ALNUM[:120],
    ),
    key_rule(
        "bedrock-short-key",
        "Amazon Bedrock short-term API keys",
        "bedrock-api-key-",
        r"[A-Za-z0-9+/_\-]{20,}={0,2}",
    ),
    Rule(
        "openai-session",
        ("40 sess-",),
        (
            match_prefix("sess-") + r"(?=[a-z0-9]*[A-Z])(?=[A-Z0-9]*[a-z])[A-Za-z0-9]{40}"
            r"(?![A-Za-z0-9_\-])",
        ),
        "OpenAI session keys: 40 letters of both cases and digits.",
        (f"sess-{ALNUM[:40]}",),
        (f"sess-{HEX[:40]}", f"sess-{UUID}", f"sess-{ALNUM[:24]}", f"xsess-{ALNUM[:40]}"),
    ),
    Rule(
        "azure-ai-key",
        ("+jqqj99",),
        (r"[A-Za-z0-9]{40,60}JQQJ99[A-Za-z0-9]{20,32}",),
        "Azure OpenAI and AI services keys: 84 characters with a fixed signature.",
        (f"{ALNUM[:52]}JQQJ99BAAC{UPPER[:22]}",),
        ("JQQJ99BAAC", f"JQQJ99{UPPER[:26]}"),
    ),
)
