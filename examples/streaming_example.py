"""Streams answers: read to the end, broken off early, and two at once in asyncio.

The tokens are taken from the stream while the program reads it; nothing is held back. A stream that
the program leaves early has an outcome of its own ("closed") and what was reported until then.

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
    """A conversation that begins with a question."""
    return [{"role": "user", "content": question}]


def words(chunk):
    """The words in a part of a stream; the last part has the usage, and none."""
    return "".join(choice.delta.content or "" for choice in chunk.choices)


def read_all(client):
    """Reads a stream to its end."""
    for chunk in client.chat.completions.create(messages=turns("Count to ten."), **OPTIONS):
        print(words(chunk), end="", flush=True)
    print()


def read_some(client):
    """Leaves a stream after five parts, as a user does who presses stop."""
    with client.chat.completions.create(messages=turns("Count to a million."), **OPTIONS) as stream:
        for _, chunk in zip(range(5), stream):
            print(words(chunk), end="", flush=True)
    print("...")


async def read_one(client, question):
    """Reads a stream without a thread."""
    stream = await client.chat.completions.create(messages=turns(question), **OPTIONS)
    return "".join([words(chunk) async for chunk in stream])


async def read_two(url):
    """Reads two streams at once."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="made-up-key") as client:
        for text in await asyncio.gather(*(read_one(client, ask) for ask in ("Odd?", "Even?"))):
            print(text)


def main():
    """Streams four answers."""
    with fake_llm.base_url(delay=0.002) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="made-up-key") as client:
            read_all(client)
            read_some(client)
        asyncio.run(read_two(url))


if __name__ == "__main__":
    main()
