"""Rules for keys and tokens of monitoring and analytics services."""

from __future__ import annotations

from lupis_instrument._redaction.checks import has_digit
from lupis_instrument._redaction.rules.rule import (
    ALNUM,
    HEX,
    LOWER,
    PIECE,
    UPPER,
    UUID,
    UUID_BODY,
    Rule,
    key_rule,
)

OBSERVABILITY_RULES: tuple[Rule, ...] = (
    key_rule(
        "grafana",
        "Grafana tokens",
        "glc_ glsa_",
        r"[A-Za-z0-9+/_\-]{20,}={0,2}(?:_[A-Fa-f0-9]{8})?",
    ),
    key_rule(
        "grafana-legacy", "Grafana API keys", "eyJrIjoi", r"[A-Za-z0-9+/]{40,}={0,3}", ALNUM[:70]
    ),
    key_rule("sentry", "Sentry tokens", "sntrys_ sntryu_", r"[A-Za-z0-9+/=_\-]{20,}", HEX[:64]),
    key_rule(
        "new-relic",
        "New Relic keys",
        "NRAA- NRAK- NRBR- NRII- NRIQ- NRJS- NRRA- NRSP-",
        r"[A-Za-z0-9_\-]{16,}",
        UPPER[:32],
    ),
    key_rule(
        "dynatrace",
        "Dynatrace tokens",
        "dt0",
        r"[a-z][0-9]{2}\.[A-Za-z0-9]{8,24}\.[A-Za-z0-9]{64}(?![\w])",
        f"c01.{UPPER[:24]}.{UPPER[:64]}",
    ),
    Rule(
        "new-relic-license",
        ("+nral",),
        (r"NRAL(?![A-Za-z0-9])(?<=(?<![A-Za-z0-9])(?P<head>[0-9A-Za-z]{36})NRAL)",),
        "New Relic license keys, which end with NRAL.",
        (f"eu01xx{HEX[:26]}FFFFNRAL", f"{HEX[:36]}NRAL"),
        (f"{HEX[:20]}NRAL", f"{HEX[:40]}NRAL"),
    ),
    key_rule(
        "new-relic-mobile",
        "New Relic mobile app tokens",
        "AA eu01xx",
        r"[0-9a-f]{36,40}-NRMA(?![\w\-])",
        f"{HEX[:40]}-NRMA",
    )._replace(
        literals=("=nrma", "=nrma"), examples=(f"AA{HEX[:40]}-NRMA", f"eu01xx{HEX[:36]}-NRMA")
    ),
    key_rule(
        "axiom",
        "Axiom tokens: https://axiom.co/docs/reference/tokens",
        "xaat- xapt-",
        UUID_BODY,
        UUID,
    ),
    key_rule(
        "honeycomb",
        "Honeycomb ingest, configuration and management keys: https://docs.honeycomb.io/api/authentication",
        "hcaik_ hcxik_ hcaic_ hcxlk_ hcalk_ hcamk_ hcxmk_ hcbik_ hcbmk_",
        PIECE,
        LOWER[:58],
    ),
    key_rule("better-stack", "Better Stack tokens", "bstk_ ustk_", PIECE),
    key_rule("rootly", "Rootly keys", "rootly_", r"[0-9a-f]{64}(?![\w])", HEX[:64]),
    key_rule("pganalyze", "pganalyze keys", "pgar_", PIECE, ALNUM[:27]),
    key_rule(
        "datadog-app",
        "Datadog personal access tokens and client tokens: https://docs.datadoghq.com/account_management/api-app-keys",
        "ddp_ ddw_",
        r"[A-Za-z0-9]{34,}",
        ALNUM[:36],
    )._replace(check=has_digit),
    key_rule("posthog", "PostHog keys", "pha_ phc_ phr_ phs_ phx_"),
    key_rule(
        "mapbox",
        "Mapbox tokens",
        "sk.eyJ pk.eyJ",
        r"[A-Za-z0-9_\-]{20,}\.[A-Za-z0-9_\-]{20,}",
        f"{ALNUM[:60]}.{ALNUM[:22]}",
    ),
    key_rule(
        "mapbox-older",
        "Mapbox tokens of the older format",
        "pk. sk.",
        r"[A-Za-z0-9]{60}\.[A-Za-z0-9]{22}(?![\w\-])",
        f"{ALNUM[:60]}.{ALNUM[:22]}",
    ),
)
