"""Settings are read from LUPIS_* variables, then from OTEL_* ones, then from their defaults."""

from __future__ import annotations

import pytest

from lupis_instrument._config.environment import read_environment
from lupis_instrument._config.settings import BY_NAME, SETTINGS

SECRET = "s3cr3t-value"


def read(environ, *, lenient=False, labels=None):
    return read_environment(environ, lenient=lenient, labels=labels)


def messages(reading):
    return [str(problem) for problem in reading.problems]


def test_empty_environment_gives_every_default():
    """Without variables each setting has its default, from the source `default`."""
    reading = read({})
    assert {row.name: row.default for row in SETTINGS} == reading.values
    assert {"default"} == set(reading.sources.values())
    assert [] == reading.problems


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
def test_variable_sets_its_setting(variable, text, name, value):
    """The setting has the variable's value, and the variable as its source."""
    reading = read({variable: text})
    assert (value, variable) == (reading.values[name], reading.sources[name])
    assert {name} == reading.given
    assert [] == reading.errors


@pytest.mark.parametrize("text", ["", "  "])
def test_empty_variable_is_not_set(text):
    """A variable that is empty or blank leaves the default, as OpenTelemetry has it for its own."""
    reading = read({"LUPIS_SERVICE_NAME": text, "OTEL_SERVICE_NAME": text})
    assert ("lupis-sdk", "default") == (
        reading.values["service_name"],
        reading.sources["service_name"],
    )


def test_variable_takes_precedence_over_its_alias():
    """LUPIS_ENABLED overrides LUPIS_SDK_ENABLED."""
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
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t:4318"},
            "otlp_endpoint",
            "http://t:4318/v1/traces",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ),
        ({"OTEL_TRACES_EXPORTER": "None"}, "exporter", "none", "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "exporter", "console", "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, "exporter", "auto", "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "exporter", "auto", "default"),
        (
            {"OTEL_EXPORTER_OTLP_HEADERS": "a=b%20c"},
            "otlp_headers",
            {"a": "b c"},
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
    ],
)
def test_otel_variable_sets_a_setting(environ, name, value, source):
    """An OTEL_* variable applies where no LUPIS_* one is set, and does not count as given."""
    reading = read(environ)
    assert (value, source) == (reading.values[name], reading.sources[name])
    assert set() == reading.given


def test_lupis_variable_takes_precedence_over_otel():
    """LUPIS_SERVICE_NAME overrides OTEL_SERVICE_NAME."""
    environ = {"LUPIS_SERVICE_NAME": "lupis", "OTEL_SERVICE_NAME": "otel"}
    assert "lupis" == read(environ).values["service_name"]


@pytest.mark.parametrize(
    ("environ", "variables"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ["OTEL_EXPORTER_OTLP_PROTOCOL"]),
        (
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            [],
        ),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "LUPIS_OTLP_ENDPOINT": "http://l/x"}, []),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "LUPIS_EXPORTER": "local"}, []),
        ({}, []),
    ],
)
def test_another_protocol_than_http_is_a_warning(environ, variables):
    """Where spans go to the endpoint of the OTEL_* variables."""
    reading = read({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", **environ})
    assert variables == [problem.variable for problem in reading.warnings]
    assert all(str(problem).endswith("usually port 4318") for problem in reading.warnings)


def test_variables_from_the_launch_are_no_settings():
    """Processes of one launch hand them to each other."""
    assert [] == read({"LUPIS_LAUNCH_OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}).problems


def test_invalid_otel_variable_is_a_warning():
    """An endpoint without scheme, common with gRPC, is ignored and stops no program."""
    reading = read({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"})
    assert [] == reading.errors
    assert "default" == reading.sources["otlp_endpoint"]
    assert ["OTEL_EXPORTER_OTLP_ENDPOINT"] == [problem.variable for problem in reading.warnings]


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
                " httpx, aiohttp, websockets or websocket-client; did you mean 'httpx'?"
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
def test_invalid_value_is_described(variable, text, message):
    """The message has the variable, the value, the valid values, and the nearest valid word."""
    reading = read({variable: text})
    assert [message] == messages(reading)
    assert [message] == [str(problem) for problem in reading.errors]


@pytest.mark.parametrize("text", [f"{SECRET}\n{SECRET}", f"{SECRET}-ä"])
@pytest.mark.parametrize("variable", ["LUPIS_API_KEY", "LUPIS_HASH_KEY", "LUPIS_OTLP_HEADERS"])
@pytest.mark.parametrize("lenient", [True, False])
def test_message_shows_no_secret(variable, text, lenient):
    """The message about a wrong secret holds no part of it."""
    assert SECRET not in "".join(messages(read({variable: text}, lenient=lenient)))


def test_message_shows_no_header():
    """Headers hold tokens, so the message about a wrong list holds only the variable."""
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
def test_invalid_value_is_replaced_by_a_safe_one(variable, text, name, value):
    """A program that runs on uses the valid part, else the fallback, and the message names it."""
    reading = read({variable: text}, lenient=True)
    assert value == reading.values[name]
    assert f"going on with {BY_NAME[name].show_value(value)}" in messages(reading)[0]


def test_invalid_pattern_keeps_the_others():
    """A pattern that does not compile does not remove the valid ones."""
    reading = read({"LUPIS_SENSITIVE_DATA_PATTERNS": "good\n(bad\nfine"}, lenient=True)
    assert ("good", "fine") == reading.values["sensitive_data_patterns"]
    assert "(bad" in messages(reading)[0]


def test_problem_names_the_option():
    """Message and source name the option if an option has set the variable."""
    labels = {"LUPIS_REDACTION_MODE": "--redaction-mode"}
    reading = read({"LUPIS_REDACTION_MODE": "x"}, labels=labels)
    assert messages(reading)[0].startswith("--redaction-mode='x': expected")
    assert "--redaction-mode" == reading.sources["redaction_mode"]


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("LUPIS_API_KYE", "LUPIS_API_KYE: no such setting; did you mean LUPIS_API_KEY?"),
        ("LUPIS_QQQQQQQQ", "LUPIS_QQQQQQQQ: no such setting"),
    ],
)
def test_unknown_variable_is_a_warning(variable, message):
    """The warning names the nearest setting, and not the value, which may be a secret."""
    reading = read({variable: SECRET})
    assert [message] == messages(reading)
    assert [] == reading.errors


@pytest.mark.parametrize(
    "variable", ["LUPIS_RUN_ID", "LUPIS_LAUNCHER_SITE", "LUPIS_TEST_CORPUS", "LUPINE", "PATH"]
)
def test_variable_that_is_no_setting_is_ignored(variable):
    """Variables of the launcher, of tests and of other programs are no mistake."""
    assert [] == read({variable: "x"}).problems


def test_disabled_redaction_is_a_warning():
    """The user reads that secrets leave the process."""
    reading = read({"LUPIS_FILTER_SENSITIVE_DATA": "no"})
    message = "LUPIS_FILTER_SENSITIVE_DATA=false: secrets in telemetry are not filtered"
    assert [message] == messages(reading)
    assert [] == reading.errors
