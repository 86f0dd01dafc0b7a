"""The README says what is true: its settings are the code's, and its program runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(
    ("table", "module"),
    [("settings", "_config.settings"), ("attributes", "_semconv"), ("rules", "_redaction")],
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
    table = README.partition("_semconv -->\n")[2].partition("<!-- attributes end")[0]
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
    program = PROGRAMS[0]
    outcomes = [run(program, launched=launched) for launched in (True, False)]
    assert [(0, ""), (0, "")] == [(done.returncode, done.stdout) for done in outcomes]
    assert ["feature_used"] * 2 == [event["name"] for event in outcomes[0].events]


STAND_INS = """
import asyncio, json, subprocess, sys, threading, urllib.request
from types import SimpleNamespace
import requests
from lupis_instrument import LupisSDK
lupis = LupisSDK.get_instance()

def create(model="m", messages=({"role": "user", "content": "hi"},)):
    data = json.dumps({"model": model, "messages": messages}).encode()
    with urllib.request.urlopen(f"{sys.argv[1]}/v1/chat/completions", data) as answer:
        return json.load(answer, object_hook=Thing)

class Thing(dict):
    __getattr__ = dict.__getitem__

client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
work = create

async def main():
    await asyncio.get_running_loop().run_in_executor(None, create)
"""


@pytest.fixture
def snippet(run, llm):
    """Runs one of the programs with what it takes for granted; gives its calls' chat ids."""

    def play(number):
        (run.folder / "child.py").write_text(
            f"import sys\nsys.argv[1:] = [{llm.url!r}]\n{STAND_INS}create()"
        )
        folder = str(Path(sys.executable).parent)
        env = {
            "PATH": os.pathsep.join([folder, os.environ["PATH"]]),
            "HTTP_PROXY": llm.url,
            "NO_PROXY": "127.0.0.1",
        }
        done = run(STAND_INS + PROGRAMS[number], llm.url, env=env)
        assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
        return [span["attributes"]["lupis.chat.id"] for span in done.spans]

    return play


def test_its_two_conversations_are_two(snippet):
    """Which take turns, without a line about it."""
    ids = snippet(2)
    assert (4, 2) == (len(ids), len(set(ids)))
    assert ids[:2] * 2 == ids


def test_its_block_is_followed(snippet, llm):
    """Into a task's executor, a thread and a child; a private host is told."""
    assert ["chat-42"] * 4 == snippet(3)
    told = [seen.headers.get("baggage") for seen in llm.seen if "orders.internal" in seen.path]
    assert ["lupis.chat.id=chat-42"] == told


def test_links_lead_somewhere():
    """Files that it links to are there."""
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [] == [link for link in links if "://" not in link and not (ROOT / link).exists()]
