"""A Redactor handles texts, attributes and nested data, and drops values that it cannot redact."""

from __future__ import annotations

import json
import string
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from servers.rows import check_rows
from servers.slow import slow_except

from lupis_instrument._redaction import MODES, RULES, Redaction, Redactor
from lupis_instrument._redaction.names import NameList

KEY = "sk-" + "1234567890abcdef" * 2
REDACTORS = {mode: Redactor(mode) for mode in MODES}
REDACTOR = REDACTORS["mask"]
LEARNED = Redactor("mask")
NAMES = NameList()
modes = st.sampled_from(MODES)
# Fragments of texts that resemble secrets or hold some.
FRAGMENTS = [
    "password", "token", "api_key", "Authorization", "cookie", "ssn", "card number", "key", "=", ": ", ":", "'", '"',
    '\\"', "\\", "\\n", " ", "\n", "&", "?", "#", "%", "%3D", "%22", "://", "@", "u:p@h", "Bearer ", "Basic ", "sk-", "***",
    "[REDACTED]", "[HASHED]", "[HASH:2dd0e9d5]", "sk-1***5678", "{", "}", "[", "]", "(", ")", "<", ">", ",", ";", "--",
    "4111111111111111", "123-45-6789", "-----BEGIN PRIVATE KEY-----", "eyJ", ".", "\u0130", "\ud800", "é", "a", "0", "1" * 16,
    "abcdefgh", "A" * 30, "null", "curl -u ", "sig=", KEY, " is ", "->", ": |\n  ", " value=", "+", "--password", "\u200b", "\uff50",
    "auth=(", "$", "name", "self.", "pass", "pw", "(", "s3cr3t!", "identified by ", "-----END", "\r\n", "\x00", "\\u0041",
]  # fmt: skip
texts = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=4), max_size=14).map("".join)
passwords = st.text(
    string.ascii_letters + string.digits + "-_!$*+~^", min_size=10, max_size=30
).filter(lambda text: text[0].isalnum() and text[-1].isalnum())
NOTATIONS = [
    "password={}", "password: {}", "password: '{}'", 'password="{}"', '{{"password": "{}"}}', "{{'token': '{}'}}",
    '{{\\"secret\\": \\"{}\\"}}', "https://h/?token={}&x=1", "https://h/#access_token={}", "https://u:{}@h/x",
    "Cookie: sid={}; a=1", "Authorization: Bearer {}", "x-api-key: {}", "--token {}", "('x-api-key', '{}')",
    "<password>{}</password>", '{{"name": "api_key", "value": "{}"}}', "first\\npassword: {}", "PWD => '{}'",
    "params[password]={}", 'headers["authorization"] = "{}"', "password%3D{}%26x%3D1", "&quot;password&quot;:&quot;{}&quot;",
    'password: str = "{}"', "ALTER USER a WITH PASSWORD '{}'", "curl -u me:{} https://h/", "API key: {}",
]  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(texts, modes)
def test_redacting_twice_is_redacting_once(text, mode):
    """A redacted text is not changed by a second redaction."""
    once = REDACTORS[mode].redact_text(text)
    assert REDACTORS[mode].redact_text(once) == once


@settings(deadline=None, max_examples=200)
@given(texts, st.sampled_from(["password", "token", "http.request.header.cookie", "note"]), modes)
def test_redacting_attributes_twice_is_redacting_once(text, name, mode):
    """Redacted attributes are not changed by a second redaction."""
    once = REDACTORS[mode].redact_attributes({name: text, "list": [text, text]})
    assert REDACTORS[mode].redact_attributes(once) == once


@settings(deadline=None, max_examples=200)
@given(st.text())
def test_any_text_is_redacted_without_an_error(text):
    """An unchanged text is the same object."""
    shown = REDACTOR.redact_text(text)
    assert shown is text or shown != text


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=12,
    )
)
def test_any_json_data_is_redacted_without_an_error(data):
    """Data that JSON can hold is never replaced as a whole."""
    assert REDACTOR.redact_data({"x": data}) != "[REDACTED]"


@pytest.mark.parametrize("notation", NOTATIONS)
@settings(deadline=None, max_examples=25)
@given(password=passwords, mode=modes)
def test_password_is_redacted_in_each_notation(notation, password, mode):
    """No mode shows a password that is assigned in one of these notations."""
    assume(password not in notation)
    assume(not NAMES.names_key_kind(password))  # "API key: PrivateKey" names the kind of key
    shown = REDACTORS[mode].redact_text(notation.format(password))
    assert password not in shown


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from([text for rule in RULES for text in rule.examples if not rule.lowercase]),
    st.sampled_from(["{}", "x {} y", "a={}", "[{}]", '"{}"', "\\n{}", "%20{}"]),
    modes,
)
def test_key_is_redacted_in_each_frame(example, frame, mode):
    """No mode shows a rule's example, whatever surrounds it."""
    assert example not in REDACTORS[mode].redact_text(frame.format(example))


@given(st.text(string.ascii_lowercase + " .", max_size=60))
def test_plain_words_are_the_same_object(text):
    """A text of plain words is returned as it is."""
    assert REDACTOR.redact_text(text) is text


@pytest.mark.parametrize("key", [KEY, "password=s3cr3t&x=1"])
def test_percent_encoded_secret(key):
    """A secret is found though parts of it are percent-encoded, once or twice."""
    once = quote(key, safe="")
    hidden = "s3cr3t" if "s3cr3t" in key else KEY[8:-8]
    assert hidden not in REDACTORS["remove"].redact_text(f"https://h/?u={once}")
    assert hidden not in REDACTORS["remove"].redact_text(f"https://h/?u={quote(once)}")
    assert hidden not in REDACTORS["remove"].redact_text(f"https://h/?u={key.replace('-', '%2D')}")


@pytest.mark.parametrize(
    "before",
    [
        "\\n",
        "\\t",
        "\\x1b[31m",
        "\x1b[1;31m",
        "\\u001b[0m",
        "%0A",
        "%E4%BD%A0",
        "\\u00e4",
        "\\u0026",
        "&quot;",
        "\\x4c",
        "%51",
        "%2551",
        "\\u0041",
        "\\U2D20",
        "\\U0001F600",
        "\\u{1F600}",
        "\\263",
        "\\0",
        "&#65;",
        "&#8212;",
    ],
)
def test_escape_before_a_key(before):
    """An escape whose last character is a letter or digit doesn't hide where a key begins."""
    assert KEY not in REDACTORS["remove"].redact_text(f"key is{before}{KEY}")


def test_key_with_an_invisible_character():
    """Both halves of a key are redacted when an invisible character separates them."""
    for invisible in ("\u200b", "\u200e", "\u2063", "\ufe0f", "\x00"):
        shown = REDACTORS["remove"].redact_text(f"key {KEY[:20]}{invisible}{KEY[20:]}")
        assert "key [REDACTED]" == shown


def test_private_key_in_several_literals():
    """A PEM key that source code concatenates is redacted to its end."""
    lines = [
        "-----BEGIN EC PRIVATE KEY-----",
        "MHcCAQEEIIrYSSNQFaA2",
        "-----END EC PRIVATE KEY-----",
    ]
    shown = REDACTORS["remove"].redact_text(
        "pem = " + " \\\n + ".join(f'"{line}"' for line in lines)
    )
    assert "IrYSSNQFaA2" not in shown


def test_json_inside_json():
    """JSON as a string in JSON keeps its syntax and loses its secrets."""
    text = json.dumps({"body": json.dumps({"password": 'a"b\\c', "n": 1}), "ok": True})
    shown = json.loads(REDACTOR.redact_text(text))
    assert {"password": "***", "n": 1} == json.loads(shown["body"])


def test_attribute_lists():
    """Lists and tuples of strings are redacted item by item and keep their type."""
    assert REDACTOR.redact_attribute("note", ["a", KEY]) == ["a", "sk-1***cdef"]
    assert REDACTOR.redact_attribute("note", ("a", KEY)) == ("a", "sk-1***cdef")
    assert REDACTOR.redact_attribute("cookie", ("a=1", "b=2")) == ("***", "***")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["tool", "--password", "hunter2", "-v"], ["tool", "--password", "***", "-v"]),
        (("curl", "-s", "-u", "me:hunter2", "h"), ("curl", "-s", "-u", "me:***", "h")),
        (["-p", "8080", "--token", "abc def9"], ["-p", "8080", "--token", "***"]),
        (["--token", 5, "x1y2z3"], ["--token", 5, "x1y2z3"]),
        (["-H", "Cookie: a=b", "h"], ["-H", "Cookie: ***", "h"]),
        (["sort", "--key", "2"], ["sort", "--key", "2"]),
    ],
)
def test_arguments_of_a_command(arguments, shown):
    """In a list of arguments, the value of an option is the next argument."""
    once = REDACTOR.redact_attributes({"process.command_args": arguments})["process.command_args"]
    assert (shown, shown) == (once, REDACTOR.redact_attribute("process.command_args", once))
    assert type(arguments) is type(once)


@pytest.mark.parametrize("header", ["x-auth", "x-csrf", "x-jwt", "x-twilio-signature"])
def test_words_that_hide_in_headers_only(header):
    """Words such as auth and signature make a header secret, but no other attribute."""
    shown = REDACTOR.redact_attributes(
        {f"http.request.header.{header}": ["hunter2"], header: "hunter2"}
    )
    assert {f"http.request.header.{header}": ["***"], header: "hunter2"} == shown


def test_attributes_of_a_span():
    """Attributes are redacted by name or by value; the others keep their objects."""
    reasons = ["stop"]
    attributes = {
        "gen_ai.usage.input_tokens": 12, "http.request.header.authorization": (f"Bearer {KEY}",), "url.full": f"https://h/?k={KEY}",
        "finish": reasons, "flag": True, "cost": 0.1, "card": 4111111111111111, "none": None,
    }  # fmt: skip
    shown = REDACTOR.redact_attributes(attributes)
    assert shown["finish"] is reasons
    assert {
        **attributes,
        "http.request.header.authorization": ("Bear***cdef",),
        "url.full": "https://h/?k=sk-1***cdef",
        "card": "4111***1111",
    } == shown


@pytest.mark.parametrize(
    "value",
    [[1, KEY], (None, KEY), [["x"], KEY], [{"k": KEY}], {"k": KEY}, b"x " + KEY.encode(), {KEY}],
)
def test_mixed_values_are_redacted(value):
    """Values that OpenTelemetry does not allow are redacted like others."""
    assert KEY not in repr(REDACTOR.redact_attributes({"note": value, "ok": "yes"}))


CUSTOM_REDACTOR = Redactor("remove", patterns=[r"EMP\d{6}", "[Xx]-[0-9]{3}"])


def test_attributes_are_redacted_like_single_values():
    """Many values at once give the same result as each value alone, custom patterns included."""
    custom = CUSTOM_REDACTOR

    def check(text):
        attributes = {"a": "plain", "b": text, "c": ["x", text], "d": "EMP123456", "e": "x-123"}
        redacted = custom.redact_attributes(attributes)
        assert {
            name: custom.redact_attribute(name, value) for name, value in attributes.items()
        } == redacted
        assert redacted["d"] == redacted["e"] == "[REDACTED]"

    check_rows(check, sorted({text for rule in RULES for text in rule.examples}))


def test_secret_in_an_attribute_name():
    """A secret in an attribute's name is hidden."""
    assert {"note sk-1***cdef": 1} == REDACTOR.redact_attributes({f"note {KEY}": 1})


def test_key_behind_a_carrier_prefix():
    """A key that must not be part of a longer name is found behind a carrier prefix."""
    key = "7hQ2mZx9Kp4LwR.atlasv1." + "a1" * 30
    assert {"lupis.metadata.7hQ2***a1a1": 1} == REDACTOR.redact_attributes(
        {f"lupis.metadata.{key}": 1}
    )


@pytest.mark.parametrize(
    "key", ["AIza" + "Sy7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eU", "AKIA" + "K7Q2MZX9P4LWR8ST"]
)
def test_key_as_the_name_of_a_header(key):
    """A random piece of a header's name is redacted, because spans hold these in lower case."""
    name = f"http.request.header.x-{key.lower()}"
    assert key.lower()[4:-4] not in repr(REDACTOR.redact_attributes({name: ["1"]}))
    digest = "http.request.header.x-amz-server-side-encryption-customer-key-md5"
    assert {digest: ["1"]} == REDACTOR.redact_attributes({digest: ["1"]})


def test_name_is_explained_by_its_rule():
    """A name that hides nothing has no rule."""
    assert "name:api key" == REDACTOR.explain_name("http.request.header.x-api-key")
    assert REDACTOR.explain_name("gen_ai.usage.input_tokens") is None


def test_known_clean_value_under_a_hiding_name():
    """A value that was clean under one name is redacted under a name that hides it."""
    redactor = Redactor()
    assert redactor.redact_attributes({"note": "hunter2"}) == {"note": "hunter2"}
    assert redactor.redact_attributes({"password": "hunter2"}) == {"password": "***"}


def test_attributes_that_are_kept_hold_no_secret():
    """Only attributes that are shown as they are stay in memory."""
    redactor = Redactor()
    key = f"sk-{'a1B2' * 10}"
    clean = {"url.path": "/v1", "http.request.header.accept": ("*/*",)}
    secret = {"note": f"key {key}", "password": "hunter2", "list": ("a", key), key: "x"}
    for _ in "12":
        redactor.redact_attributes({**clean, **secret})
    assert set(clean.items()) == redactor._clean_pairs


def test_few_attributes_are_kept():
    """A program with ever new values takes a limited amount of memory."""
    redactor = Redactor()
    for number in range(3000):
        redactor.redact_attributes({"url.path": f"/orders/{number}", "url.query": "x" * 1000})
    assert len(redactor._clean_pairs) <= 1025
    assert ("url.query", "x" * 1000) not in redactor._clean_pairs
    redactor.redact_attributes({"n" * 1000: "x", "k": ("",) * 1000})
    assert not {"n" * 1000, "k"} & {name for name, _ in redactor._clean_pairs}
    assert "n" * 1000 not in redactor._known_names


def test_attributes_without_a_hash_are_redacted():
    """Lists, and tuples of lists, are redacted like other values."""
    attributes = {"clean": ["a"], "notes": (["password=hunter2"],), "plain": "a"}
    redacted = {"clean": ["a"], "notes": (["password=***"],), "plain": "a"}
    redactor = Redactor()
    assert [redacted] * 2 == [redactor.redact_attributes(attributes) for _ in "12"]


def test_nested_data():
    """Keys and values of nested data are redacted; a name hides everything below it."""
    shown = REDACTOR.redact_data(
        {
            "a": [{"password": "x", "n": 1}, ("t", KEY)],
            f"k {KEY}": {"token": {"b": ["c", 5]}},
            7: KEY,
        }
    )
    assert {
        "a": [{"password": "***", "n": 1}, ("t", "sk-1***cdef")],
        "k sk-1***cdef": {"token": {"b": ["***", 5]}},
        7: "sk-1***cdef",
    } == shown


def test_deep_data():
    """Data nested more than 32 levels deep becomes a marker."""
    data: list[object] = [KEY]
    for _ in range(10_000):
        data = [data]
    shown = repr(REDACTOR.redact_data(data))
    assert "[TOO DEEP]" in shown
    assert KEY not in shown


def test_cyclic_data():
    """A mapping that contains itself becomes a marker."""
    data: dict[str, object] = {"a": 1}
    data["self"] = data
    assert {"a": 1, "self": "[CYCLE]"} == REDACTOR.redact_data(data)


def test_bytes_and_objects():
    """Bytes and other objects are redacted as text."""
    assert REDACTOR.redact_data(b"plain") == b"plain"
    assert REDACTOR.redact_data(KEY.encode()) == "sk-1***cdef"
    assert REDACTOR.redact_data({"e": ValueError(f"key {KEY}")}) == {"e": "key sk-1***cdef"}


class Broken:
    """An object whose methods all raise an error."""

    def __str__(self) -> str:
        raise RuntimeError("broken")

    __repr__ = __iter__ = __len__ = items = __getitem__ = __str__


def test_data_that_raises_an_error_is_dropped():
    """A value that cannot be redacted is never exported, and no error is raised."""
    assert REDACTOR.redact_data(Broken()) == "[REDACTED]"
    assert REDACTOR.redact_attribute("note", Broken()) == "[REDACTED]"
    assert REDACTOR.redact_text(Broken()) == "[REDACTED]"
    assert REDACTOR.redact_attributes(Broken()) == {}
    assert REDACTOR.redact_attributes({"note": Broken(), "ok": "yes"}) == {
        "note": "[REDACTED]",
        "ok": "yes",
    }


def test_explanation_of_a_text():
    """An explanation gives the rule and the position of each secret."""
    assert [
        Redaction("name:password", 9, 10),
        Redaction("sk-key", 11, 11 + len(KEY)),
    ] == REDACTOR.explain_text(f"password=x {KEY}")
    assert REDACTOR.explain_text("nothing here") == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("password=hunter22", "name:password"),
        ("dbpassword: hunter22", "name:password"),
        ("api_key=abcdefgh", "name:api key"),
        ("SMTP_PASS=x7", "name:smtp pass"),
        ('{"refresh_token": "abcdefgh"}', "name:refresh token"),
        ("Authorization: abcdefgh", "name:authorization"),
        ("credit-card: 1234", "name:credit card"),
    ],
)
def test_explanation_gives_the_listed_name(text, rule):
    """The rule of a value that its name hides is the name in the list of names."""
    assert [rule] == [redaction.rule for redaction in REDACTOR.explain_text(text)]


def test_explanation_of_a_name_raises_no_error():
    """A name that cannot be read has an explanation that says so."""
    assert REDACTOR.explain_name(Broken()) == "failed"
    assert REDACTOR.explain_name(["password"]) == "failed"


def test_key_of_fifteen_characters_before_a_sign():
    """A Salesforce session id begins with a run that is shorter than most keys."""
    session = "00D" + "q7bJe9NlaI57" + "!" + "a1" * 20
    assert "session 00Dq***a1a1" == REDACTOR.redact_text(f"session {session}")


def test_value_assigned_to_a_list_element():
    """PHP and form fields assign to ``name[]``."""
    assert "apikey[]='***'" == REDACTOR.redact_text("apikey[]='hunter2'")


HOSTILE = [
    "a",
    "eyJ",
    "-eyJ",
    "sk-",
    "token ",
    "password=",
    'password="',
    "token='\\",
    "://a:",
    "-----BEGIN PRIVATE KEY-----",
    "%25",
    "%",
    "\\",
    '\\\\"',
    "4111 ",
    "4" * 15 + " ",
    "AKIA",
    "key=",
    "curl -u ",
    "{",
    "cookie: {",
    "&amp;",
    "Bearer ",
    "sig=",
    "api key ",
    "secret[",
    "--token ",
    "x.y-",
    "--token\n",
    "pass->",
    "pw={",
    "token={",
    "password=a.b(",
    "password=password)",
    "pass is ",
    "eyJ.eyJ.",
    "sk-sk-sk-",
    "0000-",
    "\u200b",
    "curl -u a:",
    "NRAL",
    "%41",
    "\\u0041",
    "&#65;",
    "\x00",
    "a\u0430",
    "\u201d:",
    "k",
    "c",
    '-----BEGIN PRIVATE KEY-----"\n"',
    "password for a: ",
    "authorization: basic {a(",
    "$6$a$",
    "A" * 21 + " ",
    "1" * 17 + "e ",
]


@pytest.mark.parametrize("part", slow_except(HOSTILE[::9], HOSTILE))
def test_time_grows_linearly(part):
    """Sixteen times the text takes far less than 256 times the time."""
    import time

    def seconds(text: str) -> float:
        start = time.process_time()
        REDACTOR.redact_text(text)
        return time.process_time() - start

    short, long = part * (4_000 // len(part)), part * (64_000 // len(part))
    seconds(short)
    assert min(seconds(long) for _ in range(2)) < 128 * max(seconds(short), 0.002)


@given(st.lists(texts, max_size=4))
def test_learned_texts_are_redacted_as_others(given_texts):
    """The texts of many spans are looked at together, and each is redacted by itself later."""
    LEARNED.learn_texts(given_texts)
    for text in given_texts:
        assert REDACTOR._engine.redact_text(text) == LEARNED.redact_text(text)


def test_texts_that_cannot_be_learned_are_redacted_later(monkeypatch):
    """A fault of the prefilter costs time only."""
    redactor = Redactor()
    monkeypatch.setattr(redactor._engine, "prefilter_texts", lambda texts: texts.no_attribute)
    redactor.learn_texts([KEY])
    assert KEY not in redactor.redact_text(KEY)
