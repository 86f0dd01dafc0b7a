"""Sets the chat id of calls: for the process, for a block, and for two conversations at once.

The most specific chat id wins: the chat id of a block has precedence over the chat id of the
process. A block's chat id also applies in the asyncio tasks and threads that it starts.

    lupis-run python examples/chat_id_example.py
    python examples/chat_id_example.py
"""

import asyncio
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import fake_llm

from lupis_instrument import LupisBlockOptions, LupisConfig, LupisMetadata, LupisSDK


def ask(url, question):
    """Ask a model one question, and return its answer."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}]}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


async def converse(url, name):
    """Ask two questions; other conversations run in between."""
    loop = asyncio.get_running_loop()
    for number in (1, 2):
        await loop.run_in_executor(None, ask, url, f"{name}: question {number}?")
    return f"{name}: 2 answers"


async def interleave(lupis, url):
    """Hold two conversations at once; each has its own chat id."""
    return await asyncio.gather(
        *(
            lupis.run(
                lambda name=name: converse(url, name),
                LupisBlockOptions(chat_id=f"chat-{name}", metadata=LupisMetadata(user_id=name)),
            )
            for name in ("ann", "ben")
        )
    )


def main():
    """Ask the same model in five conversations."""
    lupis = LupisSDK.get_instance() or LupisSDK.init(LupisConfig(project_id="examples"))
    with fake_llm.base_url() as url:
        lupis.set_chat_id("chat-all")
        print(ask(url, "In the process-wide conversation?"))

        with lupis.conversation("chat-block"), ThreadPoolExecutor() as pool:
            print(pool.submit(ask, url, "In a block, in another thread?").result())

        print(
            lupis.run_sync(lambda: ask(url, "In a function?"), LupisBlockOptions("chat-function"))
        )

        print(asyncio.run(interleave(lupis, url)))
        lupis.clear_chat_id()
    lupis.shutdown_sync()


if __name__ == "__main__":
    main()
