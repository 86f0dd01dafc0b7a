"""Calls OpenAI with its own library: a chat, a tool call, a response, embeddings and an error.

    lupis-run python examples/openai_example.py

Needs: pip install openai
"""

import fake_llm
import openai

QUESTION = {"role": "user", "content": "How high is the Matterhorn?"}
HEIGHT_TOOL = {
    "type": "function",
    "function": {
        "name": "look_up_height",
        "parameters": {
            "type": "object",
            "properties": {"mountain": {"type": "string"}},
            "required": ["mountain"],
        },
    },
}


def answer_with_tool(client):
    """Let the model call a tool, and return its answer to the tool's result."""
    ask = client.chat.completions.create
    first = ask(model="gpt-4o-mini", messages=[QUESTION], tools=[HEIGHT_TOOL])
    call = first.choices[0].message.tool_calls[0]
    result = {"role": "tool", "tool_call_id": call.id, "content": "4478 m"}
    turns = [QUESTION, first.choices[0].message, result]
    return ask(model="gpt-4o-mini", messages=turns, tools=[HEIGHT_TOOL]).choices[0].message.content


def main():
    """Make one call of each kind."""
    with fake_llm.base_url() as url, openai.OpenAI(
        base_url=f"{url}/v1", api_key="made-up-key", max_retries=0
    ) as client:
        chat = client.chat.completions.create(model="gpt-4o-mini", messages=[QUESTION])
        print("chat:", chat.choices[0].message.content, chat.usage.total_tokens)
        print("tool:", answer_with_tool(client))
        response = client.responses.create(model="gpt-4.1", input="Name a mountain.")
        print("response:", response.output_text, response.usage.total_tokens)
        vectors = client.embeddings.create(model="text-embedding-3-small", input=["peak", "pass"])
        print("embeddings:", len(vectors.data), vectors.usage.prompt_tokens)
        try:
            client.chat.completions.create(model="always-busy", messages=[QUESTION])
        except openai.RateLimitError as error:
            print("error:", error.status_code)


if __name__ == "__main__":
    main()
