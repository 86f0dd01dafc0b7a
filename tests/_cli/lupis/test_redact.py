"""`lupis redact`: shows text after redaction, and explains it without showing secrets."""

import inspect
import json

import pytest
from click.testing import CliRunner
from servers.rows import check_rows

from lupis_instrument._cli.lupis.commands import lupis
from lupis_instrument._cli.lupis.redact import find_redactions, redact_text
from lupis_instrument._redaction import RULES, Redactor

# Before 8.2, click mixed the two outputs unless told not to.
SEPARATELY = (
    {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
)

KEY = "sk-" + "1234567890abcdef" * 3
EXAMPLES = [rule.examples[0] for rule in RULES]
REDACTOR = Redactor()


def run_redact(*arguments, stdin="", env=None):
    """Run the command with a text as standard input."""
    variables = {"LUPIS_REDACTION_MODE": None, "LUPIS_SENSITIVE_DATA_PATTERNS": None, **(env or {})}
    return CliRunner(**SEPARATELY).invoke(lupis, ["redact", *arguments], input=stdin, env=variables)


def test_text_is_written_without_its_secrets():
    """All other text stays as it is, even without a newline at its end."""
    assert "a\n  use sk-1***cdef, b" == run_redact(stdin=f"a\n  use {KEY}, b").output


def test_file_is_read(tmp_path):
    """A file may be given instead of standard input."""
    file = tmp_path / "log.txt"
    file.write_text("password=hunter22 für Jörg\n", encoding="utf-8")
    assert "password=*** für Jörg\n" == run_redact(str(file)).output


def test_invalid_utf_8_passes_unchanged():
    """A log may contain any bytes."""
    done = run_redact(stdin=b"\xff password=hunter22 \xfe")
    assert b"\xff password=*** \xfe" == done.stdout_bytes


def test_json_is_redacted_by_its_names():
    """Numbers and nested values are redacted as in the properties of an event."""
    data = {"cvv": 123, "api_key": {"old": ["a", "b"]}, "input_tokens": 12, "note": f"x {KEY}"}
    shown = {
        "cvv": "***",
        "api_key": {"old": ["***", "***"]},
        "input_tokens": 12,
        "note": "x sk-1***cdef",
    }
    assert shown == json.loads(run_redact(stdin=json.dumps(data)).output)


@pytest.mark.parametrize("text", ["3", '"x"', "null", "{", "NaN"])
def test_other_json_is_text(text):
    """Only objects and lists are treated as JSON."""
    assert text == run_redact(stdin=text).output


def test_mode_and_patterns_are_options():
    """A mode replaces the variable, and patterns add to it."""
    env = {"LUPIS_REDACTION_MODE": "remove", "LUPIS_SENSITIVE_DATA_PATTERNS": "pet"}
    stdin = "pet=rex plate=ABC-123 password=x1"
    both = run_redact("--pattern", "plate", stdin=stdin, env=env)
    assert "pet=[REDACTED] plate=[REDACTED] password=[REDACTED]" == both.output
    assert (
        "pet=*** plate=ABC-123 password=***"
        == run_redact("--mode", "mask", stdin=stdin, env=env).output
    )


def test_hash_key_comes_from_its_variable():
    """The hashes equal those that leave the process."""
    env = {"LUPIS_REDACTION_MODE": "hash", "LUPIS_HASH_KEY": "k"}
    assert Redactor("hash", hash_key="k").redact_text(KEY) == run_redact(stdin=KEY, env=env).output


def test_wrong_pattern_is_refused():
    """The message says why."""
    done = run_redact("--pattern", "(a+)+b")
    assert 2 == done.exit_code
    assert "could stall the program" in done.stderr


def test_wrong_variable_is_reported_without_its_value():
    """The value may be a key in the wrong variable."""
    done = run_redact(stdin="x", env={"LUPIS_REDACTION_MODE": KEY})
    assert "x" == done.stdout
    assert "LUPIS_REDACTION_MODE" in done.stderr
    assert KEY[5:] not in done.stderr


def test_switched_off_redaction_is_reported():
    """The output would suggest otherwise."""
    done = run_redact(stdin="x", env={"LUPIS_FILTER_SENSITIVE_DATA": "false"})
    assert "unfiltered" in done.stderr


def test_explanation_names_place_rule_and_reason():
    """Lines and columns are counted from 1."""
    done = run_redact("--explain", stdin=f"a\n  use {KEY}")
    assert done.output.split()[:4] == ["2:7", "sk-key", "51", "characters"]
    assert "API keys of OpenAI" in done.output


def test_text_without_secrets_has_no_explanation():
    """A sentence says that nothing is hidden."""
    assert "Nothing is hidden.\n" == run_redact("--explain", stdin="a text").output


def test_explanation_never_shows_the_secret():
    """This holds for every rule."""
    done = run_redact("--explain", stdin="\n\n".join(EXAMPLES))

    def check(text):
        hidden = [text[match.start : match.end] for match in REDACTOR.explain_text(text)]
        assert hidden
        assert [] == [secret for secret in hidden if secret in done.output]

    check_rows(check, EXAMPLES)
    assert 200 < done.output.count("\n")  # two examples side by side may be one secret


def test_places_in_json_are_places_in_the_file():
    """They are exact for names, values under a name, secrets inside strings, and numbers."""
    text = f'{{"{KEY}": 1,\n "token": ["ab",\n  {{"c": "de"}}], "n": "x {KEY}", "k": 4111111111111111}}'
    redactions = [
        (redaction.line, redaction.column, redaction.rule)
        for redaction in find_redactions(text, REDACTOR)
    ]
    assert [
        (1, 3, "sk-key"),
        (2, 12, "name:token"),
        (3, 9, "name:token"),
        (3, 25, "sk-key"),
        (3, 84, "card-number"),
    ] == redactions


def test_escaped_string_in_json_is_explained_as_a_whole():
    """Its characters have no equal places in the file."""
    text = json.dumps([f"\u00e4\n{KEY}"])
    (redaction,) = find_redactions(text, REDACTOR)
    assert (1, 2, len(text) - 2, "sk-key") == redaction


@pytest.mark.parametrize(
    "data",
    [
        {"a": {"b": [1, "x", None, True]}},
        {"password": None, "token": 12, "secrets": "", "api_keys": 3},
        {"password": "x", "cvc": 1, "deep": [{"authorization": {"x": ["y"]}}]},
        [f"password={KEY}", {"x": f"Bearer {KEY}"}],
        {"max_tokens": 5, "password_count": 3},
    ],
)
def test_explanations_match_the_redaction(data):
    """JSON has an explanation if and only if redaction changes it."""
    text = json.dumps(data)
    changed = json.loads(redact_text(text, REDACTOR)) != data
    assert changed == bool(list(find_redactions(text, REDACTOR)))


@pytest.mark.parametrize(
    ("data", "hidden", "rule"),
    [
        ('{"name": "api-key", "value": "pa55"}', '"pa55"', "name:api key"),
        ('{"value": "pa55", "name": "api-key"}', '"pa55"', "name:api key"),
        ('[["accept", "*/*"], ["Authorization", ["pa55"]]]', '"pa55"', "name:authorization"),
        ('{"headers": [{"name": "a", "value": "b"}], "token": "pa55"}', '"pa55"', "name:token"),
    ],
)
def test_value_named_by_a_structure_is_explained(data, hidden, rule):
    """An explanation lists a value that a pair or a field beside it names."""
    (redaction,) = find_redactions(data, REDACTOR)
    start = redaction.column - 1
    assert (hidden, rule) == (data[start : start + redaction.length], redaction.rule)
