"""Settings come from the table [tool.lupis] of the nearest pyproject.toml."""

import os
import sys

import pytest

from lupis_instrument._config import project_file
from lupis_instrument._config.project_file import read_project

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has no reader of TOML")


@pytest.fixture
def read_text(tmp_path):
    """Reads the settings of a file with this table."""

    def read(table, environ=None, *, heading="[tool.lupis]"):
        (tmp_path / "pyproject.toml").write_text(f"{heading}\n{table}\n", encoding="utf-8")
        folder = tmp_path / "a" / "b"
        folder.mkdir(parents=True, exist_ok=True)
        return read_project(environ or {}, str(folder))

    return read


@pytest.mark.parametrize(
    ("line", "variable", "text"),
    [
        ('project-id = "shop"', "LUPIS_PROJECT_ID", "shop"),
        ('service_name = "web"', "LUPIS_SERVICE_NAME", "web"),
        ("durable = true", "LUPIS_DURABLE", "true"),
        ("max_cost = 2.5", "LUPIS_MAX_COST", "2.5"),
        ("store-max-mb = 64", "LUPIS_STORE_MAX_MB", "64"),
        ('excluded-urls = ["a", "b"]', "LUPIS_EXCLUDED_URLS", "a,b"),
        ('tags = {team = "search"}', "LUPIS_TAGS", "team=search"),
        ('tags = "team=search"', "LUPIS_TAGS", "team=search"),
    ],
)
def test_each_type_of_value_becomes_the_text_of_a_variable(line, variable, text, read_text):
    """Names may have hyphens or underscores."""
    settings = read_text(line)
    assert ({variable: text}, []) == (settings.variables, settings.problems)
    assert settings.labels[variable].endswith(f"pyproject.toml [tool.lupis] {line.split(' =')[0]}")


@pytest.mark.parametrize(
    "environ",
    [{"LUPIS_SERVICE_NAME": "x"}, {"OTEL_SERVICE_NAME": "x"}, {"LUPIS_RUN_ID": "1"}],
    ids=["variable", "OpenTelemetry", "inside a launch"],
)
def test_variables_take_precedence(environ, read_text):
    """The file comes after them."""
    assert {} == read_text('service-name = "web"', environ).variables


def test_an_empty_variable_counts_as_not_set(read_text):
    """The file sets it then."""
    environ = {"LUPIS_SERVICE_NAME": " "}
    assert {"LUPIS_SERVICE_NAME": "web"} == read_text('service-name = "web"', environ).variables


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('api-key = "k-123"', "ignored, because a secret belongs in LUPIS_API_KEY"),
        ('servce-name = "x"', "no such setting; did you mean service_name?"),
        ("project-id = 1979-05-27", "expected a text, a number, true, false or a list"),
        ("excluded-urls = [1]", "expected a text, a number, true, false or a list"),
        ("=", "no valid TOML"),
    ],
)
def test_a_problem_is_reported_and_sets_nothing(line, problem, read_text):
    """The program starts all the same."""
    settings = read_text(line)
    assert {} == settings.variables
    assert problem in settings.problems[0]
    assert "k-123" not in settings.problems[0]


@pytest.mark.parametrize(
    "line",
    [
        'otlp-endpoint = "http://user:pass@a.example/v1/traces"',
        'exporter = "none"',
        "filter-sensitive-data = false",
        'data-dir = "/tmp/x"',
    ],
)
def test_settings_about_delivery_and_privacy_are_announced(line, read_text):
    """A folder from somebody else sends nothing elsewhere in silence."""
    (announcement,) = read_text(line).announcements
    assert f"pyproject.toml [tool.lupis] {line.split(' =')[0]} = " in announcement
    assert "pass" not in announcement


def test_other_settings_are_not_announced(read_text):
    """Nothing is lost by them."""
    assert [] == read_text('service-name = "web"').announcements


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_a_file_that_every_user_can_change_is_ignored(read_text, tmp_path):
    """Another user may have written it."""
    read_text('service-name = "web"')
    (tmp_path / "pyproject.toml").chmod(0o666)
    settings = read_project({}, str(tmp_path))
    assert {} == settings.variables
    assert "other users could have written it" in settings.problems[0]


def test_a_file_without_the_table_is_not_parsed(read_text, monkeypatch):
    """Most projects have none: their files cost little time."""
    monkeypatch.setattr(project_file, "_import_parser", pytest.fail)
    assert {} == read_text('service-name = "web"', heading="[tool.other]").variables


def test_the_nearest_file_counts(read_text, tmp_path):
    """A file further up is not read, also if the nearest has no table."""
    read_text('service-name = "web"')
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\n")
    assert {} == read_project({}, str(tmp_path / "a" / "b")).variables


def test_an_old_python_without_tomli_says_so(read_text, monkeypatch):
    """It has no reader of TOML."""
    monkeypatch.setattr(project_file, "_import_parser", lambda: None)
    (problem,) = read_text('service-name = "web"').problems
    assert problem.endswith("it needs Python 3.11 or the package tomli")
