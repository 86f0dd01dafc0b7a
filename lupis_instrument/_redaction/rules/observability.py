"""Rules for keys and tokens of monitoring and analytics services."""

from __future__ import annotations

from lupis_instrument._redaction.rules.rule import ALNUM, HEX, UPPER, Rule, key_rule

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
