"""Ordinary values of telemetry are not redacted."""

from __future__ import annotations

import base64
import enum
import hashlib
import importlib
import json
import pkgutil
import uuid
from pathlib import Path

import pytest

from lupis_instrument import _semconv
from lupis_instrument._llm.pricing import catalog as prices_catalog
from lupis_instrument._redaction import MODES, Redactor

NAMES = [
    "input",
    "output",
    "tokenizer",
    "secretary",
    "passenger",
    "keyboard",
    "basic",
    "bearer",
    "authority",
]
MODELS = [
    "gpt-4o-mini",
    "gpt-4o-mini-2024-07-18",
    "gpt-5.2-codex",
    "o4-mini-deep-research",
    "claude-3-5-sonnet-20241022",
    "claude-opus-4-5@20251101",
    "anthropic.claude-3-5-sonnet-20240620-v1:0",
    "us.anthropic.claude-sonnet-4-20250514-v1:0",
    "gemini-2.5-pro-preview-05-06",
    "models/gemini-embedding-001",
    "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free",
    "mistral-large-2411",
    "text-embedding-3-large",
    "command-r-plus-08-2024",
    "deepseek-r1-distill-llama-70b",
    "grok-4-fast-reasoning",
    "sonar-reasoning-pro",
    "qwen/qwen-2.5-72b-instruct:free",
    "whisper-large-v3-turbo",
    "nomic-embed-text:latest",
    "accounts/fireworks/models/llama-v3p1-405b-instruct",
    "microsoft/Phi-3-mini-128k-instruct",
    "bigcode/starcoder2-15b",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.meta.llama3-2-90b-instruct-v1:0",
    "llava:13b-v1.6-vicuna-q4_0",
    "hf_model_name",
    "ak-short",
    "pk_table",
    "sk-learn",
    "r8_x",
    "fw_bar",
    "up_down",
    "key-value",
    "xai-grok",
    "pa-rser",
]
URLS = [
    "https://api.openai.com/v1/chat/completions",
    "https://api.openai.com/v1/responses/resp_68a1b2c3d4e5f60718293a4b5c6d7e8f",
    "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.0-flash:streamGenerateContent?alt=sse",
    "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse-stream",
    "https://my-resource.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
    "http://localhost:11434/api/chat",
    "http://127.0.0.1:8080/v1/models?limit=20&after=model_abc",
    "https://[::1]:8443/health",
    "https://example.com/search?q=how+to+reset+a+password&page=2",
    "https://example.com/docs/access-tokens/overview#tokens",
    "https://example.com/a%20b/c%2Fd?redirect=https%3A%2F%2Fexample.org%2Fx%3Fy%3D1",
    "https://user@example.com/inbox",
    "https://github.com/openai/openai-python/blob/main/src/openai/_client.py#L120-L180",
    "file:///var/log/app.log",
    "https://cdn.example.com/assets/index-9f86d081884c7d659a2feaa0c55ad015.js",
    "s3://bucket/path/to/key.parquet",
    "https://example.com/auth/callback?state=ok",
    "https://docs.python.org/3.12/library/stdtypes.html",
    "https://host:8080/@scope/name",
    "postgresql://localhost:5432/app",
    "redis://cache:6379/0",
    "amqp://guest@rabbit:5672/vhost",
    "wss://stream.example.com/ws?v=2",
    "mongodb+srv://cluster0.example.mongodb.net/test",
    "grpc://10.0.0.1:50051",
    "data:text/plain,hello",
    "mailto:me@example.com",
]
HEADERS = """application/json; charset=utf-8|text/event-stream|gzip, deflate, br, zstd|keep-alive|no-cache, no-store
max-age=31536000; includeSubDomains; preload|Mon, 23 Nov 2026 20:31:11 GMT|OpenAI/Python 3.2.0
AsyncOpenAI/Python 1.109.1|python-httpx/0.28.1|Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)
W/"33a64df551425fcc55e4d42a148795d9f25f89d4"|bytes=0-1023|multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk
Origin, Accept-Encoding, Authorization|X-Request-Id, CF-Ray, X-Api-Key|same-origin|SAMEORIGIN|nosniff|1; mode=block
Bearer realm="api"|Basic realm="Restricted", charset="UTF-8"|Bearer error="invalid_token"|h3=":443"; ma=86400
00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01|congo=t61rcWkgMzE,rojo=00f067aa0ba902b7|8e6f3a5b7c9d1e3f-FRA
{"group":"cf-nel","max_age":604800,"endpoints":[{"url":"https:\\/\\/a.nel.cloudflare.com\\/report\\/v4"}]}
req_4f1c7a2b9d8e6f3a5b7c9d1e3f5a7b9c|chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012|msg_01XFDUDYJgAACzvnptvVoYEL|run_abc123
batch_req_123|thread_9aBcDeFgHiJkLmNoPqRsTuVw|file-abc123DEF456ghi789JKL012|fp_44709d6fcb|asst_x1Y2z3A4b5C6d7E8f9G0
default-src 'self'; script-src 'nonce-2726c7f26c'|sha256-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG=|quic=":443"
1732459871|1732459871234|1732459871234567890|0.000275|2026-11-23T20:31:11.123456+00:00|20261123T203111Z|1.2.3-rc.1+build.7""".replace(
    "\n", "|"
).split("|")
SENTENCES = [
    "The secret of good tea is patience.",
    "Tokens: 1834 in, 211 out.",
    "max_tokens=4096 temperature=0.2 top_p=1",
    "token_count: 512, token_limit: 8192",
    "Invalid token at position 12",
    "Unexpected token < in JSON at position 0",
    "The author, a secretary by training, kept the keys.",
    "Password must be at least 12 characters",
    "Please reset your password and try again",
    "Rate limit reached for gpt-4o in organization org-abc123 on tokens per min (TPM): Limit 30000, Used 29500",
    "HTTPSConnectionPool(host='api.openai.com', port=443): Max retries exceeded with url: /v1/models",
    "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self signed certificate (_ssl.c:1007)",
    "ConnectionRefusedError: [Errno 111] Connection refused",
    "KeyError: 'choices'",
    "ValueError: not enough values to unpack (expected 2, got 1)",
    'File "/usr/lib/python3.11/asyncio/runners.py", line 190, in run',
    '    return self._client.post("/chat/completions", json=body, api_key=self.api_key)',
    "    token = self.tokenizer.next_token()",
    "raise AuthenticationError(message) from None",
    "SELECT id, name FROM users WHERE token_count > 10 ORDER BY created_at",
    "basic authentication is not supported here",
    "the bearer of this letter",
    "Basic understanding of the subject",
    "call +1 555-123-4567 or 030 12345678",
    "order 4111-1111-1111 shipped 2026-11-23",
    "version 10.15.7 build 19H2026, 192.168.178.23, fe80::1ff:fe23:4567:890a",
    "IBAN is not a card; ISBN 978-3-16-148410-0, EAN 4006381333931",
    '{"usage": {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19, "token": 5}}',
    '{"token": null, "password": "", "secret": false, "cookies": []}',
    "password=${DB_PASSWORD} token={{ token }} secret=<your-secret>",
    '{"fields": ["name", "key", "value"], "key": "color", "value": "blue"}',
    "cache_key=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b primary_key: 4711",
    "Content-Security-Policy: default-src 'self'",
    "access-control-allow-credentials: true",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ public",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "über die Schlüssel: naïve café — 東京",
    "100% of 50% is 50%; a\\b\\c and C:\\Users\\new\\token",
]
IDS = [
    *(str(uuid.uuid5(uuid.NAMESPACE_URL, str(n))) for n in range(60)),
    *(hashlib.sha256(str(n).encode()).hexdigest() for n in range(30)),
    *(hashlib.md5(str(n).encode()).hexdigest() for n in range(20)),
    *(hashlib.sha1(str(n).encode()).hexdigest()[:16] for n in range(20)),
    *(base64.b64encode(hashlib.sha512(str(n).encode()).digest()).decode() for n in range(30)),
    *(str(int(hashlib.sha1(str(n).encode()).hexdigest()[:15], 16)) for n in range(20)),
]
HARMLESS = [*NAMES, *MODELS, *URLS, *HEADERS, *SENTENCES, *IDS]
REDACTOR = Redactor()
CATALOG = Path(prices_catalog.__file__).with_name("catalog.jsonl")


def semantic_conventions():
    """Yield every attribute name and well-known value of the installed conventions."""
    for package in (
        "opentelemetry.semconv.attributes",
        "opentelemetry.semconv._incubating.attributes",
    ):
        folder = importlib.import_module(package)
        for module in pkgutil.iter_modules(folder.__path__):
            for name, item in vars(importlib.import_module(f"{package}.{module.name}")).items():
                if name.isupper() and isinstance(item, str):
                    yield item
                elif isinstance(item, type) and issubclass(item, enum.Enum):
                    yield from (str(member.value) for member in item)


def catalog_texts(value):
    """Yield every text in the price catalog: names, providers, patterns."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in (*value, *(value.values() if isinstance(value, dict) else ())):
            yield from catalog_texts(item)


def package_names():
    """Yield the names of all attributes and variables of this package."""
    return (
        item for name, item in vars(_semconv).items() if name.isupper() and isinstance(item, str)
    )


def test_the_list_is_long_and_has_no_duplicates():
    """At least 300 different texts are tested."""
    assert len(HARMLESS) >= 300
    assert len(set(HARMLESS)) == len(HARMLESS)


def test_each_text_is_the_same_object():
    """A harmless text is returned as it is."""
    assert [] == [value for value in HARMLESS if REDACTOR.redact_text(value) is not value]


@pytest.mark.parametrize("mode", MODES)
def test_attributes_are_the_same_objects(mode):
    """A span of harmless attributes keeps each of its texts."""
    attributes = {f"attribute.{n}": value for n, value in enumerate(HARMLESS)}
    attributes["list"] = HARMLESS
    redacted = Redactor(mode).redact_attributes(attributes)
    assert attributes == redacted
    assert [n for n, v in attributes.items() if n != "list" and redacted[n] is not v] == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("source", "min_count"),
    [
        (semantic_conventions, 300),
        (package_names, 40),
        (lambda: catalog_texts([*map(json.loads, CATALOG.read_text("utf-8").splitlines())]), 1000),
    ],
    ids=["conventions", "package", "models"],
)
def test_defined_names_and_values_stay(source, min_count, mode):
    """Names of attributes and models, and well-known values, are not redacted."""
    texts = sorted(set(source()))
    redactor = Redactor(mode)
    assert min_count <= len(texts)
    assert [] == [text for text in texts if redactor.redact_text(text) is not text]
    assert {"note": texts} == redactor.redact_attributes({"note": texts})


def test_defined_names_hide_nothing():
    """No attribute of the conventions or of this package hides its value."""
    names = {name for name in (*semantic_conventions(), *package_names()) if "." in name}
    assert [] == sorted(name for name in names if REDACTOR.explain_name(name))
