"""The table of settings and the reading of an environment by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lupis_instrument._config import settings as _settings
from lupis_instrument._config.setting import hide_password
from lupis_instrument._config.value_types import WrongValue

SECRET = "s3cr3t-value"
HERE = Path(_settings.__file__).parents[2]


def read(environ, **kwargs):
    return _settings.read(environ, **{"lenient": False, **kwargs})


def messages(reading):
    return [str(problem) for problem in reading.problems]


def refuse_brackets(item):
    if "(" in item:
        raise ValueError(f"{item!r}: a bracket")


def test_imports_nothing_that_python_has_not_loaded_itself():
    """The bootstrap imports the table at every interpreter start: it must bring nothing along."""
    program = (
        "import sys, __future__; before = set(sys.modules)\n"
        "import lupis_instrument._config.settings\n"
        "loaded = set(sys.modules) - before\n"
        "print(sorted(name for name in loaded if not name.startswith('lupis_instrument')))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=HERE,
    )
    assert "[]" == done.stdout.strip()


def test_an_empty_environment_gives_every_default():
    """Nobody set anything: each row's default, from the source `default`, and no problem."""
    reading = read({})
    assert {row.name: row.default for row in _settings.SETTINGS} == reading.values
    assert {"default"} == set(reading.sources.values())
    assert [] == reading.problems


def test_no_two_rows_share_a_variable():
    """A variable means one thing."""
    variables = [name for row in _settings.SETTINGS for name in (row.variable, *row.aliases)]
    assert len(set(variables)) == len(variables)


@pytest.mark.parametrize("row", _settings.SETTINGS, ids=lambda row: row.name)
def test_defaults_and_safe_values_are_valid(row):
    """What we fall back to would itself be accepted."""
    for value in (row.default, row.safe):
        if value is not None:
            assert value == row.interpret(value)


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("LUPIS_PROJECT_ID", "shop", "project_id", "shop"),
        ("LUPIS_API_KEY", SECRET, "api_key", SECRET),
        ("LUPIS_ENABLED", "off", "enabled", False),
        ("LUPIS_SDK_ENABLED", "FALSE", "enabled", False),
        ("LUPIS_SERVICE_NAME", " my agent ", "service_name", "my agent"),
        ("LUPIS_EXPORTER", "Console", "exporter", "console"),
        ("LUPIS_OTLP_HEADERS", "A=1, b=x=y", "otlp_headers", {"a": "1", "b": "x=y"}),
        ("LUPIS_OTLP_HEADERS", "a=b%2Cc%25", "otlp_headers", {"a": "b,c%"}),
        ("LUPIS_SENSITIVE_DATA_PATTERNS", "a,b\n\nc", "sensitive_data_patterns", ("a,b", "c")),
        ("LUPIS_SENSITIVE_DATA_PATTERNS", '["a", "b,c"]', "sensitive_data_patterns", ("a", "b,c")),
        ("LUPIS_SENSITIVE_DATA_PATTERNS", "[a-z]{40}", "sensitive_data_patterns", ("[a-z]{40}",)),
        ("LUPIS_REDACTION_MODE", "HASH", "redaction_mode", "hash"),
        ("LUPIS_CAPTURE_HEADERS", "all", "capture_headers", ("*",)),
        ("LUPIS_CAPTURE_HEADERS", "None", "capture_headers", ()),
        ("LUPIS_CAPTURE_HEADERS", "x-*, date", "capture_headers", ("x-*", "date")),
        ("LUPIS_PROPAGATE_TO", "private,*.corp", "propagate_to", ("private", "*.corp")),
        ("LUPIS_INSTRUMENT", "HTTPX, http.client", "instrument", ("httpx", "http.client")),
        ("LUPIS_INSTRUMENT", "all", "instrument", ()),
        ("LUPIS_EXCLUDED_URLS", "health,/x.*", "excluded_urls", ("health", "/x.*")),
        ("LUPIS_EXCLUDED_URLS", '["a{1,2}"]', "excluded_urls", ("a{1,2}",)),
        ("LUPIS_EXCLUDED_URLS", "[a-z]+/x", "excluded_urls", ("[a-z]+/x",)),
        ("LUPIS_PROVIDER_HOSTS", "h:8443=openai", "provider_hosts", {"h:8443": "openai"}),
        ("LUPIS_PROVIDER_HOSTS", "[::1]:80=x", "provider_hosts", {"[::1]:80": "x"}),
        ("LUPIS_SUMMARY", "auto", "summary", None),
        ("LUPIS_SUMMARY", "yes", "summary", True),
        ("LUPIS_SHUTDOWN_TIMEOUT", "0.5", "shutdown_timeout", 0.5),
        ("LUPIS_CHAT_ID", "chat-1", "chat_id", "chat-1"),
        ("LUPIS_INSTRUMENT_CHILDREN", "0", "instrument_children", False),
        ("LUPIS_LOG_LEVEL", "DEBUG", "log_level", "debug"),
    ],
)
def test_a_variable_sets_its_value(variable, text, name, value):
    """The text is read by the row's kind, and the variable named as the source."""
    reading = read({variable: text})
    assert (value, variable) == (reading.values[name], reading.sources[name])
    assert {name} == reading.given
    assert [] == reading.errors


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_not_set(text):
    """Empty counts as unset, as it does for OTEL_* variables."""
    reading = read({"LUPIS_SERVICE_NAME": text, "OTEL_SERVICE_NAME": text})
    assert ("lupis-sdk", "default") == (
        reading.values["service_name"],
        reading.sources["service_name"],
    )


def test_the_variable_wins_over_its_alias():
    """LUPIS_ENABLED is asked before LUPIS_SDK_ENABLED."""
    assert read({"LUPIS_ENABLED": "true", "LUPIS_SDK_ENABLED": "false"}).values["enabled"] is True


@pytest.mark.parametrize(
    ("environ", "name", "value", "source"),
    [
        ({"OTEL_SERVICE_NAME": "a"}, "service_name", "a", "OTEL_SERVICE_NAME"),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "k=v,service.name=a%20b"},
            "service_name",
            "a b",
            "OTEL_RESOURCE_ATTRIBUTES",
        ),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.version=2"},
            "service_version",
            "2",
            "OTEL_RESOURCE_ATTRIBUTES",
        ),
        ({"OTEL_SDK_DISABLED": "True"}, "enabled", False, "OTEL_SDK_DISABLED"),
        ({"OTEL_SDK_DISABLED": "yes"}, "enabled", True, "default"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"},
            "otlp_endpoint",
            "http://c:4318/v1/traces",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t/x",
            },
            "otlp_endpoint",
            "http://t/x",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ),
        (
            {"OTEL_EXPORTER_OTLP_HEADERS": "a=b%20c"},
            "otlp_headers",
            {"a": "b c"},
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
    ],
)
def test_standard_variables_stand_below_ours(environ, name, value, source):
    """OTEL_* variables keep their meaning, but don't count as given by the operator."""
    reading = read(environ)
    assert (value, source) == (reading.values[name], reading.sources[name])
    assert set() == reading.given


def test_our_variable_wins_over_the_standard_one():
    """LUPIS_* says otherwise, so OTEL_* is not asked."""
    environ = {"LUPIS_SERVICE_NAME": "ours", "OTEL_SERVICE_NAME": "theirs"}
    assert "ours" == read(environ).values["service_name"]


def test_a_wrong_standard_variable_is_a_warning_and_ignored():
    """An endpoint without scheme, common with gRPC, must not stop the program."""
    reading = read({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"})
    assert [] == reading.errors
    assert "default" == reading.sources["otlp_endpoint"]
    assert ["OTEL_EXPORTER_OTLP_ENDPOINT"] == [p.variable for p in reading.warnings]


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        (
            "LUPIS_REDACTION_MODE",
            "masked",
            "LUPIS_REDACTION_MODE='masked': expected mask, remove or hash; did you mean 'mask'?",
        ),
        (
            "LUPIS_ENABLED",
            "flase",
            "LUPIS_ENABLED='flase': expected true or false; did you mean 'false'?",
        ),
        ("LUPIS_SUMMARY", "2", "LUPIS_SUMMARY='2': expected auto, true or false"),
        (
            "LUPIS_INSTRUMENT",
            "requests,htpx",
            (
                "LUPIS_INSTRUMENT='requests,htpx': 'htpx': expected requests, urllib3, http.client,"
                " httpx or aiohttp; did you mean 'httpx'?"
            ),
        ),
        (
            "LUPIS_OTLP_ENDPOINT",
            "localhost:4318",
            (
                "LUPIS_OTLP_ENDPOINT='localhost:4318': expected a full URL such as"
                " http://127.0.0.1:4318/v1/traces; did you mean 'http://localhost:4318'?"
            ),
        ),
        (
            "LUPIS_OTLP_ENDPOINT",
            "ftp://me:pw@host/x",
            (
                "LUPIS_OTLP_ENDPOINT='ftp://***@host/x': expected a full URL such as"
                " http://127.0.0.1:4318/v1/traces"
            ),
        ),
        (
            "LUPIS_SHUTDOWN_TIMEOUT",
            "-1",
            "LUPIS_SHUTDOWN_TIMEOUT='-1': expected seconds, 0 or more, such as 2.5",
        ),
        (
            "LUPIS_CAPTURE_HEADERS",
            "none,date",
            (
                "LUPIS_CAPTURE_HEADERS='none,date': expected 'none' to stand alone, or a list of names"
                " and globs"
            ),
        ),
        (
            "LUPIS_PROVIDER_HOSTS",
            "host",
            (
                "LUPIS_PROVIDER_HOSTS='host': expected host=provider pairs such as"
                " llm.corp.example:8443=openai"
            ),
        ),
    ],
)
def test_a_wrong_value_is_described(variable, text, message):
    """The variable, the value, what is valid and the nearest valid word."""
    reading = read({variable: text})
    assert [message] == messages(reading)
    assert [message] == [str(problem) for problem in reading.errors]


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LUPIS_OTLP_ENDPOINT", "http://"),
        ("LUPIS_OTLP_ENDPOINT", "http://host:99999/"),
        ("LUPIS_OTLP_ENDPOINT", "http://ho st/"),
        ("LUPIS_SHUTDOWN_TIMEOUT", "nan"),
        ("LUPIS_SHUTDOWN_TIMEOUT", "inf"),
        ("LUPIS_SHUTDOWN_TIMEOUT", "soon"),
        ("LUPIS_EXCLUDED_URLS", "ok,("),
        ("LUPIS_EXCLUDED_URLS", "[1]"),
        ("LUPIS_CHAT_ID", "two\nlines"),
        ("LUPIS_PROJECT_ID", "projekt-ä"),
        ("LUPIS_PROVIDER_HOSTS", "host=,x=y"),
        ("LUPIS_OTLP_HEADERS", "bad name=1"),
        ("LUPIS_OTLP_HEADERS", "a=%0D%0Ab"),
        ("LUPIS_DISABLED_INSTRUMENTATIONS", "all"),
    ],
)
def test_values_that_could_not_work_are_errors(variable, text):
    """Values that would break a request, a regular expression or a timer are refused."""
    assert [variable] == [problem.variable for problem in read({variable: text}).errors]


@pytest.mark.parametrize("text", [f"{SECRET}\n{SECRET}", f"{SECRET}-ä"])
@pytest.mark.parametrize("variable", ["LUPIS_API_KEY", "LUPIS_HASH_KEY", "LUPIS_OTLP_HEADERS"])
def test_a_secret_is_never_echoed(variable, text):
    """The message on a wrong secret has nothing of it."""
    shown = "".join(
        messages(read({variable: text})) + messages(read({variable: text}, lenient=True))
    )
    assert SECRET not in shown


def test_a_wrong_header_list_shows_no_header():
    """Headers hold tokens: the message names the variable alone."""
    reading = read({"LUPIS_OTLP_HEADERS": f"Authorization: {SECRET}"}, lenient=True)
    assert ["LUPIS_OTLP_HEADERS"] == [problem.variable for problem in reading.errors]
    assert SECRET not in messages(reading)[0]


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("LUPIS_REDACTION_MODE", "masked", "redaction_mode", "remove"),
        ("LUPIS_FILTER_SENSITIVE_DATA", "nope", "filter_sensitive_data", True),
        ("LUPIS_EXPORTER", "noen", "exporter", "local"),
        ("LUPIS_STORE_MAX_MB", "0", "store_max_mb", 256.0),
        ("LUPIS_CAPTURE_HEADERS", "all,none", "capture_headers", ()),
        ("LUPIS_PROPAGATE_TO", "all,none", "propagate_to", ()),
        ("LUPIS_PROPAGATE_TO", "none,a.corp", "propagate_to", ("a.corp",)),
        ("LUPIS_OTLP_HEADERS", "a=1,b", "otlp_headers", {"a": "1"}),
        ("LUPIS_INSTRUMENT", "httpx,htpx", "instrument", ("httpx",)),
        ("LUPIS_SHUTDOWN_TIMEOUT", "x", "shutdown_timeout", 3.0),
    ],
)
def test_after_a_wrong_value_the_safer_one_is_used(variable, text, name, value):
    """In the bootstrap the program runs on, and the message says with what."""
    reading = read({variable: text}, lenient=True)
    assert value == reading.values[name]
    assert f"going on with {_settings.BY_NAME[name].show(value)}" in messages(reading)[0]


def test_a_refused_item_keeps_the_others():
    """A broken custom pattern does not take the good ones along."""
    reading = read(
        {"LUPIS_SENSITIVE_DATA_PATTERNS": "good\n(bad\nfine"},
        lenient=True,
        item_checks={"sensitive_data_patterns": refuse_brackets},
    )
    assert ("good", "fine") == reading.values["sensitive_data_patterns"]
    assert "'(bad': a bracket" in messages(reading)[0]


def test_a_problem_names_the_option_that_set_the_variable():
    """The user wrote an option: the message and the source say so."""
    reading = read(
        {"LUPIS_REDACTION_MODE": "x"}, labels={"LUPIS_REDACTION_MODE": "--redaction-mode"}
    )
    assert messages(reading)[0].startswith("--redaction-mode='x': expected")
    assert "--redaction-mode" == reading.sources["redaction_mode"]


def test_a_long_value_is_cut_in_the_message():
    """A message stays one readable line."""
    assert len(messages(read({"LUPIS_REDACTION_MODE": "x" * 5000}))[0]) < 250


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("LUPIS_API_KYE", "LUPIS_API_KYE: no such setting; did you mean LUPIS_API_KEY?"),
        ("LUPIS_QQQ", "LUPIS_QQQ: no such setting"),
    ],
)
def test_an_unknown_variable_is_a_warning(variable, message):
    """It names the nearest known one, and not the value, which may be a mistyped secret."""
    reading = read({variable: SECRET})
    assert [message] == messages(reading)
    assert [] == reading.errors


@pytest.mark.parametrize(
    "variable", ["LUPIS_RUN_ID", "LUPIS_LAUNCHER_SITE", "LUPIS_TEST_CORPUS", "LUPINE", "PATH"]
)
def test_variables_that_are_no_settings_are_left_alone(variable):
    """What the launcher hands on, tests use, or others own is no mistake."""
    assert [] == read({variable: "x"}).problems


def test_unfiltered_telemetry_is_a_warning():
    """The user is told that secrets go out."""
    reading = read({"LUPIS_FILTER_SENSITIVE_DATA": "no"})
    assert ["LUPIS_FILTER_SENSITIVE_DATA=false: secrets in telemetry are not filtered"] == messages(
        reading
    )
    assert [] == reading.errors


@pytest.mark.parametrize(
    ("spans", "events"),
    [
        ("http://127.0.0.1:9009/api/traces", "http://127.0.0.1:9009/api/events"),
        ("https://c/otel/v1/traces/", "https://c/otel/v1/logs"),
        ("https://c/v1/traces?k=v", "https://c/v1/logs?k=v"),
        ("https://c/spans", None),
    ],
)
def test_the_events_endpoint_is_derived_from_that_for_spans(spans, events):
    """By the two rules of the table; no rule, no endpoint."""
    assert events == _settings.derive_events_endpoint(spans)


@pytest.mark.parametrize("row", _settings.SETTINGS, ids=lambda row: row.name)
def test_the_readme_table_has_every_setting(row):
    """One line a row, with variable, option, default and meaning."""
    lines = [
        line for line in _settings.settings_table().splitlines() if f"`{row.variable}`" in line
    ]
    assert 1 == len(lines)
    for part in (*row.aliases, row.option, row.default_shown, row.meaning):
        assert part in lines[0]
    assert row.in_config == (f"`{row.name}`" in lines[0].split(" | ")[2])


def test_the_module_prints_the_table():
    """`python -m lupis_instrument._config.settings` is what the README is made with."""
    done = subprocess.run(
        [sys.executable, "-m", "lupis_instrument._config.settings"],
        capture_output=True,
        check=True,
        cwd=HERE,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert _settings.settings_table() == done.stdout.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://host/x@y", "http://host/x@y"),
        ("http://me@host/", "http://***@host/"),
        ("https://me:pw@host:1/x", "https://***@host:1/x"),
        ("a@b", "a@b"),
    ],
)
def test_a_password_in_a_url_is_hidden(text, shown):
    """Only the part before the host, which may hold a password, is hidden."""
    assert shown == hide_password(text)


def test_a_set_secret_is_shown_as_stars():
    """`show` is for anyone's eyes."""
    row = _settings.BY_NAME["api_key"]
    assert ("***", "not set") == (row.show(SECRET), row.show(None))


@pytest.mark.parametrize("value", [1, None, b"true", "maybe"])
def test_only_a_bool_or_its_word_is_a_flag(value):
    """What code gives is checked like text."""
    with pytest.raises(WrongValue):
        _settings.BY_NAME["enabled"].interpret(value)


def test_the_table_of_the_defaults_survives_being_spelt():
    """Each default, written as a variable, reads as itself."""
    for row in _settings.SETTINGS:
        if row.default:
            assert row.default == row.interpret(row.kind.spell(row.default))


def test_patterns_are_spelt_as_one_line():
    """One line fits every way of passing variables on."""
    spelt = _settings.BY_NAME["sensitive_data_patterns"].kind.spell(("a,b", "c"))
    assert ["a,b", "c"] == json.loads(spelt)
