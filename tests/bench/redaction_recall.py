"""Counts the secrets that redaction finds and the harmless values that it keeps.

All secrets are drawn anew from the shapes of keys that providers and secret scanners document, and
stand in texts as telemetry holds them. Prints shares; nothing passes or fails by them. Run it with
``python tests/bench/redaction_recall.py``; ``--misses`` lists the secrets that were not found.
``--credsweeper FILE`` also measures the test lines of CredSweeper (https://github.com/Samsung/CredSweeper,
``tests/data/output.json`` in a checkout), as they are and with each letter and digit drawn anew.
"""

# A script, which prints, and draws keys that protect nothing:

from __future__ import annotations

import argparse
import base64
import collections
import json
import random
import re
import string
import sys
import uuid
from pathlib import Path

from lupis_instrument._redaction import Redactor

LETTERS = string.ascii_letters
CLASSES = {
    "a": LETTERS + string.digits,
    "A": LETTERS,
    "u": string.ascii_uppercase + string.digits,
    "l": string.ascii_lowercase + string.digits,
    "h": "0123456789abcdef",
    "d": string.digits,
    "w": LETTERS + string.digits + "_-",
    "b": LETTERS + string.digits + "+/",
    "2": string.ascii_uppercase + "234567",
    "p": LETTERS + string.digits + "!#$*+-.^_~",
}
# {a40} stands for 40 letters and digits, {U} for a UUID, {J} for a JSON Web Token. Sources: the
# rules' descriptions, and the configurations of gitleaks, trufflehog and CredSweeper of 2026.
KEYS = [
    "sk-{a20}T3BlbkFJ{a20}", "sk-proj-{w74}T3BlbkFJ{w74}", "sk-svcacct-{w58}T3BlbkFJ{w58}",
    "sk-admin-{w58}T3BlbkFJ{w58}", "sk-ant-api03-{w93}AA", "sk-ant-admin01-{w93}AA",
    "sk-ant-oat01-{w93}AA", "sk-or-v1-{h64}", "sk-{h32}", "sk-lf-{U}", "sk-lw-{a48}",
    "sk-helicone-{l7}-{l7}-{l7}-{l7}", "ek_{h32}", "AIza{w35}", "AQ.Ab8R{w46}", "ya29.{w180}",
    "GOCSPX-{w28}", "1//0{w90}", "gsk_{a52}", "xai-{a80}", "r8_{a37}", "pplx-{a48}", "hf_{A34}",
    "api_org_{A34}", "nvapi-{w64}", "csk-{l48}", "tgp_v1_{w43}", "fw_{a22}", "pa-{w43}",
    "jina_{a32}{w28}", "tvly-dev-{a32}", "pcsk_{a6}_{a63}", "lsv2_pt_{h32}_{h10}",
    "lsv2_sk_{h32}_{h10}", "e2b_{h40}", "esecret_{a36}", "pylf_v1_us_{a43}", "llx-{a48}",
    "fc-{h32}", "bb_live_{w27}", "up_{a29}", "flp_{a45}", "rpa_{u46}", "ak-{a22}", "as-{a22}",
    "sk_{h48}", "sk_car_{a21}", "ABSKQmVkcm9ja0FQSUtleS{b100}", "{a52}JQQJ99{a26}", "{h32}.{a16}",
    "{U}:{h32}", "v1.Cm{w180}.{w100}", "key_{h128}", "crsr_{h64}", "m0-{a40}", "opk_{h42}",
    "app-{a24}", "dataset-{a24}", "fastgpt-{a48}", "rqsty-sk-{w60}", "ydc-sk-{h16}-{a40}",
    "tpuf_{a32}", "ck-{a44}", "BSA{a28}", "bce-v3/ALTAK-{a21}/{h40}", "pat_{a64}", "bt-st-{a48}",
    "hl_sk_{h48}", "AKIA{216}", "ASIA{216}", "amzn.mws.{U}", "da2-{l26}", "LTAI{a20}",
    "AKID{a32}", "AQVN{w36}", "{a3}8Q~{a34}", "dop_v1_{h64}", "doo_v1_{h64}", "HRKU-AA{w58}",
    "fo1_{w43}", "vcp_{a56}", "nfp_{a36}", "tk-us-{w48}", "sbp_{h40}", "pscale_tkn_{a43}",
    "pscale_pw_{a43}", "pul-{h40}", "dapi{h32}", "dose{h32}", "dp.pt.{a43}", "dp.st.dev.{a43}",
    "hvs.{w95}", "hvb.{w140}", "{a14}.atlasv1.{a67}", "tskey-auth-{a17}-{a32}",
    "v1.0-{h24}-{h146}", "cfut_{a40}{h8}", "sha256~{w43}", "akab-{l16}-{l16}", "dckr_pat_{a27}",
    "SWMTKN-1-{l50}-{l25}", "dnkey-{226}-{252}", "napi_{l64}", "rnd_{a28}", "SUA{255}",
    "{b76}+ASt{b6}==", "{b76}ACDb{b6}==", "{w44}AzFu{a6}==", "{b33}+AEh{b6}=", "{b42}+ACRA{b5}",
    "{a33}AzCaB{a5}=", "{a42}AzSeB{a5}", "sess-{a40}",
    "SAA{255}", "ghp_{a36}", "gho_{a36}", "ghs_{a36}", "github_pat_{a22}_{a59}", "glpat-{w20}",
    "gldt-{w20}", "glrt-{w20}", "glwt-{w20}", "GR1348941{w20}", "ATBB{a32}", "ATATT3{w186}",
    "npm_{a36}", "cio{a32}", "pypi-AgEIcHlwaS5vcmc{w160}", "rubygems_{h48}", "CLOJARS_{l60}",
    "oy2{l43}", "CCIPAT_{a22}_{h40}", "sqp_{h40}", "sgp_{h16}_{h40}", "AKCp{a69}", "cmVmd{a59}",
    "API-{u26}", "sdk-{U}", "pat.{w22}.{a24}.{a20}", "ico-{a32}", "pnu_{a36}", "PMAK-{h24}-{h34}",
    "rdme_{l70}", "bkua_{h40}", "spu-{l32}", "unkey_{a24}", "dtn_{h64}", "xoxb-{d12}-{d12}-{a24}",
    "xoxp-{d12}-{d12}-{d12}-{h32}", "xapp-1-A{u9}-{d13}-{h64}",
    "https://hooks.slack.com/services/T{u9}/B{u10}/{a24}",
    "https://discord.com/api/webhooks/{d18}/{w68}", "https://hook.eu2.make.com/{l32}",
    "https://open.feishu.cn/open-apis/bot/v2/hook/{U}", "MTA{a21}.G{a5}.{w38}", "{d10}:AA{w33}",
    "SK{h32}", "SG.{w22}.{w43}", "xkeysib-{h64}-{a16}", "key-{h32}", "{h32}-us12",
    "sk_live_{a24}", "rk_live_{a24}", "sk_test_{a24}", "whsec_{a32}", "shpat_{h32}",
    "shpss_{h32}", "sq0atp-{w22}", "EAAA{w60}", "EAAC{a120}", "IGQVJ{w120}",
    "FLWSECK_TEST-{h32}-X", "EZAK{a54}", "shippo_live_{h40}", "duffel_live_{w43}", "live_{h35}",
    "access-production-{U}", "00D{a12}!{a96}", "pat-na1-{U}", "lin_api_{a40}", "ntn_{d11}{a35}",
    "secret_{a43}", "figd_{w40}", "tfp_{a44}_{a14}", "CFPAT-{w43}", "fio-u-{w64}", "sl.{w135}",
    "pat{a14}.{h64}", "RGAPI-{U}", "re_{a8}_{a24}", "apify_api_{a36}", "{U}:fx", "aio_{a28}",
    "rzp_live_{a14}", "VF.DM.{h24}.{a16}", "glc_{a60}", "glsa_{a32}_{h8}", "sntrys_{a120}",
    "sntryu_{h64}", "NRAK-{u27}", "NRII-{w32}", "dt0c01.{u24}.{u64}", "phc_{a43}", "phx_{a43}",
    "xaat-{U}", "hcaik_{l58}", "rootly_{h64}", "pgar_{a27}", "{J}",
]  # fmt: skip
# Keys without a form of their own, by their provider's name.
NAMED = [
    ("adafruit", "{w32}"), ("algolia", "{l32}"), ("asana", "{l32}"), ("beamer", "b_{w44}"),
    ("bitbucket", "{w64}"), ("bittrex", "{l32}"), ("codecov", "{l32}"), ("cohere", "{a40}"),
    ("coinbase", "{w64}"), ("confluent", "{l64}"), ("datadog", "{l40}"), ("discord", "{h64}"),
    ("droneci", "{l32}"), ("etsy", "{l24}"), ("fastly", "{w32}"), ("finnhub", "{l20}"),
    ("flickr", "{l32}"), ("freshbooks", "{l64}"), ("gitter", "{w40}"), ("heroku", "{U}"),
    ("hubspot", "{U}"), ("intercom", "{w60}"), ("jfrog", "{a73}"), ("kraken", "{b80}"),
    ("kucoin", "{h24}"), ("launchdarkly", "{w40}"), ("linkedin", "{l16}"), ("looker", "{l24}"),
    ("mailgun", "{h32}-{h8}-{h8}"), ("mattermost", "{l26}"), ("meraki", "{h40}"),
    ("messagebird", "{l25}"), ("mistral", "{a32}"), ("netlify", "{w44}"), ("nytimes", "{w32}"),
    ("okta", "00{w40}"), ("plaid", "{l30}"), ("rapidapi", "{w50}"), ("sendbird", "{h40}"),
    ("sidekiq", "{h8}:{h8}"), ("snyk", "{U}"), ("squarespace", "{U}"), ("sumologic", "{a64}"),
    ("travis", "{l22}"), ("twitch", "{l30}"), ("twitter", "{l45}"), ("zendesk", "{l40}"),
    ("deepgram", "{h40}"), ("assemblyai", "{h32}"), ("serper", "{h40}"), ("baseten", "{a8}.{a32}"),
    ("elevenlabs", "{h32}"), ("wandb", "{h40}"), ("azure", "{h32}"), ("exa", "{U}"),
]  # fmt: skip
NAMED_CONTEXTS = {
    "env": "{NAME}_API_KEY={key}",
    "export": 'export {NAME}_TOKEN="{key}"',
    "header": "X-{Name}-Api-Key: {key}",
    "authorization": "Authorization: Bearer {key}",
    "json": '{{"{name}_api_key": "{key}", "n": 1}}',
    "escaped": '"{{\\"{name}ApiKey\\": \\"{key}\\"}}"',
    "python": "Client(api_key='{key}', timeout=3)",
    "yaml": "{name}:\n  secret_key: {key}\n",
    "query": "https://api.{name}.example/v1?api_key={quoted}&x=1",
    "option": "tool --api-key {key} --verbose",
    "har": '{{"name": "x-{name}-api-key", "value": "{key}"}}',
    "pairs": '[["{Name}-Access-Token", "{key}"], ["accept", "*/*"]]',
    "url": "postgres://app:{quoted}@db.{name}.example:5432/x",
}
FREE_CONTEXTS = {
    "alone": "{key}",
    "prose": "we tried {key} and it failed",
    "stop": "Incorrect key provided: {key}.",
    "brackets": "({key})",
    "backticks": "use `{key}` here",
    "list": '["a", "{key}", "b"]',
    "log": "2026-11-23 20:31:11,123 ERROR {name} rejected {key} (401)",
    "path": "GET https://{name}.example/bot/{key}/send",
    "lines": "first\n{key}\nlast",
    "tag": "<code>{key}</code>",
    "comma": "keys {key}, {name}",
    "json_text": '{{"note": "sent {key} to {name}"}}',
    "masked_end": "key was '{key}';",
}
# Lines as CredSweeper's corpus has them: passwords and tokens by their names.
LINES = """
password = "{p12}"
PASSWORD={p10}
db_password: '{p14}'
"passwd": "{p9}"
pwd={p11};
export MYSQL_PWD={a10}
secret_key='{a32}'
SECRET_KEY_BASE={h64}
client_secret: "{w34}"
clientSecret={a40}
"token": "{a40}"
auth_token={h40}
accessToken: '{w60}'
refresh_token={a64}
api-key: {a32}
apikey="{l32}"
private_key={b64}
credentials="{a24}"
connection_password="{p16}"
redis://:{a20}@cache.example:6379/0
spring.datasource.password={p12}
ftp://me:{a10}@files.example/x
<password>{a12}</password>
mysqldump --password={a12} db
encryption_key: {h64}
session_token="{b80}"
jwt_secret={a32}
passphrase="{p20}"
Authorization: Basic {b24}
webhook_secret={h40}
CREATE USER app IDENTIFIED BY {a12};
postgresql://app@server:{a16}@server.postgres.example/x
-----BEGIN PRIVATE KEY-----\\n{b64}\\n{b64}
PASWORD:={p12}
if passworsd == "{a12}":
#define DB_PASSWORD "{a12}"
#define AESKEY {0x{h2}, 0x{h2}, 0x{h2}, 0x{h2}, 0x{h2}, 0x{h2}, 0x{h2}, 0x{h2}}
ENV API_KEY {a24}
password = os.environ.get("PASSWORD") or "{a12}"
secret = getenv("NAME", "{a12}")
const password = process.env.PASSWORD || "{a12}"
Secret: []byte{{d2}, {d2}, {d2}, {d2}, {d2}, {d2}, {d2}, {d2}},
salt = b"{a15}1"
Activation key : {u5}-{u5}-{u5}-{u5}
Password:            {a12}
token in text: {a40}1
MIIEowIBAAKCAQEA{b400}
MHcCAQEEI{a20}{b130}==
""".strip().splitlines()
# Findings of CredSweeper that are counted apart, because anyone may know the value: CredSweeper itself
# rates them "info" (UUIDs, names of hosts and buckets), or their format is the format of a public
# identifier: the type of a JSON Web Key, a WeChat app id, a Salesforce organization, an OAuth client.
PUBLIC = re.compile(
    r"\"kty\": \"\W?\w+\W?|wx[0-9a-f]{16}|00D[A-Za-z0-9]{12,15}|[\w\-]+\.apps\.googleusercontent\.com"
)
# CredSweeper's rules that go by the name of a value, whose characters can be drawn anew.
NAMED_LINES = frozenset(
    ("Password", "Secret", "Token", "Key", "Auth", "Credential", "Salt", "SQL Password",
     "CMD Password", "CMD Secret", "CMD Token", "URL Credentials", "CURL User Password",
     "CURL Options", "CMD ConvertTo-SecureString", "Bearer Authorization")
)  # fmt: skip
WORDS = (
    "the model answered a question about cache keys and the token limit of a request " * 3
).split()


def draw_key(source: random.Random, shape: str) -> str:
    """Return a key of a shape."""

    def draw(match: re.Match[str]) -> str:
        kind, size = match.group(1), int(match.group(2) or 0)
        if kind == "U":
            return str(uuid.UUID(int=source.getrandbits(128), version=4))
        if kind == "J":
            parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": source.getrandbits(64), "iat": 1})
            encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode() for p in parts]
            return ".".join([*(text.rstrip("=") for text in encoded), draw_key(source, "{w43}")])
        # The first and last character are no signs, which could belong to the text around.
        body = [source.choice(CLASSES[kind]) for _ in range(size)]
        for index in (0, -1):
            while not body[index].isalnum():
                body[index] = source.choice(CLASSES[kind])
        return "".join(body)

    return re.sub(r"\{([aAulhdwb2pUJ])(\d*)\}", draw, shape)


def fill_context(source: random.Random, context: str, name: str, key: str) -> str:
    quoted = key.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    return context.format(
        key=key, quoted=quoted, name=name, Name=name.capitalize(), NAME=name.upper()
    )


def is_hidden(redactor: Redactor, text: str, key: str) -> bool:
    """Return whether no long piece of a key is left in the redacted text."""
    redacted = redactor.redact_text(text)
    secret = key.rpartition("/")[2] if key.startswith("https://") else key
    piece = secret[len(secret) // 3 : -4] or secret
    return piece not in redacted and piece.replace("+", "%2B").replace("/", "%2F") not in redacted


def redraw_value(source: random.Random, value: str) -> str:
    """Return a value with another letter or digit of the same kind in the place of each."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    return "".join(
        next((source.choice(kind) for kind in kinds if character in kind), character)
        for character in value
    )


def read_credsweeper(path: str) -> list[tuple[str, str, str, bool]]:
    """Return the rule, line and value of each finding, and whether the value is a secret."""
    findings = {}
    for finding in json.loads(Path(path).read_text(encoding="utf-8")):
        data = finding["line_data_list"][0]
        is_secret = finding["severity"] != "info" and not PUBLIC.fullmatch(data["value"])
        findings[data["line"], data["value"]] = finding["rule"], is_secret
    return [(rule, line, value, is_secret) for (line, value), (rule, is_secret) in findings.items()]


def print_credsweeper(
    redactor: Redactor, source: random.Random, path: str, *, list_misses: bool
) -> None:
    """Print the recall on the lines of CredSweeper, and the misses by CredSweeper's rule."""
    findings = read_credsweeper(path)
    secrets = [(rule, line, value) for rule, line, value, is_secret in findings if is_secret]
    drawn = [
        (rule, line.replace(value, new), new)
        for rule, line, value in secrets
        if rule in NAMED_LINES and not re.search(r"[\\%]", value)
        for new in (redraw_value(source, value) for _ in range(5))
    ]
    for title, lines in (
        ("all findings of CredSweeper", [(rule, line, value) for rule, line, value, _ in findings]),
        ("secrets of CredSweeper", secrets),
        ("values by name in its lines, drawn anew", drawn),
    ):
        misses = [line for line in lines if not is_hidden(redactor, line[1], line[2])]
        share = 100 - 100 * len(misses) / len(lines)
        print(f"{title}: {len(lines) - len(misses)} of {len(lines)} = {share:.2f} %")
        for rule, number in collections.Counter(miss[0] for miss in misses).most_common():
            if list_misses:
                print(f"    {number} {rule}")
                print(
                    *{f"        {miss[1][:120]!r}" for miss in misses if miss[0] == rule}, sep="\n"
                )


def make_harmless(source: random.Random) -> list[str]:
    """Return values of telemetry that are no secrets."""
    h = CLASSES["h"]
    texts = []
    for _ in range(150):
        identifier = str(uuid.UUID(int=source.getrandbits(128)))
        digest = "".join(source.choices(h, k=source.choice((32, 40, 64))))
        number = source.randrange(10**9)
        texts += [
            identifier,
            f"req_{''.join(source.choices(CLASSES['a'], k=24))}",
            f"chatcmpl-{''.join(source.choices(CLASSES['a'], k=29))}",
            f"sha256:{digest}",
            f"https://files.example/{digest}/image.png",
            f"/v1/threads/{identifier}/runs/{number}",
            f"keys/{identifier}",
            f"/static/js/main.{digest[:8]}.js",
            f"assets/{digest[:32]}.bundle.js.map",
            f"model gpt-4o-mini-2024-{number % 12 + 1:02}-18 used {number} tokens",
            f"input_tokens={number} output_tokens={number % 97}",
            f"trace {digest[:32]} span {digest[:16]}",
            f"2026-11-23T20:31:{number % 60:02}.123Z",
            f"arn:aws:bedrock:us-east-1:{number:012}:inference-profile/us.anthropic.claude",
            f"{source.choice(WORDS)} {source.choice(WORDS)} {source.choice(WORDS)}: {number}",
            f"commit {digest[:40]} by me@acme.example",
            f"{source.choice(('app', 'dataset', 'pat', 're', 'key', 'ck', 'arc'))}-{'-'.join(source.sample(WORDS, 4))}",
            f"{source.choice(('re', 'key', 'pat', 'up', 'fw', 'rnd', 'app'))}_{'_'.join(source.sample(WORDS, 4))}",
            f'"{identifier}": "{identifier}"',
            f"Mozilla/5.0 (X11; Linux x86_64) Chrome/{number % 200}.0.0.0",
            f"etag: W/{digest[:27]}",
            f"{number / 1000:.3f},{number % 1000},{number % 7}",
        ]
    return texts


def measure_keys(
    redactor: Redactor, source: random.Random, contexts: dict[str, str], keys: list[tuple[str, str]]
) -> tuple[int, int, list[tuple[str, str]]]:
    """Return how many keys were found, how many there were, and the missed ones with their texts."""
    misses = []
    count = 0
    for name, shape in keys:
        for label, context in contexts.items():
            if shape.startswith("https://") and label in {"query", "url", "path", "authorization"}:
                continue
            key = draw_key(source, shape)
            if label == "url" and not re.fullmatch(r"[\w.~!:\-]+", key):
                continue
            count += 1
            if not is_hidden(redactor, fill_context(source, context, name, key), key):
                misses.append((f"{label} {shape}", fill_context(source, context, name, key)))
    return count - len(misses), count, misses


def main() -> None:
    """Measure all shapes, and print the shares."""
    parser = argparse.ArgumentParser(description="Counts secrets that redaction finds.")
    parser.add_argument("--misses", action="store_true", help="list the secrets that were missed")
    parser.add_argument("--credsweeper", metavar="FILE", help="its file of expected findings")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    source, redactor = random.Random(options.seed), Redactor("remove")
    providers = [name for name, _ in NAMED]
    keys = [(source.choice(providers), shape) for shape in KEYS]
    lines = [draw_key(source, line) for line in LINES for _ in range(20)]
    print(f"seed {options.seed}, {len(KEYS)} forms of keys, {len(NAMED)} keys without a form")
    for title, contexts, shapes in (
        ("keys by name", NAMED_CONTEXTS, keys),
        ("keys in free text", FREE_CONTEXTS, keys),
        ("keys without a form by name", NAMED_CONTEXTS, NAMED),
    ):
        hidden, count, misses = measure_keys(redactor, source, contexts, shapes)
        print(f"{title}: {hidden} of {count} = {100 * hidden / count:.2f} %")
        if options.misses:
            for label, number in collections.Counter(miss[0] for miss in misses).most_common():
                print(f"    {number} {label}")
    hidden_lines = [line for line in lines if redactor.redact_text(line) != line]
    print(f"lines with passwords: {100 * len(hidden_lines) / len(lines):.2f} %")
    if options.credsweeper:
        print_credsweeper(redactor, source, options.credsweeper, list_misses=options.misses)
    texts = make_harmless(source)
    changed = [text for text in texts if redactor.redact_text(text) is not text]
    print(f"harmless values kept: {100 - 100 * len(changed) / len(texts):.2f} % of {len(texts)}")
    if options.misses:
        for text in sorted(set(lines) - set(hidden_lines)) + changed[:20]:
            print(f"    {text}")


if __name__ == "__main__":
    sys.exit(main())
