"""Agents of a framework with OpenTelemetry spans of its own, against a stand-in for its LLM."""

import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

PROGRAM = """
import asyncio
from google.adk.agents import LlmAgent
from google.adk.runners import InMemoryRunner
from google.genai import types

def get_weather(city: str) -> dict:
    "PLANTED description."
    return {"weather": "PLANTED result"}

async def main():
    agent = LlmAgent(
        name="planner", model="gemini-2.5-flash", instruction="PLANTED", tools=[get_weather]
    )
    runner = InMemoryRunner(agent=agent, app_name="demo")
    session = await runner.session_service.create_session(app_name="demo", user_id="u")
    message = types.Content(role="user", parts=[types.Part(text="PLANTED question")])
    async for _ in runner.run_async(user_id="u", session_id=session.id, new_message=message):
        pass

asyncio.run(main())
"""
PARTS = (
    {"functionCall": {"name": "get_weather", "args": {"city": "PLANTED city"}}},
    {"text": "PLANTED answer"},
)
USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12}


def is_installed(module):
    """Returns whether a module is installed."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


class Gemini(BaseHTTPRequestHandler):
    """Calls a tool first, and then answers."""

    def do_POST(self):
        """Answers with the next part."""
        self.rfile.read(int(self.headers["content-length"]))
        content = {"role": "model", "parts": [self.server.parts.pop(0)]}
        candidate = {"content": content, "finishReason": "STOP"}
        answer = {"candidates": [candidate], "usageMetadata": USAGE, "responseId": "r"}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        """Writes nothing."""


@pytest.fixture
def gemini_url():
    """The address of a server with Gemini's API."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Gemini) as server:
        server.parts = list(PARTS)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(not is_installed("google.adk"), reason="google-adk is not installed")
def test_an_agent_of_the_adk_is_one_trace(run, sink, gemini_url):
    """Agent and tool are spans, tokens count once, and no content leaves the process."""
    run(PROGRAM, env={"GOOGLE_API_KEY": "key", "GOOGLE_GEMINI_BASE_URL": gemini_url})
    assert 1 == len({span["trace_id"] for span in sink.spans})
    names = [span["name"] for span in sink.spans]
    assert {"invoke_agent planner", "execute_tool get_weather"} <= set(names)
    tokens = [span["attributes"].get("gen_ai.usage.input_tokens", 0) for span in sink.spans]
    assert 2 * 7 == sum(tokens)
    assert "PLANTED" not in repr(sink.spans)
