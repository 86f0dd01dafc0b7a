"""`LupisConfig`, and who wins where several say something."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lupis_instrument._config import settings as _settings
from lupis_instrument._config.config import LupisConfig, resolve
from lupis_instrument.exceptions import LupisConfigError

SECRET = "s3cr3t-value"
FIELDS = [field.name for field in dataclasses.fields(LupisConfig)]


def test_it_has_the_fields_of_the_table():
    """Each row that says so is a field, and no other is."""
    assert {row.name for row in _settings.SETTINGS if row.in_config} == set(FIELDS)


def test_its_defaults_are_those_of_the_table():
    """Left out in code means what left out in the environment means."""
    config = LupisConfig("p")
    assert {row.name: row.default for row in _settings.SETTINGS if row.in_config} == {
        **{name: getattr(config, name) for name in FIELDS},
        "project_id": "default",
    }


@pytest.mark.parametrize("name", FIELDS)
def test_its_docstring_tells_every_field(name):
    """The class's help is where a reader looks."""
    assert f"\n    {name}: " in inspect.getdoc(LupisConfig)


def test_the_project_is_required():
    """Code has to say which project it is."""
    with pytest.raises(TypeError):
        LupisConfig()
    with pytest.raises(LupisConfigError, match="project_id"):
        LupisConfig(project_id=None)
    with pytest.raises(LupisConfigError, match="project_id"):
        LupisConfig(project_id=" ")


def test_it_is_frozen():
    """A configuration in use doesn't change."""
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
def test_a_wrong_value_is_refused(field, value, message):
    """`LupisConfigError`, a ValueError, names the field, the value and what is valid."""
    with pytest.raises(LupisConfigError) as caught:
        LupisConfig("p", **{field: value})
    assert message in str(caught.value)


def test_a_broken_pattern_is_refused():
    """The redaction's own check of patterns is asked."""
    with pytest.raises(LupisConfigError, match="sensitive_data_patterns"):
        LupisConfig("p", sensitive_data_patterns=["("])


def test_a_secret_is_not_in_the_error():
    """A wrong API key is not echoed."""
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
    """Whatever way a value is given, those who read it find one form."""
    assert stored == getattr(LupisConfig("p", **{field: given_value}), field)


def test_it_knows_what_was_given():
    """A value equal to its default counts as given; None doesn't."""
    config = LupisConfig("p", service_name="lupis-sdk", api_key=None)
    assert {"project_id", "service_name"} == config.given


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_a_copy_is_equal_and_knows_the_same(duplicate):
    """Copies and pickles keep values and what was given."""
    config = LupisConfig("p", otlp_headers={"a": "b"})
    again = duplicate(config)
    assert (config, config.given) == (again, again.given)


def test_its_headers_are_its_own():
    """A dict that the program changes later doesn't change the configuration."""
    headers = {"a": "b"}
    config = LupisConfig("p", otlp_headers=headers)
    headers["c"] = "d"
    assert {"a": "b"} == config.otlp_headers
    assert LupisConfig("p").otlp_headers is not LupisConfig("p").otlp_headers


def test_it_can_be_hashed():
    """Headers, a dict, are left out of the hash."""
    assert 1 == len(
        {LupisConfig("p", otlp_headers={"a": "b"}), LupisConfig("p", otlp_headers={"a": "b"})}
    )


def test_its_repr_has_no_secret():
    """What is given is shown, but for secrets and passwords in URLs."""
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
        ({"otlp_endpoint": "http://c/"}, None),
    ],
)
def test_events_go_where_they_are_told_or_beside_the_spans(fields, url):
    """`events_endpoint` wins over what `otlp_endpoint` implies."""
    assert url == LupisConfig("p", **fields).events_url


def test_it_comes_from_variables():
    """`from_env` reads LUPIS_* and OTEL_*; the project is `default` if none says more."""
    config = LupisConfig.from_env({"LUPIS_ENABLED": "0", "OTEL_SERVICE_NAME": "a"})
    assert ("default", False, "a") == (config.project_id, config.enabled, config.service_name)


def test_it_comes_from_this_process_if_not_told_otherwise(monkeypatch):
    """`from_env()` reads os.environ."""
    monkeypatch.setenv("LUPIS_PROJECT_ID", "shop")
    assert "shop" == LupisConfig.from_env().project_id


def test_wrong_variables_are_refused_all_at_once():
    """One error names each of them."""
    with pytest.raises(LupisConfigError) as caught:
        LupisConfig.from_env({"LUPIS_ENABLED": "x", "LUPIS_EXPORTER": "y"})
    assert [
        "LUPIS_ENABLED",
        "LUPIS_EXPORTER",
    ] == [line.partition("=")[0] for line in str(caught.value).splitlines()]


def test_defaults_that_nobody_gave_are_no_variables():
    """`to_env` says no more than was said."""
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
def test_variables_bring_it_back(config):
    """What `to_env` writes, `from_env` reads as the same configuration."""
    assert config == LupisConfig.from_env(config.to_env())


def test_in_code_the_program_decides():
    """Not launched: config, then LUPIS_*, then OTEL_*, then the default."""
    resolved = resolve(
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


def test_under_the_launcher_the_operator_decides():
    """Launched: LUPIS_*, then config, then OTEL_*; what is ignored is said, once a field."""
    resolved = resolve(
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


def test_the_same_value_twice_is_not_ignored():
    """Where operator and program agree there is nothing to say."""
    resolved = resolve(
        {"LUPIS_REDACTION_MODE": "hash"}, LupisConfig("p", redaction_mode="hash"), launched=True
    )
    assert [] == resolved.ignored


def test_an_ignored_secret_is_not_shown():
    """The sentence on an API key that lost has neither key."""
    resolved = resolve({"LUPIS_API_KEY": "other"}, LupisConfig("p", api_key=SECRET), launched=True)
    assert "other" == resolved.config.api_key
    assert 1 == len(resolved.ignored)
    assert SECRET not in resolved.ignored[0]
    assert "other" not in resolved.ignored[0]


@pytest.mark.parametrize("launched", [True, False])
def test_without_a_configuration_the_variables_decide(launched):
    """As for a program that knows nothing of us; settings that config lacks are there too."""
    resolved = resolve({"LUPIS_CHAT_ID": "c", "LUPIS_PROJECT_ID": "p"}, None, launched=launched)
    assert ("p", "c", "warning") == (
        resolved.config.project_id,
        resolved.values["chat_id"],
        resolved.values["log_level"],
    )


def test_wrong_variables_are_problems_not_errors():
    """The program runs on: the safe value, and a problem to report."""
    resolved = resolve(
        {"LUPIS_REDACTION_MODE": "masked"}, LupisConfig("p", redaction_mode="hash"), launched=True
    )
    assert "remove" == resolved.config.redaction_mode
    assert ["LUPIS_REDACTION_MODE"] == [problem.variable for problem in resolved.problems]


def test_a_broken_pattern_keeps_the_others():
    """One that doesn't compile is a problem; the good one is in force."""
    resolved = resolve({"LUPIS_SENSITIVE_DATA_PATTERNS": "my_key\n("}, None, launched=False)
    assert ("my_key",) == resolved.config.sensitive_data_patterns
    assert ["LUPIS_SENSITIVE_DATA_PATTERNS"] == [problem.variable for problem in resolved.problems]
