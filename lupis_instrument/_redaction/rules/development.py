"""Rules for keys and tokens of services that store, build and publish software."""

from __future__ import annotations

from lupis_instrument._redaction.checks import has_digit, is_generated
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

DEVELOPMENT_RULES: tuple[Rule, ...] = (
    key_rule(
        "github",
        "GitHub tokens: https://github.blog/changelog/2021-03-31-authentication-token-format-updates",
        "ghp_ gho_ ghu_ ghs_ ghr_",
        r"[A-Za-z0-9_\-]{20,}(?:\.[A-Za-z0-9_\-]{10,}){0,2}",
    ),
    key_rule(
        "github-fine-grained", "GitHub fine-grained tokens", "github_pat_", r"[A-Za-z0-9_]{20,}"
    ),
    key_rule(
        "gitlab",
        "GitLab tokens: https://docs.gitlab.com/security/tokens",
        "glpat- gldt- glrt- glrtr- glptt- glft- glimt- glagent- gloas- glcbt- glffct- glsoat- "
        "glwt-",
        r"[A-Za-z0-9_\-]{16,}(?:\.[A-Za-z0-9_\-.]{2,60})?",
    ),
    key_rule(
        "gitlab-runner",
        "GitLab runner registration tokens",
        "GR1348941",
        r"[A-Za-z0-9_\-]{16,}(?:\.[A-Za-z0-9_\-.]{2,60})?",
    ),
    key_rule(
        "bitbucket",
        "Bitbucket app passwords and HTTP access tokens",
        "ATBB BBDC-",
        r"[A-Za-z0-9_=+/\-]{24,}",
    ),
    key_rule("atlassian", "Atlassian API tokens", "ATATT3 ATCTT3", r"[A-Za-z0-9_=\-]{20,}"),
    key_rule("npm", "npm access tokens", "npm_"),
    key_rule(
        "crates-io",
        "crates.io tokens: https://doc.rust-lang.org/cargo/reference/publishing.html",
        "cio",
        r"[A-Za-z0-9]{32}(?![\w\-])",
        ALNUM[:32],
    )._replace(check=is_generated),
    key_rule(
        "cursor",
        "Cursor API keys: https://cursor.com/docs/security/api-keys",
        "crsr_",
        r"[0-9a-f]{40,}(?![\w\-])",
        HEX[:64],
    ),
    key_rule(
        "buildkite",
        "Buildkite tokens: https://buildkite.com/docs/platform/security/tokens",
        "bkua_ bkaj_ bkpt_ bkpat_ bkct_",
        PIECE,
        HEX[:40],
    ),
    key_rule("spectral", "SpectralOps keys", "spu-", r"[a-z0-9]{32}(?![\w\-])", LOWER[:32]),
    key_rule(
        "unkey",
        "Unkey root keys and keys with its default prefix: https://www.unkey.com/docs/security/root-keys",
        "unkey_",
        r"[A-Za-z0-9]{16,}(?:_[A-Za-z0-9]{8,})?",
        ALNUM[:24],
    )._replace(check=is_generated),
    key_rule(
        "daytona", "Daytona keys: https://www.daytona.io/docs/api-keys", "dtn_", PIECE, HEX[:64]
    ),
    key_rule("n8n", "n8n API keys, which are JSON Web Tokens", "n8n_api_", r"[A-Za-z0-9_\-.]{20,}"),
    Rule(
        "npmrc",
        ("!:_",),
        (r":_(?:authtoken|auth|password)\s{0,4}=\s{0,4}[\"']?(?P<secret>[^\s\"']{8,})",),
        "Registry credentials in .npmrc files.",
        (f"//npm.example.com/:_authToken={UUID}", f"//r.example/:_auth=dXNlcjpw{ALNUM[:8]}"),
        ("//npm.example.com/:_authToken=", ":_author=somebody"),
        lowercase=True,
    ),
    key_rule("pypi", "PyPI upload tokens", "pypi-", r"[A-Za-z0-9_\-]{50,}", ALNUM[:80]),
    key_rule("rubygems", "RubyGems keys", "rubygems_", PIECE, HEX[:48]),
    key_rule("clojars", "Clojars deploy tokens", "CLOJARS_", PIECE, HEX[:60]),
    key_rule("nuget", "NuGet keys", "oy2", r"[a-z0-9]{43}(?![\w\-])", LOWER[:43]),
    key_rule(
        "circleci",
        "CircleCI tokens",
        "CCIPAT_ CCIPRJ_",
        r"[A-Za-z0-9]{22}_[0-9a-f]{40}",
        f"{ALNUM[:22]}_{HEX[:40]}",
    ),
    key_rule("sonarqube", "SonarQube tokens", "sqp_ squ_ sqa_", r"[0-9a-f]{40}(?![\w])", HEX[:40]),
    key_rule(
        "sourcegraph",
        "Sourcegraph tokens",
        "sgp_ sgd_",
        r"(?:[A-Za-z0-9\-]{1,20}_)?[0-9A-Za-z]{40,64}",
        HEX[:40],
    ),
    key_rule("artifactory", "JFrog Artifactory keys", "AKCp", r"[A-Za-z0-9_\-]{10,}", ALNUM[:69]),
    key_rule(
        "artifactory-older", "JFrog Artifactory keys of the older format", "AKC", PIECE, ALNUM[:69]
    )._replace(check=has_digit),
    key_rule(
        "jfrog-reference",
        "JFrog reference tokens",
        "cmVmd",
        r"[A-Za-z0-9]{59}(?![A-Za-z0-9])",
        ALNUM[:59],
    ),
    key_rule("octopus", "Octopus Deploy keys", "API-", r"[A-Z0-9]{26,34}(?![\w\-])", UPPER[:26]),
    key_rule("launchdarkly", "LaunchDarkly keys", "api- sdk- mob-", UUID_BODY, UUID),
    key_rule(
        "harness",
        "Harness tokens",
        "pat. sat.",
        r"[A-Za-z0-9_\-]{22}\.[0-9A-Za-z]{24}\.[A-Za-z0-9]{20,}",
        f"{ALNUM[:22]}.{HEX[:24]}.{ALNUM[:20]}",
    ),
    key_rule("infracost", "Infracost keys", "ico-", r"[A-Za-z0-9]{32}(?![\w\-])", ALNUM[:32]),
    key_rule("prefect", "Prefect keys", "pnu_ pnb_"),
    key_rule(
        "postman",
        "Postman keys",
        "PMAK- PMAT-",
        r"[A-Za-z0-9]{20,26}(?:-[0-9a-f]{30,40})?",
        f"{HEX[:24]}-{HEX[:34]}",
    ),
    key_rule("readme", "ReadMe keys", "rdme_", r"[A-Za-z0-9]{40,}", LOWER[:70]),
    key_rule("wundergraph", "WunderGraph keys", "cosmo_", PIECE, HEX[:32]),
    key_rule("wakatime", "WakaTime keys", "waka_", UUID_BODY, UUID),
    key_rule("adobe", "Adobe client secrets", "p8e-", r"[A-Za-z0-9_\-]{32}(?![\w\-])", ALNUM[:32]),
    key_rule("intra42", "42 Intra client secrets", "s-s4t2ud- s-s4t2af-", PIECE, HEX[:64]),
)
