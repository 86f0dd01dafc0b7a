"""The types of the public names, in an application that mypy checks strictly."""

import os
import re
import subprocess
import sys

import pytest

pytest.importorskip("mypy", reason="mypy is not installed")

APPLICATION = """
from __future__ import annotations
import asyncio
from lupis_instrument import LupisBlockOptions, LupisConfig, LupisSDK

sdk = LupisSDK.init(LupisConfig(project_id="p"))

async def later() -> int:
    return 1

def now() -> str:
    return ""

async def main() -> None:
    reveal_type(await sdk.run(later))  # int
    reveal_type(await sdk.run(now))  # str
    reveal_type(await sdk.run(later(), LupisBlockOptions(chat_id="a")))  # int
    reveal_type(await sdk.run(lambda: [1]))  # list[int]
    reveal_type(await sdk.run(asyncio.create_task(later())))  # int
    await sdk.run(1)  # error: call-overload
    sdk.track_event(name=1)  # error: arg-type
    with sdk.conversation("a", name="talk"):
        sdk.track_event("e", {"n": 1})
"""


@pytest.mark.slow
def test_run_has_the_type_of_its_function(tmp_path):
    """A type checker infers the result of `run`, and refuses values that cannot run."""
    (tmp_path / "application.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "application.py"]
    env = {**os.environ, "MYPY_CACHE_DIR": str(tmp_path / "cache")}
    pipes = {"capture_output": True, "encoding": "utf-8", "timeout": 120}
    output = subprocess.run(command, cwd=tmp_path, env=env, check=False, **pipes).stdout
    inferred = {}
    for line, kind, text in re.findall(r"application\.py:(\d+): (note|error): (.*)", output):
        revealed = re.match(r'Revealed type is "(?:builtins\.)?(.*)"', text)
        code = re.search(r"\[([a-z-]+)\]$", text)
        if revealed:
            inferred[int(line)] = revealed[1].replace("builtins.", "")
        elif kind == "error":
            inferred[int(line)] = f"error: {code[1]}"
    lines = APPLICATION.splitlines()
    expected = {n: line.partition("  # ")[2] for n, line in enumerate(lines, 1) if "  # " in line}
    assert expected == inferred, output
