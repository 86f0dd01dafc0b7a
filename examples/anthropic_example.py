"""Calls Anthropic with its own library: a message, a tool call, a stream and an error.

    lupis-run python examples/anthropic_example.py

Needs: pip install anthropic
"""

import anthropic
import fake_llm

MODEL = "claude-haiku-4-5"
QUESTION = {"role": "user", "content": "How deep is Loch Ness?"}
DEPTH_TOOL = {
    "name": "look_up_depth",
    "input_schema": {
        "type": "object",
        "properties": {"lake": {"type": "string"}},
        "required": ["lake"],
    },
}


def answer_with_tool(client):
    """Let the model call a tool, and return its answer to the tool's result."""
    options = {"model": MODEL, "max_tokens": 100, "tools": [DEPTH_TOOL]}
    first = client.messages.create(messages=[QUESTION], **options)
    result = {"type": "tool_result", "tool_use_id": first.content[0].id, "content": "230 m"}
    turns = [
        QUESTION,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    return client.messages.create(messages=turns, **options).content[0].text


def main():
    """Make one call of each kind."""
    with fake_llm.base_url() as url, anthropic.Anthropic(
        base_url=url, api_key="made-up-key", max_retries=0
    ) as client:
        message = client.messages.create(model=MODEL, max_tokens=100, messages=[QUESTION])
        print("message:", message.content[0].text, message.usage.output_tokens)
        print("tool:", answer_with_tool(client))
        with client.messages.stream(model=MODEL, max_tokens=100, messages=[QUESTION]) as stream:
            print("stream:", "".join(stream.text_stream))
        try:
            client.messages.create(model="always-denied", max_tokens=100, messages=[QUESTION])
        except anthropic.AuthenticationError as error:
            print("error:", error.status_code)


if __name__ == "__main__":
    main()
