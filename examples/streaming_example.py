"""Streams answers: one to its end, one closed early, and two at once with asyncio.

Lupis reads the token counts while the program reads the stream, and delays nothing. A stream that
the program closes early has the outcome "closed", and the counts that arrived before.

    lupis-run python examples/streaming_example.py

Needs: pip install openai
"""

import asyncio

import fake_llm
import openai

OPTIONS = {
    "model": "gpt-4o-mini",
    "stream": True,
    "stream_options": {"include_usage": True},
}


def turns(question):
    """Return a conversation with one question."""
    return [{"role": "user", "content": question}]


def words(chunk):
    """Return the text of a part of a stream; the last part has the usage and no text."""
    return "".join(choice.delta.content or "" for choice in chunk.choices)


def read_all(client):
    """Read a stream to its end."""
    for chunk in client.chat.completions.create(messages=turns("Count to ten."), **OPTIONS):
        print(words(chunk), end="", flush=True)
    print()


def read_part(client):
    """Close a stream after five parts, as if a user had stopped it."""
    with client.chat.completions.create(messages=turns("Count to a million."), **OPTIONS) as stream:
        for _, chunk in zip(range(5), stream):
            print(words(chunk), end="", flush=True)
    print("...")


async def read_answer(client, question):
    """Read a stream with asyncio."""
    stream = await client.chat.completions.create(messages=turns(question), **OPTIONS)
    return "".join([words(chunk) async for chunk in stream])


async def read_both(url):
    """Read two streams at once."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="made-up-key") as client:
        for text in await asyncio.gather(
            *(read_answer(client, question) for question in ("Odd?", "Even?"))
        ):
            print(text)


def main():
    """Stream four answers from the model."""
    with fake_llm.base_url(delay=0.002) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="made-up-key") as client:
            read_all(client)
            read_part(client)
        asyncio.run(read_both(url))


if __name__ == "__main__":
    main()
