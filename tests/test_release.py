"""The package page, the changelog, and the workflows are ready for a release."""

import importlib.util
import re
from pathlib import Path

import pytest

import lupis_instrument

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci" / "release_notes.py"
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
BASE = re.findall(r'^Source = "(.+)"$', PYPROJECT, re.MULTILINE)[0]
TEXTS = sorted(
    file
    for pattern in ("*.md", "docs/**/*.md", ".github/**/*.md", ".github/**/*.yml", ".ci/*.yml")
    for file in ROOT.glob(pattern)
)


@pytest.fixture(scope="module")
def notes():
    """The script that finds the notes of a version."""
    spec = importlib.util.spec_from_file_location("release_notes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_changelog_has_the_notes_of_this_version(notes):
    """The release workflow finds them."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert lupis_instrument.__version__ == notes.read_version()
    assert "lupis-run" in notes.find_notes(changelog, notes.read_version())


def test_notes_end_at_the_next_version(notes):
    """Relative links become links to the files of the version."""
    changelog = "## [Unreleased]\n\n## [0.2.0] - 2027\n\n- [B](docs/b.md)\n\n## [0.1.0]\n\n- A\n"
    assert f"- [B]({BASE}/blob/v0.2.0/docs/b.md)\n" == notes.find_notes(changelog, "0.2.0")


def test_version_without_notes_is_no_release(notes):
    """The script fails, and with it the workflow."""
    with pytest.raises(LookupError, match=r"no heading for 0\.2\.0"):
        notes.find_notes("## [0.1.0]\n\n- A\n", "0.2.0")


def test_addresses_of_the_repository_are_the_same():
    """Each link to the repository begins as `Source` in pyproject.toml does."""
    links = {
        link
        for file in TEXTS
        for link in re.findall(
            r"https://github\.com/lupislabs/[\w-]+", file.read_text(encoding="utf-8")
        )
    }
    assert {BASE} == links


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_links_to_the_repository_lead_somewhere(file):
    """Each absolute link to a file of the repository names a file that exists."""
    text = file.read_text(encoding="utf-8")
    paths = re.findall(rf"{re.escape(BASE)}/(?:blob|tree|raw)/main/([^\s)#]+)", text)
    assert [] == [path for path in paths if not (ROOT / path).exists()]


def test_workflows_are_yaml():
    """Each workflow and each form for issues can be read, and has the fields that GitHub requires."""
    yaml = pytest.importorskip("yaml")
    for file in (ROOT / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert all("timeout-minutes" in job for job in workflow["jobs"].values()), file
    for file in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert "contact_links" in form or {"name", "description", "body"} <= set(form), file
