"""The README says what is true: its settings are the code's, and its program runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("table", "module"),
    [("settings", "_settings"), ("attributes", "_names"), ("rules", "_redaction")],
)
def test_tables_are_the_codes(table, module):
    """Each table is the one that the code generates."""
    command = [sys.executable, "-m", f"lupis_instrument.{module}"]
    generated = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    ).stdout
    written = README.partition(f"{module} -->\n")[2].partition(f"<!-- {table} end")[0]
    assert generated.strip() == written.strip()


CALLS = """
import sys, urllib.request
import httpx, requests, urllib3
from lupis_instrument import LupisMetadata, LupisSDK
sdk = LupisSDK.get_instance()
body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
with sdk.conversation("c", LupisMetadata("u", "o", "s", extra={"plan": 1})):
    for place in (sys.argv[1], "http://127.0.0.1:9"):
        url = place + "/v1/chat/completions"
        for send in (
            lambda: requests.post(url, json=body),
            lambda: httpx.post(url, json=body),
            lambda: urllib3.request("POST", url, json=body, retries=False),
            lambda: urllib.request.urlopen(url, b"{}").read(),
        ):
            try:
                send()
            except Exception:
                pass
"""


def test_all_attributes_are_told(run, llm):
    """No span, event of a span or resource has an attribute that the table lacks."""
    spans = run(CALLS, llm.url).spans
    assert 8 == len(spans)
    places = [place for span in spans for place in (span, *span["events"])]
    keys = {key for place in places for key in place["attributes"]}
    keys |= {key for span in spans for key in span["resource"]}
    table = README.partition("_names -->\n")[2].partition("<!-- attributes end")[0]
    told = re.findall(r"^\| `([^`]+?)…?` \|", table, re.MULTILINE)
    carriers = tuple(name for name in told if name.endswith("."))
    assert set() == {key for key in keys if key not in told and not key.startswith(carriers)}


def test_begins_with_what_a_newcomer_needs():
    """The first 40 lines have the command, what it shows, and four benefits."""
    opening = README.splitlines()[:40]
    assert "lupis-run python my_agent.py" in opening
    assert any(line.startswith("lupis: ") for line in opening)
    assert 4 == sum(line.startswith("- **") for line in opening)


def test_python_in_it_runs(run):
    """The ten lines of LupisSDK run, launched or not."""
    program, *_ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    outcomes = [run(program, launched=launched) for launched in (True, False)]
    assert [(0, ""), (0, "")] == [(done.returncode, done.stdout) for done in outcomes]
    assert ["feature_used"] * 2 == [event["name"] for event in outcomes[0].events]


def test_links_lead_somewhere():
    """Files that it links to are there."""
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [] == [link for link in links if "://" not in link and not (ROOT / link).exists()]
