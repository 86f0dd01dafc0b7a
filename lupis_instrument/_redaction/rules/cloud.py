"""Rules for keys and tokens of clouds, hosting services and their tools."""

from __future__ import annotations

from lupis_instrument._redaction.checks import is_generated
from lupis_instrument._redaction.rules.rule import (
    ALNUM,
    BASE32,
    HEX,
    LOWER,
    MIXED,
    NOT_IN_NAME,
    PIECE,
    UPPER,
    URLSAFE,
    UUID,
    Rule,
    key_rule,
    match_prefix,
)

# Prefixes of access keys, and of the ids of users, roles, groups and other resources.
_AWS_IDS = ("AKIA", "ASIA", "ABIA", "ACCA", "AROA", "AIDA", "AGPA", "AIPA", "ANPA", "ANVA", "APKA")


def _match_signature(character: str, count: int, signature: str, tail: str) -> str:
    """Return a regex for a key with a signature behind a fixed number of characters.

    The signature comes first: `re` searches fast for plain characters.
    """
    head = rf"(?<![A-Za-z0-9+])(?P<head>{character}{{{count}}})"
    return f"{signature}(?<={head}{signature}){tail}"


CLOUD_RULES: tuple[Rule, ...] = (
    Rule(
        "aws-access-key-id",
        (*(f"20 {prefix.lower()}" for prefix in _AWS_IDS), "20 a3t"),
        (
            *(match_prefix(prefix) + r"[A-Z0-9]{16}(?![A-Za-z0-9])" for prefix in _AWS_IDS),
            match_prefix("A3T") + r"[A-Z0-9]{17}(?![A-Za-z0-9])",
        ),
        "AWS access key ids: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html",
        (
            f"AKIA{UPPER[:16]}",
            f"A3T{UPPER[:17]}",
            f"Credential=ASIA{UPPER[:16]}/20260101/us-east-1/bedrock",
        ),
        ("ASIA-PACIFIC-REGION", f"AKIA{UPPER[:12]}", f"AKIA{UPPER[:20]}"),
    ),
    key_rule(
        "aws-mws",
        "Amazon MWS auth tokens",
        "amzn.mws.",
        r"[0-9a-z]{8}(?:-[0-9a-z]{4}){3}-[0-9a-z]{12}",
        UUID,
    ),
    key_rule("aws-appsync", "AWS AppSync keys", "da2-", r"[a-z0-9]{26}(?![\w\-])", LOWER[:26]),
    key_rule(
        "alibaba",
        "Alibaba Cloud access key ids",
        "LTAI",
        r"[A-Za-z0-9]{12,24}(?![\w\-])",
        ALNUM[:20],
    ),
    Rule(
        "alibaba-secret",
        ("16 ltai",),
        (
            match_prefix("LTAI")
            + r"[A-Za-z0-9]{12,24}(?![\w\-])[^\n]{1,64}?"
            + r"(?<![\w\-/+])(?P<secret>[A-Za-z0-9]{30})(?![\w\-/+])",
        ),
        "Alibaba Cloud access key secrets, behind their id.",
        (f"f(LTAI{ALNUM[:20]}, {ALNUM[20:50]})", f"LTAI{ALNUM[:12]}:{ALNUM[20:50]}"),
        (f"LTAI{ALNUM[:20]}, {'a' * 30}", f"LTAI{ALNUM[:20]}, {HEX[:32]}"),
        is_generated,
    ),
    key_rule(
        "tencent", "Tencent Cloud secret ids", "AKID", r"[A-Za-z0-9]{32}(?![\w\-])", ALNUM[:32]
    ),
    key_rule(
        "yandex-api-key",
        "Yandex Cloud API keys",
        "AQVN",
        r"[A-Za-z0-9_\-]{35,38}(?![\w\-])",
        ALNUM[:36],
    ),
    key_rule(
        "yandex-iam",
        "Yandex Cloud IAM tokens",
        "t1.",
        r"[A-Za-z0-9_\-]{1,200}={0,2}\.[A-Za-z0-9_\-]{80,90}={0,2}",
        f"{ALNUM[:40]}.{ALNUM[:86]}",
    )._replace(literals=("!t1.",)),
    Rule(
        "azure-client-secret",
        ("!q~",),
        (
            r"(?<![A-Za-z0-9_~.\-])[A-Za-z0-9_~.\-]{3}[0-9]Q~[A-Za-z0-9_~.\-]{31,34}(?![A-Za-z0-9_~\-]|\.[A-Za-z0-9])",
        ),
        "Microsoft Entra client secrets.",
        (f"aB38Q~{ALNUM[:34]}",),
        ("aB38Q~short", f"38Q~{ALNUM[:34]}"),
    ),
    Rule(
        "azure-service-key",
        ("+azca", "+azeg", "+azse", "+azfu"),
        (
            _match_signature("[A-Za-z0-9]", 33, "AzCa", "[A-P][A-Za-z0-9]{5}="),
            _match_signature("[A-Za-z0-9]", 33, "AZEG", "[A-P][A-Za-z0-9]{5}="),
            _match_signature("[A-Za-z0-9]", 42, "AzSe", "[A-D][A-Za-z0-9]{5}(?![A-Za-z0-9])"),
            _match_signature(r"[A-Za-z0-9_\-]", 44, "AzFu", r"[A-Za-z0-9_\-]{6}=="),
        ),
        "Keys of Azure Cache for Redis, Event Grid, AI Search and Functions, by their signature.",
        (
            f"{ALNUM[:33]}AzCaB{ALNUM[:5]}=",
            f"{ALNUM[:33]}AZEGB{ALNUM[:5]}=",
            f"{ALNUM[:42]}AzSeB{ALNUM[:5]}",
            f"{MIXED[:42]}7hAzFu{ALNUM[:6]}==",
        ),
        (f"{ALNUM[:20]}AzCaB{ALNUM[:5]}=", f"{ALNUM[:33]}AzCa", f"{ALNUM[:60]}AzSeB{ALNUM[:5]}"),
    ),
    Rule(
        "azure-account-key",
        ("!+ast", "!+aba", "acdb&==", "!+asb", "!+aeh", "!+arm", "!+acr"),
        (
            *(
                _match_signature("[A-Za-z0-9+/]", 76, signature, "[A-Za-z0-9+/]{6}==")
                for signature in (r"\+ASt", r"\+ABa", "ACDb")
            ),
            *(
                _match_signature("[A-Za-z0-9+/]", 33, signature, "[A-Za-z0-9+/]{6}=")
                for signature in (r"\+ASb", r"\+AEh", r"\+ARm")
            ),
            _match_signature(
                "[A-Za-z0-9+/]", 42, r"\+ACR", "[A-D][A-Za-z0-9+/]{5}(?![A-Za-z0-9+])"
            ),
        ),
        (
            "Keys of Azure Storage, Batch, Cosmos DB, Service Bus, Event Hubs, Relay and Container "
            "Registry, by their signature."
        ),
        (
            f"AccountKey={ALNUM[:76]}+ASt{ALNUM[:6]}==",
            f"{ALNUM[:76]}+ABa{ALNUM[:6]}==",
            f"{ALNUM[:76]}ACDb{ALNUM[:6]}==",
            f"{ALNUM[:33]}+ASb{ALNUM[:6]}=",
            f"{ALNUM[:33]}+AEh{ALNUM[:6]}=",
            f"{ALNUM[:33]}+ARm{ALNUM[:6]}=",
            f"{ALNUM[:42]}+ACRA{ALNUM[:5]}",
        ),
        (f"{ALNUM[:40]}+ASt{ALNUM[:6]}==", "last+aster+astro", f"{ALNUM[:60]}+ACRA{ALNUM[:5]}"),
    ),
    key_rule(
        "digitalocean", "DigitalOcean tokens", "dop_v1_ doo_v1_ dor_v1_ dos_v1_", PIECE, HEX[:64]
    ),
    key_rule("heroku", "Heroku API keys", "HRKU-", URLSAFE, f"AA{MIXED}"),
    key_rule(
        "flyio", "Fly.io tokens", "fo1_ fm1a_ fm1r_ fm2_", r"[A-Za-z0-9_+/=\-]{20,}", ALNUM[:60]
    ),
    key_rule("vercel", "Vercel tokens", "vck_ vcp_ vci_ vca_ vcr_"),
    key_rule("netlify", "Netlify tokens", "nfp_ nfc_ nfo_ nfu_ nfb_"),
    key_rule("scalingo", "Scalingo tokens", "tk-us-", URLSAFE, MIXED),
    key_rule("supabase", "Supabase tokens and secret keys", "sbp_ sb_secret_", URLSAFE, HEX[:40]),
    key_rule(
        "planetscale",
        "PlanetScale credentials",
        "pscale_tkn_ pscale_pw_ pscale_oauth_",
        r"[A-Za-z0-9_=.\-]{20,}",
    ),
    key_rule("pulumi", "Pulumi tokens", "pul-", PIECE, HEX[:40]),
    key_rule(
        "databricks",
        "Databricks tokens, and OAuth secrets: https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m",
        "dapi dose dkea dsapi",
        r"[0-9a-f]{32}(?:-[0-9])?(?![\w])",
        HEX[:32],
    ),
    key_rule(
        "neon",
        "Neon API keys: https://neon.com/docs/manage/api-keys",
        "napi_",
        PIECE,
        LOWER[:64],
    ),
    key_rule("render", "Render API keys", "rnd_", PIECE, ALNUM[:28]),
    key_rule(
        "okta",
        "Okta API tokens: https://developer.okta.com/docs/guides/create-an-api-token/main",
        "SSWS",
        r"(?:\s|\+|%20){1,4}[A-Za-z0-9_\-]{20,}",
        f" 00{ALNUM[:40]}",
    )._replace(literals=("ssws",)),
    Rule(
        "nats-seed",
        tuple(f"58 s{kind}a" for kind in "uanocxp"),
        tuple(match_prefix(f"S{kind}A") + r"[A-Z2-7]{55}(?![A-Za-z0-9])" for kind in "UANOCXP"),
        "Seeds of NATS keys: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth",
        (f"SUA{BASE32[:55]}", f"seed SAA{BASE32[3:58]}"),
        (f"SUA{BASE32[:40]}", f"UDA{BASE32[:55]}", f"SUA{BASE32[:60]}"),
    ),
    key_rule(
        "doppler",
        "Doppler tokens",
        "dp.pt. dp.st. dp.ct. dp.sa. dp.said. dp.scim. dp.audit.",
        r"(?:[a-z0-9_\-]{2,35}\.)?[A-Za-z0-9]{40,44}",
        ALNUM[:43],
    ),
    key_rule("vault", "HashiCorp Vault tokens", "hvs. hvb. hvr.", URLSAFE, ALNUM[:90]),
    Rule(
        "vault-older",
        ("s.", "b."),
        tuple(
            match_prefix(prefix, rf"{NOT_IN_NAME}.") + r"[A-Za-z0-9]{24}(?![\w.\-])"
            for prefix in ("s.", "b.")
        ),
        "HashiCorp Vault tokens of versions before 1.10.",
        (f"s.{ALNUM[:24]}", f"X: b.{ALNUM[1:25]}"),
        ("s.someAttributeOfALongName", f"hs.{ALNUM[:24]}", f"s.{ALNUM[:24]}.x"),
        is_generated,
    ),
    Rule(
        "terraform",
        ("atlasv1.",),
        (r"(?<![A-Za-z0-9.])[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=\-]{40,}",),
        "HCP Terraform tokens.",
        (f"{ALNUM[:14]}.atlasv1.{ALNUM[:67]}",),
        (f"{ALNUM[:14]}.atlasv1.short", f"atlasv1.{ALNUM[:67]}"),
    ),
    key_rule("tailscale", "Tailscale keys", "tskey-", URLSAFE, f"auth-{ALNUM[:17]}-{ALNUM[:32]}"),
    key_rule(
        "cloudflare-origin",
        "Cloudflare origin CA keys",
        "v1.0-",
        r"[0-9a-f]{24}-[0-9a-f]{100,160}",
        f"{HEX[:24]}-{HEX[:146]}",
    ),
    key_rule("cloudflare", "Cloudflare tokens and keys", "cfut_ cfat_ cfk_", URLSAFE, MIXED),
    key_rule(
        "openshift",
        "OpenShift user tokens",
        "sha256~",
        r"[A-Za-z0-9_\-]{43}(?![\w\-])",
        ALNUM[:43],
    ),
    key_rule(
        "akamai",
        "Akamai EdgeGrid credentials",
        "akab-",
        r"[a-z0-9]{16}-[a-z0-9]{16}(?![\w])",
        f"{LOWER[:16]}-{LOWER[3:19]}",
    ),
    key_rule("docker", "Docker Hub tokens", "dckr_pat_ dckr_oat_", URLSAFE, ALNUM[:27]),
    key_rule(
        "docker-swarm",
        "Docker Swarm join tokens and unlock keys",
        "SWMTKN-1- SWMKEY-1-",
        r"[A-Za-z0-9+/\-]{40,}",
        f"{LOWER[:50]}-{LOWER[:25]}",
    ),
    key_rule(
        "defined-networking",
        "Defined Networking keys",
        "dnkey-",
        URLSAFE,
        f"{UPPER[:26]}-{UPPER[:52]}",
    ),
)
