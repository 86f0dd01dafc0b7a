"""Names hide their values by their words."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction import Redactor
from lupis_instrument._redaction.names import NameList, split_words

SECRET = "hunter two"
HIDDEN = [
    "passwords",
    "api_keys",
    "serviceAccountKeys",
    "dbpwd",
    "password",
    "passwd",
    "pwd",
    "secret",
    "private_key",
    "api_secret",
    "token",
    "access_token",
    "refresh_token",
    "session_token",
    "id_token",
    "x-api-key",
    "api-key",
    "api_key",
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "ssn",
    "social_security",
    "credit_card",
    "card_number",
    "cvv",
    "cvc",
    "Password",
    "PASSWORD",
    "privateKey",
    "PrivateKey",
    "private.key",
    "apiSecret",
    "accessToken",
    "AccessToken",
    "access.token",
    "ACCESS_TOKEN",
    "refreshToken",
    "sessionToken",
    "idToken",
    "X-Api-Key",
    "X_API_KEY",
    "xApiKey",
    "apiKey",
    "APIKey",
    "apikey",
    "api.key",
    "Authorization",
    "Proxy-Authorization",
    "Set-Cookie",
    "Cookie",
    "setCookie",
    "socialSecurity",
    "social-security",
    "creditCard",
    "credit-card",
    "cardNumber",
    "card.number",
    "X-Auth-Token",
    "apiToken",
    "authToken",
    "csrf_token",
    "bearer.token",
    "client_secret",
    "clientSecret",
    "app.client.secret",
    "db_password",
    "dbPassword",
    "user.password",
    "DB_PASS",
    "smtp_pass",
    "aws_secret_access_key",
    "AWSSecretAccessKey",
    "secretAccessKey",
    "encryption_key",
    "signingKey",
    "account-key",
    "ocp-apim-subscription-key",
    "x-functions-key",
    "x-goog-api-key",
    "openai_api_key",
    "OPENAI_API_KEY",
    "password1",
    "new_password",
    "password_confirmation",
    "cvv2",
    "x-amz-security-token",
    "passphrase",
    "private_key_pem",
    "credentials",
    "next_page_token",
    "mypassword",
]
HARMLESS = [
    "server_key_exchange",
    "OLDPWD",
    "primary_keys",
    "input_tokens",
    "output_tokens",
    "max_tokens",
    "total_tokens",
    "token_count",
    "tokens",
    "tokenizer",
    "tokenize",
    "tokenization",
    "secretary",
    "secretariat",
    "author",
    "authority",
    "authors",
    "authored",
    "cvcount",
    "cookie_policy",
    "cookie_consent_url",
    "token_limit",
    "token_usage",
    "token_type",
    "prompt_tokens",
    "completion_tokens",
    "max_new_tokens",
    "eos_token",
    "pad_token",
    "time_to_first_token",
    "token_url",
    "token_endpoint",
    "password_length",
    "password_policy",
    "secret_name",
    "api_key_id",
    "access_key_id",
    "has_password_field_name",
    "passenger",
    "passage",
    "compass",
    "bypass",
    "keyboard",
    "monkey",
    "turkey",
    "primary_key",
    "public_key",
    "cache_key",
    "key",
    "keys",
    "sort_key",
    "card",
    "cards",
    "discard",
    "wildcard",
    "credit",
    "social",
    "security",
    "assessment",
    "lesson",
    "session",
    "session_id",
    "author_id",
    "authoring",
    "tokenized",
    "x-ratelimit-remaining-tokens",
    "anthropic-ratelimit-input-tokens-limit",
    "strict-transport-security",
    "sec-websocket-key",
    "access-control-allow-credentials",
    "x-amzn-bedrock-input-token-count",
    "idempotency-key",
]
CONVENTIONS = [
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.request.max_tokens",
    "gen_ai.token.type",
    "gen_ai.request.stop_sequences",
    "gen_ai.conversation.id",
    "lupis.chat.id",
    "lupis.usage.total_tokens",
    "lupis.cost.total",
    "lupis.metadata.session_id",
    "lupis.project.id",
    "http.request.method",
    "url.full",
    "url.query",
    "server.address",
    "error.type",
    "user.id",
    "user.email",
    "user.name",
    "user.hash",
    "session.id",
    "session.previous_id",
    "service.name",
    "service.instance.id",
    "telemetry.sdk.name",
    "exception.message",
    "exception.stacktrace",
    "aws.secretsmanager.secret.arn",
    "code.function.name",
    "k8s.secret.name",
    "db.query.text",
    "enduser.id",
    "messaging.message.id",
    "rpc.method",
    "network.peer.address",
    "openai.request.service_tier",
    "http.request.header.x-ratelimit-limit-tokens",
    "http.response.header.www-authenticate",
    "http.response.header.openai-organization",
    "http.request.header.sec-fetch-site",
]


@pytest.fixture(scope="module")
def redactor():
    return Redactor()


def test_attributes_that_hide_their_values(redactor):
    """A value under a secret's name is redacted."""
    assert [] == [name for name in HIDDEN if redactor.redact_attribute(name, SECRET) != "***"]


def test_attributes_that_hide_nothing(redactor):
    """A value under a harmless name is returned as it is."""
    names = HARMLESS + CONVENTIONS
    assert [] == [name for name in names if redactor.redact_attribute(name, SECRET) is not SECRET]


@pytest.mark.parametrize(
    "notation",
    [
        "{}={}",
        "{}: {}",
        '"{}": "{}"',
        "'{}': '{}'",
        "https://x/?a=1&{}={}&b=2",
        '\\"{}\\": \\"{}\\"',
        "{} = '{}'",
        "--{} {}",
        "('{}', '{}')",
    ],
)
def test_names_in_a_text_that_hide_their_values(redactor, notation):
    """A secret's name hides its value in each notation."""
    names = [name for name in HIDDEN if name not in {"DB_PASS", "smtp_pass"}] + ["db_pass"]
    assert [] == [
        name
        for name in names
        if "hunter2x" in redactor.redact_text(notation.format(name, "hunter2x"))
    ]


@pytest.mark.parametrize("notation", ["{}={}", "{}: {}", '"{}": "{}"', "https://x/?a=1&{}={}&b=2"])
def test_names_in_a_text_that_hide_nothing(redactor, notation):
    """A harmless name hides nothing in any notation."""
    texts = [notation.format(name, "hunter2x") for name in HARMLESS]
    assert [] == [text for text in texts if redactor.redact_text(text) is not text]


@pytest.mark.parametrize(
    "header",
    ["authorization", "cookie", "x-api-key", "set-cookie", "x_api_key", "proxy-authorization"],
)
@pytest.mark.parametrize("side", ["request", "response"])
def test_header_attribute_is_judged_by_the_header(redactor, side, header):
    """``http.request.header.<name>`` hides its value if ``<name>`` does."""
    assert redactor.redact_attribute(f"http.{side}.header.{header}", [SECRET]) == ["***"]


def test_extra_metadata_is_judged_by_its_own_name(redactor):
    """``lupis.metadata.<extra>`` hides its value if ``<extra>`` does."""
    assert redactor.redact_attribute("lupis.metadata.api_key", SECRET) == "***"
    assert redactor.redact_attribute("lupis.metadata.plan", SECRET) is SECRET


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", 12),
        ("completion_token", 7),
        ("gen_ai.usage.input_tokens", 5),
        ("max_token", 4096),
        ("password", True),
        ("token", None),
        ("api_key", False),
        ("api_keys", 3),
    ],
)
def test_counts_flags_and_nothing_stay(redactor, name, value):
    """A number under a token's name is a count; flags and None are no secrets either."""
    assert redactor.redact_attribute(name, value) is value


@pytest.mark.parametrize("name", ["ssn", "cvv", "card_number", "password", "access_token"])
def test_numbers_that_are_secrets(redactor, name):
    """A number under the name of a card or password is redacted."""
    assert redactor.redact_attribute(name, 123456789) == "***"


def test_custom_name_works_like_a_built_in_one():
    """A custom name hides attributes, data and values in texts."""
    custom = Redactor(patterns=["my_employee_no", "email"])
    assert custom.redact_attribute("myEmployeeNo", "E-1") == "***"
    assert custom.redact_attribute("user.email", "a@b.example") == "***"
    assert (
        custom.redact_text("my-employee-no: E-1, email=a@b.example")
        == "my-employee-no: ***, email=***"
    )
    assert custom.redact_data({"email": "a"}) == {"email": "***"}
    assert custom.redact_text("emails: 12") == "emails: 12"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("XAuthToken", ["x", "auth", "token"]),
        ("APIKey", ["api", "key"]),
        ("x-api-key", ["x", "api", "key"]),
        ("a.bC_d1", ["a", "b", "c", "d", "1"]),
    ],
)
def test_name_is_split_into_words(name, words):
    """A name is split where the case changes, and at digits and signs."""
    assert words == split_words(name)


def test_custom_name_joins_the_list():
    """A custom name is found by its words in any notation."""
    name_rule = NameList(["badge id"]).find_rule("employeeBadgeId")
    assert name_rule is not None
    assert name_rule.words == "badge id"
