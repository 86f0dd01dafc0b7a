"""`lupis redact` shows what would leave the process, and why, without showing what is hidden."""

import inspect
import json

import pytest
from click.testing import CliRunner

from lupis_instrument._cli.lupis.commands import lupis
from lupis_instrument._cli.lupis.redact import find_redactions, redact_text
from lupis_instrument._redaction import RULES, Redactor

# Before 8.2, click mixed the two outputs unless told not to.
SEPARATELY = (
    {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
)

KEY = "sk-" + "1234567890abcdef" * 3
EXAMPLES = [(rule.id, rule.examples[0]) for rule in RULES]
REDACTOR = Redactor()


def run(*arguments, given="", env=None):
    """Runs the command on a text as standard input."""
    variables = {"LUPIS_REDACTION_MODE": None, "LUPIS_SENSITIVE_DATA_PATTERNS": None, **(env or {})}
    return CliRunner(**SEPARATELY).invoke(lupis, ["redact", *arguments], input=given, env=variables)


def test_text_is_written_without_its_secrets():
    """All else stands as it stood, the last line without an end too."""
    assert "a\n  use sk-1***cdef, b" == run(given=f"a\n  use {KEY}, b").output


def test_file_is_read(tmp_path):
    """As well as standard input."""
    file = tmp_path / "log.txt"
    file.write_text("password=hunter22 für Jörg\n", encoding="utf-8")
    assert "password=*** für Jörg\n" == run(str(file)).output


def test_bytes_that_are_no_utf_8_pass():
    """A log may hold anything."""
    done = run(given=b"\xff password=hunter22 \xfe")
    assert b"\xff password=*** \xfe" == done.stdout_bytes


def test_json_is_filtered_by_its_names():
    """As the properties of an event are: numbers and nested values too; JSON stays JSON."""
    data = {"cvv": 123, "api_key": {"old": ["a", "b"]}, "input_tokens": 12, "note": f"x {KEY}"}
    shown = {
        "cvv": "***",
        "api_key": {"old": ["***", "***"]},
        "input_tokens": 12,
        "note": "x sk-1***cdef",
    }
    assert shown == json.loads(run(given=json.dumps(data)).output)


@pytest.mark.parametrize("text", ["3", '"x"', "null", "{", "NaN"])
def test_what_is_no_object_or_list_is_text(text):
    """It stands as it stood."""
    assert text == run(given=text).output


def test_mode_and_patterns_are_options():
    """They add to the variables, or stand for them."""
    env = {"LUPIS_REDACTION_MODE": "remove", "LUPIS_SENSITIVE_DATA_PATTERNS": "pet"}
    given = "pet=rex plate=ABC-123 password=x1"
    both = run("--pattern", "plate", given=given, env=env)
    assert "pet=[REDACTED] plate=[REDACTED] password=[REDACTED]" == both.output
    assert (
        "pet=*** plate=ABC-123 password=***" == run("--mode", "mask", given=given, env=env).output
    )


def test_hash_key_is_the_variables():
    """So that hashes are those that leave the process."""
    env = {"LUPIS_REDACTION_MODE": "hash", "LUPIS_HASH_KEY": "k"}
    assert Redactor("hash", hash_key="k").redact_text(KEY) == run(given=KEY, env=env).output


def test_wrong_pattern_is_refused():
    """With what is wrong with it."""
    done = run("--pattern", "(a+)+b")
    assert 2 == done.exit_code
    assert "could stall the program" in done.stderr


def test_wrong_variable_is_said_without_its_value():
    """On stderr, and a key that went there by mistake is not shown."""
    done = run(given="x", env={"LUPIS_REDACTION_MODE": KEY})
    assert "x" == done.stdout
    assert "LUPIS_REDACTION_MODE" in done.stderr
    assert KEY[5:] not in done.stderr


def test_filter_that_is_off_is_said():
    """Else one would believe that secrets don't leave."""
    done = run(given="x", env={"LUPIS_FILTER_SENSITIVE_DATA": "false"})
    assert "unfiltered" in done.stderr


def test_explanation_names_place_rule_and_reason():
    """Line and column are counted from 1."""
    done = run("--explain", given=f"a\n  use {KEY}")
    assert done.output.split()[:4] == ["2:7", "sk-key", "51", "characters"]
    assert "API keys of OpenAI" in done.output


def test_explanation_of_nothing():
    """Says so."""
    assert "Nothing is hidden.\n" == run("--explain", given="a text").output


@pytest.mark.parametrize(("rule", "text"), EXAMPLES)
def test_explanation_never_shows_the_secret(rule, text):
    """Of no rule; and there is one for each."""
    done = run("--explain", given=text)
    hidden = [text[hit.start : hit.end] for hit in REDACTOR.explain_text(text)]
    assert hidden
    assert [] == [secret for secret in hidden if secret in done.output]


def test_places_in_json_are_those_in_the_file():
    """Of names, of values that a name hides, of secrets within a text, of numbers."""
    text = f'{{"{KEY}": 1,\n "token": ["ab",\n  {{"c": "de"}}], "n": "x {KEY}", "k": 4111111111111111}}'
    found = [(each.line, each.column, each.rule) for each in find_redactions(text, REDACTOR)]
    assert [
        (1, 3, "sk-key"),
        (2, 12, "name:token"),
        (3, 9, "name:token"),
        (3, 25, "sk-key"),
        (3, 84, "card-number"),
    ] == found


def test_escaped_text_in_json_is_found_as_a_whole():
    """Its characters don't stand one for one in the file."""
    text = json.dumps([f"\u00e4\n{KEY}"])
    (found,) = find_redactions(text, REDACTOR)
    assert (1, 2, len(text) - 2, "sk-key") == found


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
def test_what_is_explained_is_what_is_hidden(data):
    """In JSON there is an explanation exactly when something changes."""
    text = json.dumps(data)
    changed = json.loads(redact_text(text, REDACTOR)) != data
    assert changed == bool(list(find_redactions(text, REDACTOR)))
