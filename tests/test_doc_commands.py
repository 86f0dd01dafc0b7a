"""The commands in the README and in the documentation run, against a fake LLM provider.

A comment before a block says that a test cannot run it, and why:

    <!-- not run: needs Docker -->                      the whole block
    <!-- not run (lupis tail, lupis ui): runs until Ctrl-C -->    the lines that begin with these words
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from servers.program import FOREIGN_PREFIXES
from servers.recorded import lupis, make_filler, other_store, store  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[1]
FIRST_PAGES = ("README.md", "docs/quick-start.md", "docs/reading-results.md")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- not run(?: \((?P<commands>[\w, -]+)\))?: (?P<reason>.+?) -->\n)?"
    r"```sh\n(?P<text>.*?)```",
    re.DOTALL,
)
ENDPOINT = re.compile(r"https?://[\w.:-]+(?=[\w/-]*/v1/traces)")
SHELL = """
set -euo pipefail
lupis-run() { "$PYTHON" -m lupis_instrument "$@"; }
lupis() { "$PYTHON" -c 'from lupis_instrument._cli.lupis import main; main()' "$@"; }
"""
AGENT = """
import json, os, urllib.request
body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]})
urllib.request.urlopen(os.environ["LLM_URL"] + "/v1/chat/completions", body.encode()).read()
"""
FILES = {
    "my_agent.py": AGENT,
    "app.py": AGENT,
    "my_package/__init__.py": "",
    "my_package/agent.py": AGENT,
    "test_agent.py": "def test_agent():\n    import my_agent\n",
    "app.log": "password: made-up-secret\n",
}


class Block(NamedTuple):
    """A block of shell commands on a page."""

    name: str
    text: str

    @property
    def lines(self):
        """The commands, without comments and empty lines."""
        return [line for line in self.text.splitlines() if line.split("#")[0].strip()]

    @property
    def is_plain(self):
        """Whether the block has only commands of `lupis`, and nothing for a shell."""
        return all(
            line.startswith("lupis ") and not set("|$;&") & set(line.split("#")[0])
            for line in self.lines
        )


def read_blocks():
    """Yield a block for each page and number, without the lines that cannot run."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for number, match in enumerate(BLOCK.finditer(text), 1):
            commands, reason = (match["commands"] or "").split(", "), match["reason"]
            if reason and not match["commands"]:
                continue
            lines = match["text"].splitlines()
            kept = [
                line
                for line in lines
                if not (
                    reason and f"{line} ".startswith(tuple(f"{command} " for command in commands))
                )
            ]
            yield Block(f"{page.relative_to(ROOT)}:{number}", "\n".join(kept))


def make_parameter(block):
    """A block as a test parameter. The blocks of the pages that are read first are fast."""
    is_fast = block.name.startswith(FIRST_PAGES) and block.text.count("lupis-run ") <= 1
    return pytest.param(block, id=block.name, marks=[] if is_fast else [pytest.mark.slow])


BLOCKS = list(read_blocks())
PLAIN = [make_parameter(block) for block in BLOCKS if block.is_plain]
SHELL_BLOCKS = [make_parameter(block) for block in BLOCKS if not block.is_plain]


@pytest.fixture
def workspace(tmp_path, llm, store, other_store, monkeypatch):  # noqa: F811 - fixtures
    """A folder with a program, and a store with the calls of two runs."""
    for name, text in FILES.items():
        file = tmp_path / "work" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for filler in (store, other_store):
        filler.call(chat="trip-42", cost=0.001, **{"user.id": "user-7"})
        filler.event("feature_used", chat="trip-42")
    for name in [name for name in os.environ if name.upper().startswith(FOREIGN_PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LLM_URL", llm.url)
    monkeypatch.setenv("LUPIS_SHUTDOWN_TIMEOUT", "60")
    monkeypatch.setenv("LUPIS_DATA_DIR", str(store.folder))
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), os.environ["PATH"]]))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.parametrize("block", PLAIN)
@pytest.mark.usefixtures("workspace")
def test_commands_of_lupis_run(block, lupis):  # noqa: F811 - a fixture
    """Each command of `lupis` in the block succeeds, in this process."""
    for line in block.lines:
        command = re.sub(r"> \S+\.jsonl", "", line)
        _, *arguments = shlex.split(command, comments=True)
        done = lupis(*arguments)
        assert 0 == done.exit_code, (line, done.output, done.exception)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("block", SHELL_BLOCKS)
def test_other_commands_run(block, workspace, sink):
    """A shell runs the block; a backend's address leads to a collector, which gets the calls."""
    text = ENDPOINT.sub(sink.url, block.text)
    env = {
        **os.environ,
        "PYTHON": sys.executable,
        **dict.fromkeys(re.findall(r"\$(\w+_(?:KEY|TOKEN))\b", text), "made-up"),
    }
    done = subprocess.run(
        ["bash", "-c", SHELL + text],
        env=env,
        cwd=workspace,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    assert [] == re.findall(r".*(?:Traceback|lupis: warning:|lupis-run: ).*", done.stderr)
    if text != block.text:
        assert {"chat gpt-4o-mini"} <= {span["name"] for span in sink.spans}


def test_blocks_that_cannot_run_say_why():
    """Each comment before a block is one that the tests above read."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    comments = sum(text.count("<!-- not run") for text in texts)
    assert comments == sum(1 for text in texts for match in BLOCK.finditer(text) if match["reason"])
