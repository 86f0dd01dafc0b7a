"""Calls a fake LLM with names from the command line, and tracks an event with the last name.

python hostile_agent.py MODEL CHAT EVENT
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import fake_llm

from lupis_instrument import LupisSDK

model, chat, event = sys.argv[1:]
lupis = LupisSDK.get_instance()
assert lupis is not None, "start it with lupis-run"
body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
with fake_llm.serving() as url, lupis.conversation(chat):
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    lupis.track_event(event, {"text": event})
