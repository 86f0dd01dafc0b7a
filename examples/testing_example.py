"""Tests the LLM calls of a program: their number, their model and their conversation.

`capture` works without a test framework, as here. With pytest, use it in a fixture.

    python examples/testing_example.py
    lupis-run python examples/testing_example.py
"""

import fake_llm
from chat_id_example import ask

from lupis_instrument import LupisSDK
from lupis_instrument.testing import capture


def agent(url):
    """Ask two questions; this is the program under test."""
    lupis = LupisSDK.get_instance()
    with lupis.conversation("chat-7"):
        ask(url, "First question?")
        ask(url, "Second question?")
    lupis.track_event("answered", {"questions": 2})


def main():
    """Run the program and check the captured calls and events, which stay in the process."""
    with fake_llm.base_url() as url, capture() as captured:
        agent(url)
    calls, (event,) = captured.calls, captured.events
    assert [call["attributes"]["gen_ai.request.model"] for call in calls] == ["gpt-4o-mini"] * 2
    assert {"chat-7"} == {call["attributes"]["lupis.chat.id"] for call in calls}
    assert event["properties"] == {"questions": 2}
    print([call["name"] for call in calls], event["name"])


if __name__ == "__main__":
    main()
