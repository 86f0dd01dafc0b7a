"""The README says what is true: its settings are the code's, and its program runs."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_settings_are_the_codes():
    """The table of settings is the one that the code generates."""
    command = [sys.executable, "-m", "lupis_instrument._settings"]
    generated = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    ).stdout
    written = README.partition("_settings -->\n")[2].partition("<!-- settings end")[0]
    assert generated.strip() == written.strip()


def test_begins_with_what_a_newcomer_needs():
    """The first 40 lines have the command, what it shows, and four benefits."""
    opening = README.splitlines()[:40]
    assert "lupis-run python my_agent.py" in opening
    assert any(line.startswith("lupis: ") for line in opening)
    assert 4 == sum(line.startswith("- **") for line in opening)


def test_python_in_it_runs(run):
    """The ten lines of LupisSDK run, launched or not."""
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    outcomes = [run(program, launched=launched) for launched in (True, False)]
    assert [(0, ""), (0, "")] == [(done.returncode, done.stdout) for done in outcomes]
    assert ["feature_used"] * 2 == [event["name"] for event in outcomes[0].events]


def test_links_lead_somewhere():
    """Files that it links to are there."""
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [] == [link for link in links if "://" not in link and not (ROOT / link).exists()]
