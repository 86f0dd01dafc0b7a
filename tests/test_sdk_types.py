"""What a type checker makes of the public names, in an application that is checked strictly."""

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


def test_run_has_the_type_of_what_it_runs(tmp_path):
    """And what cannot be run is an error; told line by line."""
    (tmp_path / "application.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "application.py"]
    env = {**os.environ, "MYPY_CACHE_DIR": str(tmp_path / "cache")}
    pipes = {"capture_output": True, "encoding": "utf-8", "timeout": 120}
    said = subprocess.run(command, cwd=tmp_path, env=env, check=False, **pipes).stdout
    found = {}
    for line, kind, text in re.findall(r"application\.py:(\d+): (note|error): (.*)", said):
        revealed = re.match(r'Revealed type is "(?:builtins\.)?(.*)"', text)
        code = re.search(r"\[([a-z-]+)\]$", text)
        if revealed:
            found[int(line)] = revealed[1].replace("builtins.", "")
        elif kind == "error":
            found[int(line)] = f"error: {code[1]}"
    lines = APPLICATION.splitlines()
    wanted = {n: line.partition("  # ")[2] for n, line in enumerate(lines, 1) if "  # " in line}
    assert wanted == found, said
