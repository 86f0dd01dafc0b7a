"""`LupisConfig`: its fields, the checks of its values, and its precedence over variables."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lupis_instrument._config.config import LupisConfig, derive_events_endpoint, resolve_settings
from lupis_instrument._config.settings import SETTINGS
from lupis_instrument._config.value_types import (
    Choice,
    Flag,
    FlagOrWord,
    Items,
    Number,
    OptionalFlag,
    Pairs,
    Text,
)
from lupis_instrument.exceptions import LupisConfigError

SECRET = "s3cr3t-value"
FIELDS = [field.name for field in dataclasses.fields(LupisConfig)]


ROWS = [row for row in SETTINGS if row.in_config]
ANNOTATIONS = {
    FlagOrWord: "bool | str",
    Flag: "bool",
    OptionalFlag: "bool",
    Number: "float",
    Items: "Sequence[str]",
    Pairs: "Mapping[str, str]",
    Choice: "str",
    Text: "str",
}
"""By value type, the type of a field; the first that fits counts."""


def test_fields_are_those_of_the_table():
    """Each row of the table that asks for a field has one, in the table's order."""
    assert [row.name for row in ROWS] == FIELDS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_annotations_agree_with_the_table(row):
    """A field's annotation is the type of its row's values; None is added for a default of None."""
    kinds = [text for kind, text in ANNOTATIONS.items() if isinstance(row.value_type, kind)]
    optional = " | None" if row.default is None else ""
    assert LupisConfig.__annotations__[row.name] == kinds[0] + optional


def test_defaults_are_those_of_the_table():
    """A field that is left out has the default of its row; the project id has to be given."""
    config = LupisConfig("p")
    assert {row.name: row.default for row in ROWS} == {
        **{name: getattr(config, name) for name in FIELDS},
        "project_id": "default",
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_documentation_describes_every_field(row):
    """The class's docstring has the description and the default of each row."""
    text = inspect.getdoc(LupisConfig)
    assert f"\n    {row.name}: {row.description}" in text
    assert row.name == "project_id" or f" Default: {row.default_text}.\n" in f"{text}\n"


def test_signature_has_the_fields():
    """`help` and editors show each field with its default."""
    parameters = inspect.signature(LupisConfig).parameters
    assert FIELDS == list(parameters)
    assert "lupis-sdk" == parameters["service_name"].default


def test_project_id_is_required():
    """A configuration in code has to name its project."""
    with pytest.raises(TypeError):
        LupisConfig()
    with pytest.raises(LupisConfigError, match="project_id"):
        LupisConfig(project_id=None)
    with pytest.raises(LupisConfigError, match="project_id"):
        LupisConfig(project_id=" ")


def test_config_is_frozen():
    """No field can be set after construction."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        LupisConfig("p").enabled = False


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("redaction_mode", "masked", "redaction_mode='masked': expected mask, remove or hash; did"),
        ("enabled", 1, "enabled=1: expected true or false"),
        ("instrument", ["htpx"], "instrument=['htpx']: 'htpx': expected requests,"),
        ("shutdown_timeout", -1, "shutdown_timeout=-1: expected seconds"),
        ("shutdown_timeout", True, "shutdown_timeout=True: expected seconds"),
        ("otlp_headers", ["a"], "otlp_headers='***': expected name=value pairs"),
        ("otlp_headers", {"a": 1}, "otlp_headers='***': expected name=value pairs"),
        ("service_name", 3, "service_name=3: expected text"),
        ("excluded_urls", ["("], "excluded_urls=['(']: '(': expected a regular expression"),
        ("instrument", 3, "instrument=3: expected a list of texts"),
    ],
)
def test_invalid_value_is_refused(field, value, message):
    """The error names the field, the value and the valid values."""
    with pytest.raises(LupisConfigError) as caught:
        LupisConfig("p", **{field: value})
    assert message in str(caught.value)


def test_invalid_pattern_is_refused():
    """A pattern that the redaction cannot compile is refused."""
    with pytest.raises(LupisConfigError, match="sensitive_data_patterns"):
        LupisConfig("p", sensitive_data_patterns=["("])


def test_error_shows_no_secret():
    """The error about a wrong API key does not hold the key."""
    with pytest.raises(LupisConfigError) as caught:
        LupisConfig("p", api_key=f"{SECRET}\n{SECRET}")
    assert "api_key" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "given_value", "stored"),
    [
        ("enabled", "no", False),
        ("capture_headers", "none", ()),
        ("capture_headers", ["all"], ("*",)),
        ("instrument", ["httpx"], ("httpx",)),
        ("instrument", "httpx,requests", ("httpx", "requests")),
        ("otlp_headers", {"X-Team": "a"}, {"x-team": "a"}),
        ("shutdown_timeout", 2, 2.0),
        ("summary", "auto", None),
        ("service_name", None, "lupis-sdk"),
    ],
)
def test_values_are_stored_in_one_form(field, given_value, stored):
    """A value given as text, a list or another type is stored in the form of its value type."""
    assert stored == getattr(LupisConfig("p", **{field: given_value}), field)


def test_given_has_the_fields_that_were_set():
    """A field given as its default counts as given; a field given as None does not."""
    config = LupisConfig("p", service_name="lupis-sdk", api_key=None)
    assert {"project_id", "service_name"} == config.given


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_copy_is_equal(duplicate):
    """Copies and pickles keep the values and the names of the given fields."""
    config = LupisConfig("p", otlp_headers={"a": "b"})
    copied = duplicate(config)
    assert (config, config.given) == (copied, copied.given)


def test_headers_are_copied():
    """A dict that the program changes later does not change the configuration."""
    headers = {"a": "b"}
    config = LupisConfig("p", otlp_headers=headers)
    headers["c"] = "d"
    assert {"a": "b"} == config.otlp_headers
    assert LupisConfig("p").otlp_headers is not LupisConfig("p").otlp_headers


def test_config_can_be_hashed():
    """The hash leaves out headers, which are a dict."""
    assert 1 == len(
        {LupisConfig("p", otlp_headers={"a": "b"}), LupisConfig("p", otlp_headers={"a": "b"})}
    )


def test_repr_shows_no_secret():
    """The repr has the given fields, with secrets and passwords in URLs as `***`."""
    config = LupisConfig(
        "p",
        api_key=SECRET,
        hash_key=SECRET,
        otlp_headers={"a": SECRET},
        otlp_endpoint=f"http://me:{SECRET}@host/v1/traces",
    )
    assert (
        "LupisConfig(project_id='p', api_key=***, otlp_endpoint='http://***@host/v1/traces',"
        " otlp_headers=***, hash_key=***)"
    ) == repr(config)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "http://127.0.0.1:9009/api/events"),
        ({"otlp_endpoint": "http://c/v1/traces"}, "http://c/v1/logs"),
        ({"events_endpoint": "http://e/"}, "http://e/"),
        ({"otlp_endpoint": "http://c/"}, "http://c/v1/logs"),
        ({"otlp_endpoint": "http://c/spans"}, None),
        ({"events_endpoint": "none"}, None),
    ],
)
def test_events_url(fields, url):
    """`events_endpoint` takes precedence over the URL that belongs to `otlp_endpoint`."""
    assert url == LupisConfig("p", **fields).events_url


@pytest.mark.parametrize(
    ("spans", "events"),
    [
        ("http://127.0.0.1:9009/api/traces", "http://127.0.0.1:9009/api/events"),
        ("https://c/otel/v1/traces/", "https://c/otel/v1/logs"),
        ("https://c/v1/traces?k=v", "https://c/v1/logs?k=v"),
        ("https://c/spans", None),
    ],
)
def test_events_endpoint_is_derived(spans, events):
    """The two known paths for spans have one for events; another path has none."""
    assert events == derive_events_endpoint(spans)


def test_from_env_reads_variables():
    """`from_env` reads LUPIS_* and OTEL_* variables; a project that is not set is `default`."""
    config = LupisConfig.from_env({"LUPIS_ENABLED": "0", "OTEL_SERVICE_NAME": "a"})
    assert ("default", False, "a") == (config.project_id, config.enabled, config.service_name)


def test_from_env_reads_this_process(monkeypatch):
    """Without an argument, `from_env` reads `os.environ`."""
    monkeypatch.setenv("LUPIS_PROJECT_ID", "shop")
    assert "shop" == LupisConfig.from_env().project_id


def test_from_env_refuses_invalid_variables():
    """One error names every variable that is not valid."""
    with pytest.raises(LupisConfigError) as caught:
        LupisConfig.from_env({"LUPIS_ENABLED": "x", "LUPIS_EXPORTER": "y"})
    assert [
        "LUPIS_ENABLED",
        "LUPIS_EXPORTER",
    ] == [line.partition("=")[0] for line in str(caught.value).splitlines()]


def test_to_env_leaves_out_defaults():
    """`to_env` has a default only if the program gave it."""
    assert {
        "LUPIS_PROJECT_ID": "p",
        "LUPIS_REDACTION_MODE": "mask",
    } == LupisConfig("p", redaction_mode="mask").to_env()


WORDS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x2FF, exclude_categories=["Cc", "Zs", "Cs"]),
    min_size=1,
    max_size=12,
)
LINES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
ASCII = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
GLOBS = st.lists(st.from_regex(r"[a-z*][a-z.*?]{4,9}", fullmatch=True), max_size=3).map(tuple)
CLIENTS = st.sets(st.sampled_from(["requests", "httpx", "aiohttp"])).map(sorted).map(tuple)
CONFIGS = st.builds(
    LupisConfig,
    project_id=ASCII,
    api_key=st.none() | ASCII,
    enabled=st.booleans(),
    service_name=LINES,
    exporter=st.sampled_from(["otlp", "console", "none"]),
    otlp_headers=st.dictionaries(NAMES, LINES | st.just("a,b %"), max_size=3),
    redaction_mode=st.sampled_from(["mask", "remove", "hash"]),
    hash_key=st.none() | LINES,
    capture_headers=GLOBS | st.just(("*",)),
    propagate_to=GLOBS,
    instrument=CLIENTS,
    disabled_instrumentations=CLIENTS,
    excluded_urls=st.lists(st.sampled_from(["a", "b{1,2}", "[x]", '["a"]', "c d"])).map(tuple),
    provider_hosts=st.dictionaries(NAMES, NAMES, max_size=2),
    summary=st.none() | st.booleans(),
    shutdown_timeout=st.floats(0, 1e9),
)


@given(CONFIGS)
def test_from_env_reads_what_to_env_writes(config):
    """The variables of `to_env` give the same configuration."""
    assert config == LupisConfig.from_env(config.to_env())


def test_precedence_without_launcher():
    """Without `lupis-run`: the configuration, then LUPIS_*, then OTEL_*, then the default."""
    resolved = resolve_settings(
        {
            "LUPIS_SERVICE_NAME": "variable",
            "LUPIS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel",
        },
        LupisConfig("code", service_name="code"),
        launched=False,
    )
    assert ("code", "code", "none", "http://otel/v1/traces", "mask") == (
        resolved.config.project_id,
        resolved.config.service_name,
        resolved.config.exporter,
        resolved.config.otlp_endpoint,
        resolved.config.redaction_mode,
    )
    assert ("LupisConfig", "LUPIS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "default") == tuple(
        resolved.sources[name]
        for name in ("service_name", "exporter", "otlp_endpoint", "redaction_mode")
    )
    assert [] == resolved.ignored


def test_precedence_under_the_launcher():
    """Under `lupis-run`: LUPIS_*, then the configuration, whose ignored fields are listed."""
    resolved = resolve_settings(
        {"LUPIS_SERVICE_NAME": "variable", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel"},
        LupisConfig("code", service_name="code", otlp_endpoint="http://code/x"),
        launched=True,
    )
    assert ("code", "variable", "http://code/x") == (
        resolved.config.project_id,
        resolved.config.service_name,
        resolved.config.otlp_endpoint,
    )
    assert [
        (
            "LupisConfig(service_name='code') is ignored: LUPIS_SERVICE_NAME=variable comes first"
            " under lupis-run"
        )
    ] == resolved.ignored


def test_equal_values_are_not_ignored():
    """A field that equals its variable is not listed as ignored."""
    resolved = resolve_settings(
        {"LUPIS_REDACTION_MODE": "hash"}, LupisConfig("p", redaction_mode="hash"), launched=True
    )
    assert [] == resolved.ignored


def test_ignored_secret_is_not_shown():
    """The sentence about an ignored API key shows neither of the two keys."""
    resolved = resolve_settings(
        {"LUPIS_API_KEY": "other"}, LupisConfig("p", api_key=SECRET), launched=True
    )
    assert "other" == resolved.config.api_key
    assert 1 == len(resolved.ignored)
    assert SECRET not in resolved.ignored[0]
    assert "other" not in resolved.ignored[0]


@pytest.mark.parametrize("launched", [True, False])
def test_variables_apply_without_a_configuration(launched):
    """Variables set fields of the configuration, and settings that `LupisConfig` lacks."""
    resolved = resolve_settings(
        {"LUPIS_CHAT_ID": "c", "LUPIS_PROJECT_ID": "p"}, None, launched=launched
    )
    assert ("p", "c", "warning") == (
        resolved.config.project_id,
        resolved.values["chat_id"],
        resolved.values["log_level"],
    )


def test_invalid_variable_is_a_problem():
    """The program runs on with a safe value, and the problem is returned for a report."""
    resolved = resolve_settings(
        {"LUPIS_REDACTION_MODE": "masked"}, LupisConfig("p", redaction_mode="hash"), launched=True
    )
    assert "remove" == resolved.config.redaction_mode
    assert ["LUPIS_REDACTION_MODE"] == [problem.variable for problem in resolved.problems]


def test_invalid_pattern_is_a_problem():
    """A pattern that does not compile is a problem, and the valid one applies."""
    resolved = resolve_settings(
        {"LUPIS_SENSITIVE_DATA_PATTERNS": "my_key\n("}, None, launched=False
    )
    assert ("my_key",) == resolved.config.sensitive_data_patterns
    assert ["LUPIS_SENSITIVE_DATA_PATTERNS"] == [problem.variable for problem in resolved.problems]
