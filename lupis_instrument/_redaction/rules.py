"""The rules for values: what keys, tokens and numbers of today's services look like."""

from __future__ import annotations

import re
from typing import Callable, NamedTuple

from .checks import (
    has_digit,
    is_credential,
    is_encoded_key,
    is_generated,
    is_mixed,
    is_random,
    passes_luhn,
)


class Rule(NamedTuple):
    """One family of secret values.

    Attributes:
        id: Short name, shown by explanations.
        literals: Lower-case parts, one of which every match contains: they decide whether a regex
            runs at all. See `prefilter` for how they are written.
        regexes: One for all literals, or one for each. What is hidden is the group ``secret`` if
            there is one, else all that matches. Those that begin with plain characters are
            searched for quickest. Every repeat is bounded, or ends where it must, so that the time
            is linear in the text.
        reason: Why it is a secret, and where its form is documented if not by its owner.
        examples: Texts with a match.
        near_misses: Texts that resemble one and must stay as they are.
        check: A second look at what matched.
        concealed: Whether nothing of it may be shown, as its ends would tell nearly all.
        fold: Whether the regexes are for the text in lower case.
    """

    id: str
    literals: tuple[str, ...]
    regexes: tuple[str, ...]
    reason: str
    examples: tuple[str, ...]
    near_misses: tuple[str, ...] = ()
    check: Callable[[str], bool] | None = None
    concealed: bool = False
    fold: bool = False


# Made-up bodies, so that this file holds nothing that looks like a key.
_ALNUM = "7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eUo0iXtBqWyPzHkMnVrCgSjDlFa2E4u6O8I" * 6
_HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" * 4
_UPPER = "K7Q2MZX9P4LWR8STB3NVY6CJ5GFA5EUO6IXT" * 4
_LOWER = _UPPER.lower()
_DIGITS = "0123456789abcdef"
_UUID = "3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"
_CHAIN = f"{_ALNUM[:22]}-{_ALNUM[30:41]}_{_ALNUM[50:70]}"

# A key doesn't begin in the middle of a word or number; if its prefix is a word, of a name either.
_START = r"A-Za-z0-9"
_NAME_START = r"A-Za-z0-9_\-"
# Bodies: letters and digits in one piece; base64url, in which hyphens and underscores occur.
_PIECE = r"[A-Za-z0-9]{20,}"
_URLSAFE = r"[A-Za-z0-9_\-]{20,}"
_UUID_FORM = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"


def _begin(prefix: str, before: str = _START) -> str:
    """A fixed prefix that none of some characters stands before, the prefix foremost."""
    escaped = re.sub(r"([.$|])", r"\\\1", prefix)
    return rf"{escaped}(?<![{before}]{escaped})"


def _key(
    name: str,
    owner: str,
    prefixes: str,
    body: str = _URLSAFE,
    sample: str = _ALNUM[:40],
    *,
    start: str = _START,
) -> Rule:
    """A row for keys that begin with a fixed prefix; several prefixes are set apart by blanks."""
    fixed = prefixes.split()
    return Rule(
        name,
        tuple(_as_literal(prefix) for prefix in fixed),
        tuple(_begin(prefix, start) + body for prefix in fixed),
        f"{owner}.",
        tuple(f"{prefix}{sample}" for prefix in fixed),
        tuple(f"{prefix}abc" for prefix in fixed) + tuple(f"x{prefix}{sample}" for prefix in fixed),
        is_random if body == _URLSAFE else None,
    )


def _as_literal(prefix: str) -> str:
    lowered = prefix.lower()
    if set(lowered) & set("$~"):
        return f"!{lowered}"
    return lowered if set(lowered) & set("-_.") else f" {lowered}"


# Access keys, and the ids of what they stand for.
_AWS_IDS = ("AKIA", "ASIA", "ABIA", "ACCA", "AROA", "AIDA", "AGPA", "AIPA", "ANPA", "ANVA", "APKA")

LLM_RULES: tuple[Rule, ...] = (
    Rule(
        "sk-key",
        ("sk-",),
        (_begin("sk-") + r"[A-Za-z0-9_\-]{17,}",),
        "API keys of OpenAI, Anthropic, OpenRouter, DeepSeek, Moonshot, Stability and others.",
        (
            f"sk-{_HEX[:40]}",
            f"key is sk-proj-{_ALNUM[:24]}-{_ALNUM[30:54]}_{_ALNUM[60:90]}.",
            f"sk-ant-api03-{_ALNUM[:40]}-{_ALNUM[:40]}-{_ALNUM[:8]}AA",
            f"(sk-or-v1-{_HEX[:64]})",
        ),
        (
            "sk-learn-column-transformer-pipeline",
            "sk-short",
            f"task-{_HEX[:32]}",
            f"disk-{_HEX[:20]}",
        ),
        is_random,
    ),
    _key("pk-key", "Publishable and project keys, by Lupis' own list", "pk_", r"[A-Za-z0-9_]{20,}"),
    _key("ak-key", "Access keys, by Lupis' own list; Modal, Moonshot", "ak- ak_", _URLSAFE),
    _key("as-key", "Modal token secrets", "as-", r"[A-Za-z0-9]{22}(?![\w\-])", _ALNUM[:22]),
    _key(
        "sk_-key",
        "ElevenLabs, Clerk, Novita, Cartesia keys",
        "sk_",
        r"(?:car_)?[A-Za-z0-9]{20,}",
        start=_NAME_START,
    ),
    Rule(
        "google-api-key",
        (" aiza",),
        (_begin("AIza") + r"[A-Za-z0-9_\-]{35}(?![A-Za-z0-9_\-])",),
        "Google API keys (Gemini, Maps, Firebase): https://cloud.google.com/docs/authentication/api-keys",
        (f"AIza{_ALNUM[:35]}", f"https://x.googleapis.com/?key=AIzaSy{_ALNUM[:15]}-{_ALNUM[:17]}"),
        (f"AIza{_ALNUM[:20]}", f"fAIza{_ALNUM[:35]}", f"AIza{_ALNUM[:60]}"),
    ),
    _key("google-auth-key", "Google's keys bound to service accounts", "AQ.Ab", _URLSAFE, _CHAIN),
    _key("google-access-token", "Google OAuth 2.0 access tokens", "ya29.", _URLSAFE, _CHAIN),
    _key("google-client-secret", "Google OAuth 2.0 client secrets", "GOCSPX-", _URLSAFE, _CHAIN),
    Rule(
        "google-refresh-token",
        ("!1//0",),
        (_begin("1//0") + r"[A-Za-z0-9_\-]{30,}",),
        "Google OAuth 2.0 refresh tokens.",
        (f"1//0g{_ALNUM[:40]}-{_ALNUM[:20]}",),
        ("http1//0short", f"21//0{_ALNUM[:50]}"),
    ),
    _key("groq", "Groq API keys", "gsk_"),
    _key("xai", "xAI API keys", "xai-"),
    _key("replicate", "Replicate API tokens", "r8_"),
    _key("perplexity", "Perplexity API keys", "pplx-"),
    _key("hugging-face", "Hugging Face user and organization tokens", "hf_ api_org_"),
    _key("nvidia", "NVIDIA API catalog keys", "nvapi-", _URLSAFE, _CHAIN),
    _key("cerebras", "Cerebras API keys", "csk-"),
    _key("together", "Together AI keys", "tgp_v1_", _URLSAFE, _CHAIN),
    _key("fireworks", "Fireworks AI keys", "fw_", _PIECE),
    _key("voyage", "Voyage AI keys", "pa-", r"[A-Za-z0-9_\-]{40,}", _CHAIN),
    _key("jina", "Jina AI keys", "jina_", _URLSAFE, _CHAIN),
    _key("tavily", "Tavily keys", "tvly-", _URLSAFE, _CHAIN),
    _key("pinecone", "Pinecone keys", "pcsk_", _URLSAFE, _CHAIN),
    _key("langsmith", "LangSmith keys", "lsv2_pt_ lsv2_sk_ ls__", r"[A-Za-z0-9_]{20,}", _HEX[:32]),
    _key("e2b", "E2B keys", "e2b_", _PIECE),
    _key("anyscale", "Anyscale keys", "esecret_"),
    _key("logfire", "Pydantic Logfire write tokens", "pylf_v1_ pylf_v2_", r"[A-Za-z0-9_]{20,}"),
    _key("wandb", "Weights & Biases keys", "wandb_v1_", _URLSAFE, _CHAIN),
    _key("llama-cloud", "LlamaCloud keys", "llx-"),
    _key("llama-api", "Llama API keys", "LL-", _PIECE),
    _key("firecrawl", "Firecrawl keys", "fc-", r"[0-9a-f]{32}(?![\w\-])", _HEX[:32]),
    _key("browserbase", "Browserbase keys", "bb_live_", _URLSAFE, _CHAIN),
    _key("upstage", "Upstage keys", "up_", _PIECE),
    _key("friendli", "Friendli tokens", "flp_", _PIECE),
    _key("runpod", "RunPod keys", "rpa_"),
    _key("composio", "Composio keys", "comp_ uak_ oak_", _PIECE),
    _key(
        "bedrock-key",
        "Amazon Bedrock long-term API keys",
        "ABSK",
        r"[A-Za-z0-9+/]{40,}={0,2}",
        _ALNUM[:120],
    ),
    _key(
        "bedrock-short-key",
        "Amazon Bedrock short-term API keys",
        "bedrock-api-key-",
        r"[A-Za-z0-9+/_\-]{20,}={0,2}",
    ),
    Rule(
        "azure-ai-key",
        ("+jqqj99",),
        (r"[A-Za-z0-9]{40,60}JQQJ99[A-Za-z0-9]{20,32}",),
        "Azure OpenAI and AI services keys: 84 characters with a fixed signature.",
        (f"{_ALNUM[:52]}JQQJ99BAAC{_UPPER[:22]}",),
        ("JQQJ99BAAC", f"JQQJ99{_UPPER[:26]}"),
    ),
)

CLOUD_RULES: tuple[Rule, ...] = (
    Rule(
        "aws-access-key-id",
        (*(f" {prefix.lower()}" for prefix in _AWS_IDS), " a3t"),
        (
            *(_begin(prefix) + r"[A-Z0-9]{16}(?![A-Za-z0-9])" for prefix in _AWS_IDS),
            _begin("A3T") + r"[A-Z0-9]{17}(?![A-Za-z0-9])",
        ),
        "AWS access key ids: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html",
        (
            f"AKIA{_UPPER[:16]}",
            f"A3T{_UPPER[:17]}",
            f"Credential=ASIA{_UPPER[:16]}/20260101/us-east-1/bedrock",
        ),
        ("ASIA-PACIFIC-REGION", f"AKIA{_UPPER[:12]}", f"AKIA{_UPPER[:20]}"),
    ),
    _key("aws-mws", "Amazon MWS auth tokens", "amzn.mws.", _UUID_FORM, _UUID),
    _key("aws-appsync", "AWS AppSync keys", "da2-", r"[a-z0-9]{26}(?![\w\-])", _LOWER[:26]),
    _key(
        "alibaba",
        "Alibaba Cloud access key ids",
        "LTAI",
        r"[A-Za-z0-9]{12,24}(?![\w\-])",
        _ALNUM[:20],
    ),
    _key("tencent", "Tencent Cloud secret ids", "AKID", r"[A-Za-z0-9]{32}(?![\w\-])", _ALNUM[:32]),
    _key(
        "yandex-api-key",
        "Yandex Cloud API keys",
        "AQVN",
        r"[A-Za-z0-9_\-]{35,38}(?![\w\-])",
        _ALNUM[:36],
    ),
    _key(
        "yandex-iam",
        "Yandex Cloud IAM tokens",
        "t1.",
        r"[A-Za-z0-9_\-]{1,200}={0,2}\.[A-Za-z0-9_\-]{80,90}={0,2}",
        f"{_ALNUM[:40]}.{_ALNUM[:86]}",
    ),
    Rule(
        "azure-client-secret",
        ("!q~",),
        (
            r"(?<![A-Za-z0-9_~.\-])[A-Za-z0-9_~.\-]{3}[0-9]Q~[A-Za-z0-9_~.\-]{31,34}(?![A-Za-z0-9_~.\-])",
        ),
        "Microsoft Entra client secrets.",
        (f"aB38Q~{_ALNUM[:34]}",),
        ("aB38Q~short", f"38Q~{_ALNUM[:34]}"),
    ),
    _key(
        "digitalocean", "DigitalOcean tokens", "dop_v1_ doo_v1_ dor_v1_ dos_v1_", _PIECE, _HEX[:64]
    ),
    _key("heroku", "Heroku API keys", "HRKU-", _URLSAFE, f"AA{_CHAIN}"),
    _key("flyio", "Fly.io tokens", "fo1_ fm1a_ fm1r_ fm2_", r"[A-Za-z0-9_+/=\-]{20,}", _ALNUM[:60]),
    _key("vercel", "Vercel tokens", "vck_ vcp_ vci_ vca_ vcr_"),
    _key("netlify", "Netlify tokens", "nfp_ nfc_ nfo_ nfu_ nfb_"),
    _key("scalingo", "Scalingo tokens", "tk-us-", _URLSAFE, _CHAIN),
    _key("supabase", "Supabase tokens and secret keys", "sbp_ sb_secret_", _URLSAFE, _HEX[:40]),
    _key(
        "planetscale",
        "PlanetScale credentials",
        "pscale_tkn_ pscale_pw_ pscale_oauth_",
        r"[A-Za-z0-9_=.\-]{20,}",
    ),
    _key("pulumi", "Pulumi tokens", "pul-", _PIECE, _HEX[:40]),
    _key("databricks", "Databricks tokens", "dapi", r"[0-9a-f]{32}(?:-[0-9])?(?![\w])", _HEX[:32]),
    _key(
        "doppler",
        "Doppler tokens",
        "dp.pt. dp.st. dp.ct. dp.sa. dp.said. dp.scim. dp.audit.",
        r"(?:[a-z0-9_\-]{2,35}\.)?[A-Za-z0-9]{40,44}",
        _ALNUM[:43],
    ),
    _key("vault", "HashiCorp Vault tokens", "hvs. hvb. hvr.", _URLSAFE, _ALNUM[:90]),
    Rule(
        "terraform",
        ("atlasv1.",),
        (r"(?<![A-Za-z0-9.])[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=\-]{40,}",),
        "HCP Terraform tokens.",
        (f"{_ALNUM[:14]}.atlasv1.{_ALNUM[:67]}",),
        (f"{_ALNUM[:14]}.atlasv1.short", f"atlasv1.{_ALNUM[:67]}"),
    ),
    _key("tailscale", "Tailscale keys", "tskey-", _URLSAFE, f"auth-{_ALNUM[:17]}-{_ALNUM[:32]}"),
    _key(
        "cloudflare-origin",
        "Cloudflare origin CA keys",
        "v1.0-",
        r"[0-9a-f]{24}-[0-9a-f]{100,160}",
        f"{_HEX[:24]}-{_HEX[:146]}",
    ),
    _key("cloudflare", "Cloudflare tokens and keys", "cfut_ cfat_ cfk_", _URLSAFE, _CHAIN),
    _key(
        "openshift",
        "OpenShift user tokens",
        "sha256~",
        r"[A-Za-z0-9_\-]{43}(?![\w\-])",
        _ALNUM[:43],
    ),
    _key(
        "akamai",
        "Akamai EdgeGrid credentials",
        "akab-",
        r"[a-z0-9]{16}-[a-z0-9]{16}(?![\w])",
        f"{_LOWER[:16]}-{_LOWER[3:19]}",
    ),
    _key("docker", "Docker Hub tokens", "dckr_pat_ dckr_oat_", _URLSAFE, _ALNUM[:27]),
    _key(
        "docker-swarm",
        "Docker Swarm join tokens and unlock keys",
        "SWMTKN-1- SWMKEY-1-",
        r"[A-Za-z0-9+/\-]{40,}",
        f"{_LOWER[:50]}-{_LOWER[:25]}",
    ),
    _key(
        "defined-networking",
        "Defined Networking keys",
        "dnkey-",
        _URLSAFE,
        f"{_UPPER[:26]}-{_UPPER[:52]}",
    ),
)

CODE_RULES: tuple[Rule, ...] = (
    _key(
        "github",
        "GitHub tokens: https://github.blog/changelog/2021-03-31-authentication-token-format-updates",
        "ghp_ gho_ ghu_ ghs_ ghr_",
        r"[A-Za-z0-9_\-]{20,}(?:\.[A-Za-z0-9_\-]{10,}){0,2}",
    ),
    _key("github-fine-grained", "GitHub fine-grained tokens", "github_pat_", r"[A-Za-z0-9_]{20,}"),
    _key(
        "gitlab",
        "GitLab tokens: https://docs.gitlab.com/security/tokens",
        "glpat- gldt- glrt- glrtr- glptt- glft- glimt- glagent- gloas- glcbt- glffct- glsoat-",
        r"[A-Za-z0-9_\-]{16,}(?:\.[A-Za-z0-9_\-.]{2,60})?",
    ),
    _key(
        "gitlab-runner",
        "GitLab runner registration tokens",
        "GR1348941",
        r"[A-Za-z0-9_\-]{16,}(?:\.[A-Za-z0-9_\-.]{2,60})?",
    ),
    _key(
        "bitbucket",
        "Bitbucket app passwords and HTTP access tokens",
        "ATBB BBDC-",
        r"[A-Za-z0-9_=+/\-]{24,}",
    ),
    _key("atlassian", "Atlassian API tokens", "ATATT3 ATCTT3", r"[A-Za-z0-9_=\-]{20,}"),
    _key("npm", "npm access tokens", "npm_"),
    Rule(
        "npmrc",
        ("!:_",),
        (r":_(?:authtoken|auth|password)\s{0,4}=\s{0,4}[\"']?(?P<secret>[^\s\"']{8,})",),
        "Registry credentials of .npmrc files.",
        (f"//npm.example.com/:_authToken={_UUID}", f"//r.example/:_auth=dXNlcjpw{_ALNUM[:8]}"),
        ("//npm.example.com/:_authToken=", ":_author=somebody"),
        fold=True,
    ),
    _key("pypi", "PyPI upload tokens", "pypi-", r"[A-Za-z0-9_\-]{50,}", _ALNUM[:80]),
    _key("rubygems", "RubyGems keys", "rubygems_", _PIECE, _HEX[:48]),
    _key("clojars", "Clojars deploy tokens", "CLOJARS_", _PIECE, _HEX[:60]),
    _key("nuget", "NuGet keys", "oy2", r"[a-z0-9]{43}(?![\w\-])", _LOWER[:43]),
    _key(
        "circleci",
        "CircleCI tokens",
        "CCIPAT_ CCIPRJ_",
        r"[A-Za-z0-9]{22}_[0-9a-f]{40}",
        f"{_ALNUM[:22]}_{_HEX[:40]}",
    ),
    _key("sonarqube", "SonarQube tokens", "sqp_ squ_ sqa_", r"[0-9a-f]{40}(?![\w])", _HEX[:40]),
    _key(
        "sourcegraph",
        "Sourcegraph tokens",
        "sgp_ sgd_",
        r"(?:[A-Za-z0-9\-]{1,20}_)?[0-9A-Za-z]{40,64}",
        _HEX[:40],
    ),
    _key("artifactory", "JFrog Artifactory keys", "AKCp", r"[A-Za-z0-9]{10,}", _ALNUM[:69]),
    _key("artifactory-older", "JFrog Artifactory keys", "AKC", _PIECE, _ALNUM[:69])._replace(
        check=has_digit
    ),
    _key("jfrog-reference", "JFrog reference tokens", "cmVmdGtu", r"[A-Za-z0-9]{40,}", _ALNUM[:56]),
    _key("octopus", "Octopus Deploy keys", "API-", r"[A-Z0-9]{26}(?![\w\-])", _UPPER[:26]),
    _key("launchdarkly", "LaunchDarkly keys", "api- sdk- mob-", _UUID_FORM, _UUID),
    _key(
        "harness",
        "Harness tokens",
        "pat. sat.",
        r"[A-Za-z0-9_\-]{22}\.[0-9a-f]{24}\.[A-Za-z0-9]{20,}",
        f"{_ALNUM[:22]}.{_HEX[:24]}.{_ALNUM[:20]}",
    ),
    _key("infracost", "Infracost keys", "ico-", r"[A-Za-z0-9]{32}(?![\w\-])", _ALNUM[:32]),
    _key("prefect", "Prefect keys", "pnu_ pnb_"),
    _key(
        "postman",
        "Postman keys",
        "PMAK- PMAT-",
        r"[A-Za-z0-9]{20,26}(?:-[0-9a-f]{30,40})?",
        f"{_HEX[:24]}-{_HEX[:34]}",
    ),
    _key("readme", "ReadMe keys", "rdme_", r"[A-Za-z0-9]{40,}", _LOWER[:70]),
    _key("wundergraph", "WunderGraph keys", "cosmo_", _PIECE, _HEX[:32]),
    _key("wakatime", "WakaTime keys", "waka_", _UUID_FORM, _UUID),
    _key("adobe", "Adobe client secrets", "p8e-", r"[A-Za-z0-9_\-]{32}(?![\w\-])", _ALNUM[:32]),
    _key("intra42", "42 Intra client secrets", "s-s4t2ud- s-s4t2af-", _PIECE, _HEX[:64]),
)

SERVICE_RULES: tuple[Rule, ...] = (
    _key(
        "slack",
        "Slack tokens: https://api.slack.com/concepts/token-types",
        "xoxa- xoxb- xoxc- xoxd- xoxe- xoxo- xoxp- xoxr- xoxs- xapp-",
        r"[A-Za-z0-9%/+\-]{10,}",
        f"1-{_HEX[:10]}-{_ALNUM[:24]}",
    ),
    Rule(
        "webhook-url",
        ("!hooks.slack.com/", "!hooks.zapier.com/", "!/webhook"),
        (
            (
                r"(?:hooks\.slack\.com/(?:services|workflows|triggers)/"
                r"|discord(?:app)?\.com/api/webhooks/\d{10,20}/|"
                r"webhook\.office\.com/webhookb2/|hooks\.zapier\.com/hooks/catch/)(?P<secret>[A-Za-z0-9_@+/\-]{15,})"
            ),
        ),
        "Incoming webhooks: whoever knows the address may post.",
        (
            f"https://hooks.slack.com/services/T{_UPPER[:8]}/B{_UPPER[:8]}/{_ALNUM[:24]}",
            f"https://discord.com/api/webhooks/123456789012345678/{_ALNUM[:68]}",
        ),
        (
            "https://hooks.slack.com/services/",
            "https://discord.com/api/webhooks/123456789012345678",
        ),
        fold=True,
    ),
    Rule(
        "discord-bot",
        ("#dotted",),
        (
            r"(?<![A-Za-z0-9_.\-])[MNO][A-Za-z0-9_\-]{23,27}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,45}(?![A-Za-z0-9_.\-])",
        ),
        "Discord bot tokens: the bot's id in base64, a time, a signature.",
        (f"MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDe.{_ALNUM[:38]}",),
        (
            f"MTIzNDU2Nzg5MDEyMzQ1Njc4.Gabc.{_ALNUM[:38]}",
            f"Module_name_of_something.method.{'abc_' * 9}abc",
        ),
        is_mixed,
    ),
    Rule(
        "telegram-bot",
        ("!:aa",),
        (r"(?<![0-9A-Za-z])[0-9]{8,10}:AA[A-Za-z0-9_\-]{32,34}(?![A-Za-z0-9_\-])",),
        "Telegram bot tokens: https://core.telegram.org/bots/api#authorizing-your-bot",
        (
            f"110201543:AA{_ALNUM[:33]}",
            f"https://api.telegram.org/bot110201543:AA{_ALNUM[:33]}/getMe".replace("bot1", "bot/1"),
        ),
        ("110201543:AAshort", f"1102:AA{_ALNUM[:33]}"),
    ),
    _key("twilio-key", "Twilio API key SIDs", "SK", r"[0-9a-z]{32}(?![A-Za-z0-9])", _HEX[:32]),
    _key(
        "twilio-account",
        "Twilio account SIDs, the user names of its basic authentication",
        "AC",
        r"[0-9a-z]{32}(?![A-Za-z0-9])",
        _HEX[:32],
    )._replace(literals=tuple(f" ac{a}{b}" for a in _DIGITS for b in _DIGITS)),
    _key(
        "sendgrid",
        "SendGrid keys",
        "SG.",
        r"[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{16,64}",
        f"{_ALNUM[:22]}.{_ALNUM[:43]}",
    ),
    _key(
        "brevo",
        "Brevo keys",
        "xkeysib- xsmtpsib-",
        r"[0-9a-f]{64}-[A-Za-z0-9_\-]{16}",
        f"{_HEX[:64]}-{_ALNUM[:16]}",
    ),
    _key(
        "mailgun", "Mailgun keys", "key- pubkey-", r"[0-9a-z]{32}(?![\w\-])", _LOWER[:32]
    )._replace(check=has_digit),
    Rule(
        "mailchimp",
        tuple(f"=us{number}" for number in range(1, 30)),
        (r"[0-9a-z](?<![A-Za-z0-9].)[0-9a-z]{31}-us[0-9]{1,2}(?![\w\-])",),
        "Mailchimp keys end with their data centre: https://mailchimp.com/developer/marketing/docs/fundamentals",
        (f"{_HEX[:32]}-us6", f"key={_HEX[8:40]}-us21"),
        (f"{_HEX[:30]}-us6", f"{_HEX[:32]}-use"),
    ),
    _key(
        "stripe",
        "Stripe keys: https://docs.stripe.com/keys",
        "sk_live_ sk_test_ rk_live_ rk_test_ pk_live_ pk_test_ sk_prod_ rk_prod_",
        r"[A-Za-z0-9]{10,}",
    ),
    _key("stripe-webhook", "Stripe webhook secrets", "whsec_"),
    _key(
        "shopify",
        "Shopify tokens",
        "shpat_ shpca_ shppa_ shpss_ shptka_",
        r"[0-9A-Fa-f]{32}(?![\w])",
        _HEX[:32],
    ),
    _key(
        "square", "Square tokens and secrets", "sq0atp- sq0csp- sq0idp-", r"[A-Za-z0-9_\-]{22,43}"
    ),
    _key(
        "square-access",
        "Square access tokens",
        "EAAA",
        r"[A-Za-z0-9_\-]{60}(?![\w\-])",
        _ALNUM[:60],
    ),
    _key(
        "facebook",
        "Facebook access tokens",
        "EAA",
        r"[A-Za-z0-9]{60,}",
        _ALNUM[:160],
    ),
    _key(
        "instagram",
        "Instagram access tokens",
        "IGQV IGQW IGAA",
        r"[A-Za-z0-9_\-]{80,}",
        _ALNUM[:120],
    ),
    Rule(
        "facebook-app",
        ("!|",),
        (r"(?<![\w|])[0-9]{12,18}(?:\||%7[cC])[A-Za-z0-9_\-]{24,32}(?![\w\-|])",),
        "Facebook app access tokens: app id and secret.",
        (f"access is 1234567890123456|{_ALNUM[:27]}",),
        (f"12345|{_ALNUM[:27]}", "1234567890123456|short"),
    ),
    _key(
        "braintree",
        "PayPal Braintree access tokens",
        "access_token$production$ access_token$sandbox$",
        r"[0-9a-z]{16}\$[0-9a-z]{32}(?![\w])",
        f"{_LOWER[:16]}${_HEX[:32]}",
    ),
    _key(
        "flutterwave",
        "Flutterwave keys",
        "FLWSECK_TEST- FLWPUBK_TEST- FLWSECK- FLWPUBK-",
        r"[A-Za-z0-9]{12,}(?:-X)?",
        _HEX[:32],
    ),
    _key("easypost", "EasyPost keys", "EZAK EZTK", r"[A-Za-z0-9]{54}(?![\w])", _ALNUM[:54]),
    _key("woocommerce", "WooCommerce keys", "ck_ cs_", r"[0-9a-f]{40}(?![\w])", _HEX[:40]),
    _key(
        "shippo",
        "Shippo tokens",
        "shippo_live_ shippo_test_",
        r"[0-9A-Fa-f]{40}(?![\w])",
        _HEX[:40],
    ),
    _key("duffel", "Duffel tokens", "duffel_live_ duffel_test_", _URLSAFE, _ALNUM[:43]),
    _key(
        "lob",
        "Lob and GoCardless keys",
        "live_ test_ live_pub_ test_pub_",
        r"[A-Za-z0-9_\-]{31,40}(?![\w\-])",
        _ALNUM[:35],
        start=_NAME_START,
    )._replace(check=has_digit),
    _key(
        "plaid",
        "Plaid access tokens",
        "access-sandbox- access-development- access-production-",
        _UUID_FORM,
        _UUID,
    ),
    _key(
        "salesforce",
        "Salesforce session ids",
        "00D",
        r"[A-Za-z0-9]{12,15}![A-Za-z0-9._]{20,}",
        f"{_ALNUM[:12]}!{_ALNUM[:96]}",
    )._replace(literals=("!00d",)),
    _key(
        "salesforce-consumer",
        "Salesforce consumer keys",
        "3MVG",
        r"[A-Za-z0-9_.]{75,}",
        _ALNUM[:81],
    ),
    _key("hubspot", "HubSpot private app tokens", "pat-na1- pat-na2- pat-eu1-", _UUID_FORM, _UUID),
    _key("linear", "Linear keys", "lin_api_ lin_oauth_", _PIECE),
    _key(
        "notion",
        "Notion tokens",
        "ntn_ secret_",
        r"[A-Za-z0-9]{40,}",
        _ALNUM[:46],
        start=_NAME_START,
    ),
    _key("figma", "Figma tokens", "figd_ figu_", _URLSAFE, _CHAIN),
    _key("typeform", "Typeform tokens", "tfp_", r"[A-Za-z0-9_\-.]{40,}", _ALNUM[:59]),
    _key("contentful", "Contentful tokens", "CFPAT-", _URLSAFE, _ALNUM[:43]),
    _key("frameio", "Frame.io tokens", "fio-u-", _URLSAFE, _ALNUM[:64]),
    _key("dropbox", "Dropbox access tokens", "sl. sl.u.", r"[A-Za-z0-9_\-]{77,}", _ALNUM[:135]),
    Rule(
        "airtable",
        ("#dotted",),
        (_begin("pat") + r"[A-Za-z0-9]{14}\.[0-9a-f]{64}(?![\w])",),
        "Airtable personal access tokens.",
        (f"pat{_ALNUM[:14]}.{_HEX[:64]}",),
        (f"pat{_ALNUM[:14]}.{_HEX[:30]}", "path/to/some.thing.entirely"),
    ),
    _key("nylas", "Nylas keys", "nyk_v0_"),
    _key("riot", "Riot Games keys", "RGAPI-", _UUID_FORM, _UUID),
    _key("settlemint", "SettleMint tokens", "sm_aat_ sm_pat_ sm_sat_", r"[A-Za-z0-9]{16,}"),
    _key(
        "authress",
        "Authress service client keys",
        "sc_ ext_ scauth_ authress_",
        r"[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_\-][A-Za-z0-9\-]{10,32}\.[A-Za-z0-9+/_=\-]{30,120}",
        f"{_LOWER[:10]}.{_LOWER[:5]}.acc-{_LOWER[:12]}.{_ALNUM[:60]}",
    ),
    _key("beamer", "Beamer keys", "b_", r"[A-Za-z0-9=_\-]{44}(?![\w\-])", _ALNUM[:44])._replace(
        check=has_digit
    ),
    Rule(
        "maxmind",
        ("+_mmk",),
        (r"(?<![\w])[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk(?![\w])",),
        "MaxMind license keys.",
        (f"{_ALNUM[:6]}_{_ALNUM[:29]}_mmk",),
        ("some_mmk_or_other_thing",),
    ),
    _key(
        "1password-account",
        "1Password service account tokens",
        "ops_eyJ",
        r"[A-Za-z0-9+/_\-]{60,}={0,3}",
        _ALNUM[:200],
    ),
    _key(
        "1password-secret",
        "1Password secret keys",
        "A3-",
        r"[A-Z0-9]{6}-(?:[A-Z0-9]{6}-[A-Z0-9]{5}|[A-Z0-9]{11})(?:-[A-Z0-9]{5}){3}(?![\w\-])",
        f"{_UPPER[:6]}-{_UPPER[:6]}-{_UPPER[:5]}-{_UPPER[5:10]}-{_UPPER[7:12]}-{_UPPER[9:14]}",
    ),
    _key(
        "age",
        "age identities",
        "AGE-SECRET-KEY-1",
        r"[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
        "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" * 2,
    )._replace(examples=(f"AGE-SECRET-KEY-1{('QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L' * 2)[:58]}",)),
    _key("clickhouse", "ClickHouse Cloud secrets", "4b1d", r"[A-Za-z0-9]{38}(?![\w])", _ALNUM[:38]),
)

WATCH_RULES: tuple[Rule, ...] = (
    _key(
        "grafana",
        "Grafana tokens",
        "glc_ glsa_",
        r"[A-Za-z0-9+/_\-]{20,}={0,2}(?:_[A-Fa-f0-9]{8})?",
    ),
    _key(
        "grafana-legacy", "Grafana API keys", "eyJrIjoi", r"[A-Za-z0-9+/]{40,}={0,3}", _ALNUM[:70]
    ),
    _key("sentry", "Sentry tokens", "sntrys_ sntryu_", r"[A-Za-z0-9+/=_\-]{20,}", _HEX[:64]),
    _key(
        "new-relic",
        "New Relic keys",
        "NRAA- NRAK- NRBR- NRII- NRIQ- NRJS- NRRA- NRSP-",
        r"[A-Za-z0-9_\-]{16,}",
        _UPPER[:32],
    ),
    _key(
        "dynatrace",
        "Dynatrace tokens",
        "dt0c01. dt0s01. dt0s02. dt0s03. dt0s04. dt0s06. dt0s08. dt0s16.",
        r"[A-Z0-9]{8,24}\.[A-Z0-9]{64}(?![\w])",
        f"{_UPPER[:24]}.{_UPPER[:64]}",
    ),
    Rule(
        "new-relic-license",
        ("+nral",),
        (r"[0-9a-z](?<![A-Za-z0-9].)[0-9a-z]{5}[0-9a-f]{26,34}(?:FFFF)?NRAL(?![A-Za-z0-9])",),
        "New Relic license keys end with NRAL.",
        (f"eu01xx{_HEX[:30]}FFFFNRAL", f"{_HEX[:36]}NRAL"),
        (f"{_HEX[:20]}NRAL",),
    ),
    _key("posthog", "PostHog keys", "pha_ phc_ phr_ phs_ phx_"),
    _key(
        "mapbox",
        "Mapbox tokens",
        "sk.eyJ pk.eyJ",
        r"[A-Za-z0-9_\-]{20,}\.[A-Za-z0-9_\-]{20,}",
        f"{_ALNUM[:60]}.{_ALNUM[:22]}",
    ),
)

GENERAL_RULES: tuple[Rule, ...] = (
    Rule(
        "bearer",
        ("bearer",),
        (r"bearer(?<![a-z0-9]bearer)(?:\s|\+|%20|:){1,4}[a-z0-9_\-.~+/]{6,}={0,2}",),
        "HTTP bearer tokens: RFC 6750.",
        (f"Bearer {_ALNUM[:20]}", f"authorization=bearer+{_HEX[:32]}"),
        ('Bearer realm="api"', "bearer of good news", "Bearer authentication is required"),
        is_credential,
        fold=True,
    ),
    Rule(
        "basic",
        ("basic",),
        (r"basic(?<![a-z0-9]basic)(?:\s|\+|%20){1,4}[a-z0-9+/_\-]{8,}={0,2}(?![a-z0-9])",),
        "HTTP basic credentials, user and password in base64: RFC 7617.",
        ("Basic dXNlcjpzM2NyZXQ=", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ('Basic realm="api"', "basic authentication", "Basic understanding of things"),
        is_credential,
        fold=True,
    ),
    Rule(
        "json-web-token",
        (" eyj",),
        (
            _begin("eyJ", r"A-Za-z0-9_\-")
            + r"[A-Za-z0-9_\-]{8,}\.(?:eyJ[A-Za-z0-9_\-]{16,}(?![A-Za-z0-9_\-.])"
            + r"|[A-Za-z0-9_\-]{4,}\.[A-Za-z0-9_\-]*(?:\.[A-Za-z0-9_\-]+){0,2})",
        ),
        "JSON Web Tokens, signed, encrypted, or cut off before the signature: RFC 7519, RFC 7516.",
        (
            f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{_ALNUM[:43]}",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0",
        ),
        ("eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9.eyJz"),
    ),
    _key(
        "json-web-token-base64",
        "JSON Web Tokens in base64 once more",
        "ZXlK",
        r"[A-Za-z0-9+/]{40,}={0,2}",
        _ALNUM[:80],
    ),
    Rule(
        "json-web-key",
        ('"&kty',),
        (r"\"(?:d|k|p|q|dp|dq|qi)\\?\"\s{0,4}:\s{0,4}\\?\"(?P<secret>[A-Za-z0-9_\-]{16,})\\?\"",),
        "The private members of JSON Web Keys: RFC 7518, section 6.",
        (f'{{"kty":"EC","crv":"P-256","d":"{_ALNUM[:43]}"}}',),
        (f'{{"kty":"EC","crv":"P-256","x":"{_ALNUM[:43]}"}}',),
    ),
    _key(
        "paseto",
        "PASETO tokens",
        " ".join(f"v{n}.{p}." for n in "1234" for p in ("local", "public")),
        r"[A-Za-z0-9_\-]{40,}(?:\.[A-Za-z0-9_\-]+)?",
        _ALNUM[:80],
    ),
    _key(
        "paserk",
        "PASERK keys",
        " ".join(
            f"k{n}.{p}."
            for n in "1234"
            for p in (
                "local",
                "secret",
                "local-wrap.pie",
                "secret-wrap.pie",
                "local-pw",
                "secret-pw",
            )
        ),
        r"[A-Za-z0-9_\-]{40,}",
        _ALNUM[:43],
    ),
    _key("ntlm", "NTLM messages", "TlRMTVNTUAA", r"[A-Za-z0-9+/_\-]{20,}={0,2}", _ALNUM[:60]),
    Rule(
        "private-key",
        ("private key",),
        (
            (
                r"(?:-{4,5} ?)?BEGIN (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?(?: ?-{4,5})?"
                r"(?:(?!-----END|---- END)[^\"'`<>{}]){0,16384}"
                r"(?:-{4,5} ?END [A-Z0-9 ]{1,60}-{4,5})?"
            ),
        ),
        "Private keys in PEM and PGP armour: RFC 7468, RFC 9580. What was cut off counts, too.",
        (
            f"-----BEGIN PRIVATE KEY-----\n{_ALNUM[:64]}==\n-----END PRIVATE KEY-----",
            f'{{"k": "-----BEGIN RSA PRIVATE KEY-----\\n{_ALNUM[:64]}\\n"}}',
            f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{_ALNUM[:64]}",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nMIIB",
            "-----BEGIN PUBLIC KEY-----\nMIIB",
            "the private key",
        ),
    ),
    Rule(
        "private-key-base64",
        (" ls0t",),
        (_begin("LS0tLS1CRUdJTi") + r"[A-Za-z0-9+/]{60,}={0,2}",),
        "Private keys in PEM, in base64 once more, as Kubernetes keeps them.",
        (f"LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUV2{_ALNUM[:80]}",),
        (f"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUV2{_ALNUM[:80]}",),
        is_encoded_key,
    ),
    Rule(
        "putty-key",
        ("putty-user-key-file-",),
        (r"PuTTY-User-Key-File-[23](?![A-Za-z0-9])[^\"'`<>{}]{0,8192}",),
        "Private keys in PuTTY's format.",
        (f"PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nPrivate-Lines: 1\n{_ALNUM[:60]}",),
        ("PuTTY-User-Key-File-Format",),
    ),
    Rule(
        "url-password",
        ("@&://",),
        (
            (
                r"://[^\s/?#\"'<>@:\\]{0,256}:(?![0-9]{1,5}[/?#\s])(?P<secret>[^\s\"'<>\\]{1,256}?)"
                r"@(?=[\w.\[\-]{1,253}(?:[:/?#\s\"'`<>,;)\]}\\]|$))"
            ),
        ),
        "Passwords in addresses: RFC 3986, section 3.2.1.",
        (
            "postgres://app:s3cr3t@db/x",
            "redis://:hunter2@localhost:6379/0",
            "https://u:p%40ss@host/",
        ),
        ("https://host:8080/@scope/name", "https://user@host/", "http://host:80?mail=a@b.c"),
        concealed=True,
    ),
    Rule(
        "signature",
        ("!sig=", "!signature="),
        (r"sig(?<![a-z0-9]sig)(?:nature)?=[\"']?(?P<secret>[a-z0-9%+/=_\-.~]{16,})",),
        "What signs an address or a request (Azure SAS, AWS, Google): who has it may repeat it.",
        (f"https://x/?sv=1&sig={_ALNUM[:30]}%3D", f"X-Amz-Signature={_HEX[:64]}"),
        ("sig=short", f"design={_ALNUM[:30]}"),
        fold=True,
    ),
    Rule(
        "authorization-code",
        ("!?code=", "!&code="),
        (r"[?&]code=(?P<secret>[a-z0-9%+/=_\-.~]{20,})",),
        "OAuth 2.0 authorization codes (RFC 6749, section 4.1) and keys of Azure Functions.",
        (
            f"https://x/cb?code={_ALNUM[:40]}&state=1",
            f"https://f.example/api?x=1&code={_ALNUM[:50]}==",
        ),
        ("https://x/?code=404", "https://x/?code=validation_error"),
        has_digit,
        fold=True,
    ),
    Rule(
        "generated-key",
        ("key",),
        (
            (
                r"key(?<!public.key)(?<!publickey)(?<!cache.key)(?<!cachekey)"
                r"(?<!websocket.key)(?<!idempotency.key)"
                r"(?<!idempotencykey)(?<!partition.key)(?<!primary.key)(?<!sort.key)(?<!routing.key)(?<!object.key)"
                r"\\{0,4}[\"'`]?\s{0,4}[:?]{0,2}(?:=>?|:)\s{0,4}\\{0,4}[\"'`]?(?P<secret>[a-z0-9+/_\-]{20,}={0,2})(?![\w.%])"
            ),
        ),
        "Whatever else is called a key and looks drawn at random.",
        (f"ALGOLIA_KEY={_HEX[:32]}", f'"mapsKey": "{_ALNUM[:39]}"', f"?key={_ALNUM[:32]}"),
        ("key=some_long_configuration_name_here", f"cache_key={_HEX[:40]}", f'"key": "{_UUID}"'),
        is_generated,
        fold=True,
    ),
    Rule(
        "generated-auth",
        ("auth",),
        (
            r"auth\\{0,4}[\"'`]?\s{0,4}[:?]{0,2}(?:=>?|:)\s{0,4}\\{0,4}[\"'`]?(?P<secret>[a-z0-9+/_\-]{20,}={0,2})(?![\w.%])",
        ),
        "Whatever is called auth and looks drawn at random.",
        (f"x-auth: {_ALNUM[:32]}", f'"auth": "{_HEX[:40]}"'),
        ("auth: required_for_this_endpoint", "auth=none"),
        is_generated,
        fold=True,
    ),
    Rule(
        "generated-secret",
        ("token", "secret", "pass", "pwd"),
        tuple(
            word + r"(?![a-z0-9_])(?:\s{1,4}string\s{0,4}=)?[\s(,>|:=\"'`]{1,12}"
            r"(?P<secret>[a-z0-9+/_\-]{20,}={0,2})(?![\w.%])"
            for word in ("token", "secret", "pass(?:w(?:or)?d|phrase)", "pwd")
        ),
        "What looks drawn at random and follows such a word without being assigned to it.",
        (
            f"invalid token {_HEX[:32]}",
            f"client.setToken('{_ALNUM[:24]}')",
            f"password >\n {_ALNUM[:24]}",
        ),
        (f"tokens {_HEX[:32]}", "secret and_many_other_words_after_it", f"token for {_HEX[:32]}"),
        is_generated,
        fold=True,
    ),
    Rule(
        "url-token",
        ("@&://",),
        (r"://(?P<secret>[a-z0-9_\-]{20,256})@(?=[\w.\[\-])",),
        "Tokens in addresses, where the user's name would be.",
        (f"https://{_HEX[:40]}@git.example/x.git",),
        ("https://somebody.with-a-name@git.example/",),
        is_generated,
        fold=True,
    ),
    Rule(
        "command-user",
        (":&curl",),
        (
            r"curl(?=\s)[^\n]{0,300}?\s(?:-[uU]|--(?:proxy-)?user)[\s=]{0,2}[\"']?[^\s\"':]{1,80}:(?P<secret>(?!\$[A-Z{])[^\s\"']{3,200})",
        ),
        "User and password on the command line of curl.",
        (
            "curl -s -u admin:hunter22 https://x/",
            "curl https://x --user 'me:pa55word'",
            "curl -U me:pa55word x",
        ),
        ("curl -u admin https://x/", "curl/8.4.0", 'curl -u "$USER:$PASSWORD" https://x/'),
        concealed=True,
    ),
    Rule(
        "command-bearer",
        ("--oauth2-bearer",),
        (r"--oauth2-bearer[\s=]{1,4}[\"']?(?P<secret>[^\s\"']{3,4096})",),
        "Bearer tokens on the command line of curl.",
        ('curl --oauth2-bearer "eZs2fjkjD8hUcsQ37b8z==" https://x/',),
        ("see --oauth2-bearer",),
        concealed=True,
    ),
    Rule(
        "secure-string",
        ("convertto-securestring",),
        (
            r"convertto-securestring\s{1,4}(?:-[a-z]{1,16}\s{1,4}){0,4}(?P<a>[\"'])(?P<secret>[^\"'\n]{1,200})(?P=a)",
        ),
        "Passwords in PowerShell.",
        (
            'ConvertTo-SecureString "P4ss word" -AsPlainText',
            "ConvertTo-SecureString -AsPlainText -Force -String 'P4ss word'",
        ),
        ("ConvertTo-SecureString $value",),
        concealed=True,
        fold=True,
    ),
    Rule(
        "sql-password",
        ("identified",),
        (
            (
                r"identified\s{1,4}(?:with\s{1,4}[\"'`]?\w{1,40}[\"'`]?\s{1,4})?by\s{1,4}"
                r"(?:password\s{1,4})?(?P<a>[\"'])(?P<secret>[^\"'\n]{1,200})(?P=a)"
            ),
        ),
        "Passwords in SQL.",
        (
            "CREATE USER a IDENTIFIED BY 'hunter2'",
            "ALTER USER a IDENTIFIED WITH mysql_native_password BY 'hunter2'",
        ),
        ("the plant was identified by its leaves",),
        concealed=True,
        fold=True,
    ),
    Rule(
        "card-number",
        ("#digits",),
        (
            (
                r"[2-6](?<![\w.\-].)(?:(?:(?<=4)\d{3}|(?<=5)[1-5]\d\d|(?<=2)(?:2[2-9]|[3-6]\d|7[01])\d"
                r"|(?<=6)(?:011|4[4-9]\d|[25]\d\d)|(?<=3)5[2-8]\d)"
                r"(?P<a>[ \-]?)\d{4}(?P=a)\d{4}(?P=a)\d{4}"
                r"|(?<=3)[47]\d\d(?P<b>[ \-]?)\d{6}(?P=b)\d{5}"
                r"|(?<=3)(?:0[0-5]|[68]\d)\d(?P<c>[ \-]?)\d{6}(?P=c)\d{4})(?![\w\-]|\.\d)"
            ),
        ),
        "Payment card numbers by their issuers' ranges (ISO/IEC 7812), check digit verified.",
        ("4111111111111111", "5555 5555 5555 4444", "378282246310005", "6011-1111-1111-1117"),
        ("4111111111111112", "1732459871234567", "0.4111111111111111", "4111111111111111a"),
        passes_luhn,
    ),
    Rule(
        "us-ssn",
        ("#ssn",),
        (r"[0-8](?<![\w.\-].)\d\d(?<!000)(?<!666)-(?!00)\d\d-(?!0000)\d{4}(?![\w\-]|\.\d)",),
        "US social security numbers, as the Social Security Administration issues them.",
        ("123-45-6789", "ssn is 536-22-1234"),
        ("000-12-3456", "987-65-4321", "123-45-67890", "2024-01-2024"),
        concealed=True,
    ),
)

RULES: tuple[Rule, ...] = (
    LLM_RULES + CLOUD_RULES + CODE_RULES + SERVICE_RULES + WATCH_RULES + GENERAL_RULES
)
