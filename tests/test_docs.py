"""The documentation is true: tables, programs, links, settings, commands and messages are real."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from lupis_instrument import _semconv
from lupis_instrument._cli.lupis.commands import lupis
from lupis_instrument._config.settings import SETTINGS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = sorted(DOCS.rglob("*.md"))
WRITTEN = [*PAGES, *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md"))]
"""All texts for users."""

GENERATED = {
    "settings": "_config.settings",
    "attributes": "_semconv",
    "redaction-rules": "_redaction",
}
"""By page of the reference, the module that prints its table."""

OTHER_VARIABLES = {
    value
    for name, value in vars(_semconv).items()
    if name.startswith("ENV_") and value.startswith("LUPIS_")
}


def read(path):
    """The text of a file."""
    return path.read_text(encoding="utf-8")


def read_programs(page):
    """The Python programs of a page."""
    return re.findall(r"```python\n(.*?)```", read(DOCS / page), re.DOTALL)


def page_name(path):
    """The name of a page in test ids."""
    return str(path.relative_to(ROOT))


def without_code(text):
    """The text of a page without its code blocks."""
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def read_anchors(path):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_code(read(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def read_table(page):
    """The generated table of a page of the reference."""
    text = read(REFERENCE / f"{page}.md")
    return text.partition(f"python -m lupis_instrument.{GENERATED[page]} -->\n")[2].partition(
        "<!-- "
    )[0]


@pytest.mark.parametrize("page", GENERATED)
def test_tables_equal_the_code(page):
    """Each table is the one that the code prints; `make docs` writes it."""
    command = [sys.executable, "-m", f"lupis_instrument.{GENERATED[page]}"]
    generated = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    ).stdout
    assert generated.strip() == read_table(page).strip()


CALLS = """
import sys, urllib.request
import httpx, requests, urllib3
from lupis_instrument import LupisMetadata, LupisSDK
sdk = LupisSDK.get_instance()
body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
with sdk.conversation("c", LupisMetadata("u", "o", "s", extra={"plan": 1})):
    for base_url in (sys.argv[1], "http://127.0.0.1:9"):
        url = base_url + "/v1/chat/completions"
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


def test_all_attributes_are_documented(run, llm):
    """No span, event of a span or resource has an attribute that the table lacks."""
    spans = run(CALLS, llm.url).spans
    assert 8 == len(spans)
    records = [record for span in spans for record in (span, *span["events"])]
    keys = {key for record in records for key in record["attributes"]}
    keys |= {key for span in spans for key in span["resource"]}
    documented = re.findall(r"^\| `([^`]+?)…?` \|", read_table("attributes"), re.MULTILINE)
    prefixes = tuple(name for name in documented if name.endswith("."))
    unknown = {key for key in keys if key not in documented and not key.startswith(prefixes)}
    assert set() == unknown


def test_program_of_the_sdk_runs(run):
    """The program of `in-code.md` runs with and without `lupis-run`, and its event arrives."""
    program = read_programs("in-code.md")[0]
    outcomes = [run(program, launched=launched) for launched in (True, False)]
    assert [(0, "")] * 2 == [(done.returncode, done.stdout) for done in outcomes]
    assert ["feature_used"] * 2 == [event["name"] for event in outcomes[0].events]


STAND_INS = """
import asyncio, json, subprocess, sys, threading, urllib.request
from types import SimpleNamespace
import requests
from lupis_instrument import LupisSDK
lupis = LupisSDK.get_instance()

def create(model="gpt-4o-mini", messages=({"role": "user", "content": "hi"},)):
    data = json.dumps({"model": model, "messages": messages}).encode()
    with urllib.request.urlopen(f"{sys.argv[1]}/v1/chat/completions", data) as answer:
        return json.load(answer, object_hook=Thing)

class Thing(dict):
    __getattr__ = dict.__getitem__

client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
run_my_agent = work = create

async def main():
    await asyncio.get_running_loop().run_in_executor(None, create)
"""
"""Defines the names that the programs below take for granted."""


def test_program_for_tests_runs(run, llm):
    """The program with `capture` is a test that passes with an agent that makes one call."""
    program = STAND_INS + read_programs("in-code.md")[1] + "test_the_agent_asks_once()\n"
    done = run(program, llm.url, launched=False)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_program_with_the_fixture_runs(run, llm):
    """The program with the fixture of the plugin is a test that passes with such an agent too."""
    program = f"""{STAND_INS}{read_programs("in-code.md")[2]}
from lupis_instrument._pytest_plugin import LupisCalls
from lupis_instrument.testing import capture
with capture() as captured:
    test_the_agent_is_cheap(LupisCalls(captured))
"""
    done = run(program, llm.url, launched=False)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


@pytest.fixture
def run_snippet(run, llm):
    """Runs a program of `conversations.md`; returns the chat ids of its calls."""

    def run_program(number):
        (run.folder / "child.py").write_text(
            f"import sys\nsys.argv[1:] = [{llm.url!r}]\n{STAND_INS}create()"
        )
        folder = str(Path(sys.executable).parent)
        env = {
            "PATH": os.pathsep.join([folder, os.environ["PATH"]]),
            "HTTP_PROXY": llm.url,
            "NO_PROXY": "127.0.0.1",
        }
        program = STAND_INS + read_programs("conversations.md")[number]
        done = run(program, llm.url, env=env)
        assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
        return [span["attributes"]["lupis.chat.id"] for span in done.spans]

    return run_program


def test_two_conversations_have_two_chat_ids(run_snippet):
    """Two conversations that alternate have one chat id each."""
    ids = run_snippet(0)
    assert (4, 2) == (len(ids), len(set(ids)))
    assert ids[:2] * 2 == ids


def test_chat_id_follows_the_work(run_snippet, llm):
    """A chat id follows into an executor, a thread and a child; a private host receives it."""
    assert ["chat-42"] * 4 == run_snippet(1)
    received = [seen.headers.get("baggage") for seen in llm.seen if "orders.internal" in seen.path]
    assert ["lupis.chat.id=chat-42"] == received


@pytest.mark.parametrize("page", ["cost-per-user.md", "tools.md"])
def test_short_programs_run(page, run):
    """The program of the page runs without `lupis-run`, and prints nothing."""
    done = run(read_programs(page)[0], launched=False)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_site_lists_all_pages():
    """The navigation of the site, `.ci/mkdocs.yml`, has each page once."""
    text = read(ROOT / ".ci" / "mkdocs.yml").partition("\nnav:\n")[2]
    listed = re.findall(r"- (\S+\.md)$", text, re.MULTILINE)
    assert sorted(str(page.relative_to(DOCS)) for page in PAGES) == sorted(listed)


def test_all_programs_are_tested():
    """Only the pages whose programs run above have Python programs."""
    counts = {page_name(page): read(page).count("```python\n") for page in PAGES}
    expected = {"docs/in-code.md": 3, "docs/conversations.md": 2}
    expected.update({"docs/cost-per-user.md": 1, "docs/tools.md": 1})
    assert expected == {page: count for page, count in counts.items() if count}


@pytest.mark.parametrize("page", WRITTEN, ids=page_name)
def test_links_lead_somewhere(page):
    """Each relative link leads to a file, and its anchor to a heading of that file."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(read(page))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in read_anchors(target)):
            broken.append(link)
    assert [] == broken


def test_index_lists_all_pages():
    """The table of contents links to each page."""
    index = DOCS / "index.md"
    linked = {(DOCS / link).resolve() for link in re.findall(r"\]\(([^)#]+)\)", read(index))}
    assert [] == [page_name(page) for page in PAGES if page != index and page not in linked]


@pytest.mark.parametrize("page", WRITTEN, ids=page_name)
def test_variables_exist(page):
    """Each LUPIS_* variable is a setting, or a variable that the launcher sets."""
    known = {name for row in SETTINGS for name in (row.variable, *row.aliases)} | OTHER_VARIABLES
    named = set(re.findall(r"\bLUPIS_[A-Z_]*[A-Z]\b", read(page)))
    assert set() == named - known


@pytest.mark.parametrize("page", WRITTEN, ids=page_name)
def test_commands_exist(page):
    """Each `lupis` command that a page shows exists."""
    named = set(re.findall(r"^lupis (\w+)|`lupis ([a-z]+)", read(page), re.MULTILINE))
    commands = {first or second for first, second in named}
    assert set() == commands - set(lupis.list_commands(click.Context(lupis)))


def read_string_literals():
    """The text literals of the package and the bootstrap; an f-string gives several."""
    files = [
        *(ROOT / "lupis_instrument").rglob("*.py"),
        *(ROOT / "sitecustomize_template").rglob("*.py"),
    ]
    for file in files:
        for node in ast.walk(ast.parse(read(file))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_messages_are_real():
    """The messages that the troubleshooting page quotes are in the code."""
    literals = "\n".join(read_string_literals())
    text = read(DOCS / "troubleshooting.md")
    rows = re.findall(r"^\| (`+)(.+?)\1 \|", text, re.MULTILINE)
    messages = [message.strip() for _, message in rows if message != "ResolutionImpossible"]
    pieces = [
        piece.strip(" .?'")
        for message in messages
        for piece in re.split(r"…|[;:()]|'\w+'|my_agent\.py|401", message)
    ]
    assert len(messages) > 15
    assert [] == [piece for piece in pieces if piece not in literals]
