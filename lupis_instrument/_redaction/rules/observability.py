"""Keys and tokens of what programs are watched with."""

from __future__ import annotations

from .rule import ALNUM, HEX, UPPER, Rule, key

WATCH_RULES: tuple[Rule, ...] = (
    key(
        "grafana",
        "Grafana tokens",
        "glc_ glsa_",
        r"[A-Za-z0-9+/_\-]{20,}={0,2}(?:_[A-Fa-f0-9]{8})?",
    ),
    key("grafana-legacy", "Grafana API keys", "eyJrIjoi", r"[A-Za-z0-9+/]{40,}={0,3}", ALNUM[:70]),
    key("sentry", "Sentry tokens", "sntrys_ sntryu_", r"[A-Za-z0-9+/=_\-]{20,}", HEX[:64]),
    key(
        "new-relic",
        "New Relic keys",
        "NRAA- NRAK- NRBR- NRII- NRIQ- NRJS- NRRA- NRSP-",
        r"[A-Za-z0-9_\-]{16,}",
        UPPER[:32],
    ),
    key(
        "dynatrace",
        "Dynatrace tokens",
        "dt0c01. dt0s01. dt0s02. dt0s03. dt0s04. dt0s06. dt0s08. dt0s16.",
        r"[A-Z0-9]{8,24}\.[A-Z0-9]{64}(?![\w])",
        f"{UPPER[:24]}.{UPPER[:64]}",
    ),
    Rule(
        "new-relic-license",
        ("+nral",),
        (r"[0-9a-z](?<![A-Za-z0-9].)[0-9a-z]{5}[0-9a-f]{26,34}(?:FFFF)?NRAL(?![A-Za-z0-9])",),
        "New Relic license keys end with NRAL.",
        (f"eu01xx{HEX[:30]}FFFFNRAL", f"{HEX[:36]}NRAL"),
        (f"{HEX[:20]}NRAL",),
    ),
    key("posthog", "PostHog keys", "pha_ phc_ phr_ phs_ phx_"),
    key(
        "mapbox",
        "Mapbox tokens",
        "sk.eyJ pk.eyJ",
        r"[A-Za-z0-9_\-]{20,}\.[A-Za-z0-9_\-]{20,}",
        f"{ALNUM[:60]}.{ALNUM[:22]}",
    ),
)
