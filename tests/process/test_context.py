"""A chat id in force follows the work, and nothing else: tasks, callbacks, threads, generators."""

import sys
from textwrap import dedent

import pytest

COMMON = '''
import asyncio, contextvars, gc, json, logging, sys, threading
from concurrent.futures import ThreadPoolExecutor
from lupis_instrument import LupisBlockOptions, LupisMetadata, LupisSDK

logging.basicConfig(level=logging.INFO)  # so that whatever is logged is seen
sdk = LupisSDK.get_instance()

def here():
    """What a span that starts here belongs to."""
    with sdk.create_span("here"):
        pass
    from lupis_instrument._tracing.context import current_conversation
    return current_conversation().chat_id
'''


@pytest.fixture
def play(run):
    """Runs a program to its end, and gives the words that it printed."""

    def play(text, **options):
        done = run(COMMON + dedent(text), **options)
        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout.split()

    return play


def test_asyncios_callbacks_and_tasks_are_in_it(play):
    """Also those that run after the block has been left."""
    text = """
        async def later():
            await asyncio.sleep(0)
            return here()
        async def main():
            loop = asyncio.get_running_loop()
            called, found = asyncio.Event(), []
            with sdk.conversation("trip"):
                task = asyncio.create_task(later())
                loop.call_soon(lambda: found.append(here()))
                loop.call_later(0.01, lambda: (found.append(here()), called.set()))
                future = loop.run_in_executor(None, here)
                threading.Thread(
                    target=loop.call_soon_threadsafe, args=(lambda: found.append(here()),)
                ).start()
            print(here(), await task, await future)
            await called.wait()
            print(*found)
        asyncio.run(main())
        """
    assert ["None", "trip", "trip", "trip", "trip", "trip"] == play(text)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TaskGroup is new in 3.11")
def test_a_task_groups_tasks_are_in_it(play):
    """Each in the one that it was made in, however they take turns."""
    text = """
        async def work(name, found):
            for _ in range(3):
                await asyncio.sleep(0)
                found.add((name, here()))
        async def main():
            found = set()
            async with asyncio.TaskGroup() as group:
                for name in "abc":
                    with sdk.conversation(name):
                        group.create_task(work(name, found))
            print(*sorted(f"{name}{there}" for name, there in found))
        asyncio.run(main())
        """
    assert ["aa", "bb", "cc"] == play(text)


def test_threads_timers_and_pools_are_in_it(play):
    """A pool's threads are many's: each piece of work is in the one that it was handed over in."""
    text = """
        found = []
        with ThreadPoolExecutor(1) as pool:
            futures = []
            for name in "abc":
                with sdk.conversation(name):
                    futures.append(pool.submit(here))
                    futures.append(pool.submit(asyncio.run, asyncio.sleep(0, 1)))
            futures.append(pool.submit(here))
            print(*(future.result() for future in futures[::2] + futures[-1:]))
            with sdk.conversation("map"):
                print(*pool.map(lambda _: here(), range(2)))
        with sdk.conversation("timer"):
            timer = threading.Timer(0.01, lambda: found.append(here()))
            timer.start()
        timer.join()
        print(*found, here())
        """
    assert ["a", "b", "c", "None", "None", "map", "map", "timer", "None"] == play(text)


def test_a_generator_is_in_the_conversation_of_who_asks_it(play):
    """One made in a block and read elsewhere, and the other way round."""
    text = """
        def generate():
            while True:
                yield here()
        async def agenerate():
            while True:
                yield here()
        with sdk.conversation("made"):
            generator = generate()
            print(next(generator))
        print(next(generator))
        with sdk.conversation("read"):
            print(next(generator))
        async def main():
            with sdk.conversation("made"):
                generator = agenerate()
                print(await generator.__anext__())
            print(await generator.__anext__())
            await generator.aclose()
        asyncio.run(main())
        """
    assert ["made", "None", "read", "made", "None"] == play(text)


def test_a_block_inside_a_generator_is_left_without_a_word(play):
    """Closed elsewhere, dropped, or finished by the end of the loop: nothing is logged."""
    text = """
        def generate():
            with sdk.conversation("inside"):
                yield here()
                yield here()
        async def agenerate():
            with sdk.conversation("inside", name="a span too"):
                yield here()
                yield here()
        print(*generate(), here())
        abandoned = generate()
        contextvars.copy_context().run(next, abandoned)
        contextvars.copy_context().run(abandoned.close)
        dropped = generate()
        threading.Thread(target=next, args=(dropped,)).start()
        del dropped
        gc.collect()
        async def main():
            left = agenerate()
            print(await asyncio.create_task(left.__anext__()))
            closed = agenerate()
            await asyncio.create_task(closed.__anext__())
            await closed.aclose()
            async for _ in agenerate():
                break
            return left
        asyncio.run(main())
        print(here())
        """
    assert ["inside", "inside", "None", "inside", "None"] == play(text)


def test_a_stream_read_outside_its_block_is_the_blocks(run, llm):
    """A call belongs to the conversation that it was made in, wherever its answer is read."""
    text = """
        import httpx
        def stream():
            body = {"model": "gpt-4o-mini", "stream": True, "messages": []}
            with httpx.Client() as client:
                with client.stream("POST", sys.argv[1] + "/v1/chat/completions", json=body) as answer:
                    yield from answer.iter_lines()
        with sdk.conversation("asked"):
            lines = stream()
            next(lines)
        with sdk.conversation("other"):
            list(lines)
        """
    done = run(COMMON.replace("INFO", "WARNING") + dedent(text), llm.url)
    assert (0, "") == (done.returncode, done.stderr)
    assert ["asked"] == [span["attributes"]["lupis.chat.id"] for span in done.spans]


def test_the_narrower_wins(play):
    """Block, then metadata, then what is set for the process, then the variable."""
    text = """
        print(here())
        sdk.set_chat_id("set")
        print(here())
        sdk.set_metadata(LupisMetadata(chat_id="metadata"))
        print(here())
        with sdk.conversation("outer"):
            with sdk.conversation("inner"):
                print(here())
            with sdk.conversation(None, LupisMetadata(user_id="u")):
                print(here())
        sdk.clear_metadata(); sdk.clear_chat_id()
        print(here())
        """
    expected = ["variable", "set", "metadata", "inner", "outer", "variable"]
    assert expected == play(text, env={"LUPIS_CHAT_ID": "variable"})


MANY = """
import time
ready = threading.Barrier(200, timeout=60)

def ask(client, name):
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"x-mark": name, "content-type": "application/json"}
    return client.post(sys.argv[1] + "/v1/chat/completions", json=body, headers=headers)

def talk(client, name):
    with sdk.conversation(name, LupisMetadata(user_id="user of " + name)):
        ready.wait()
        for _ in range(3):
            ask(client, name)

async def atalk(client, name):
    for _ in range(3):
        await ask(client, name)

def options(name):
    return LupisBlockOptions(chat_id=name, metadata=LupisMetadata(user_id="user of " + name))

NAMES = [f"chat-{number}" for number in range(200)]
import httpx
if sys.argv[2] == "threads":
    with httpx.Client(timeout=60, limits=httpx.Limits(max_connections=50)) as client:
        threads = [threading.Thread(target=talk, args=(client, name)) for name in NAMES]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
else:
    async def main():
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            await asyncio.gather(
                *(sdk.run(lambda name=name: atalk(client, name), options(name)) for name in NAMES)
            )
    asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_two_hundred_conversations_at_once_never_mix(kind, run, llm):
    """Each call has the chat id and the user of its own."""
    done = run(COMMON.replace("INFO", "WARNING") + MANY, llm.url, kind, timeout=120)
    assert (0, "") == (done.returncode, done.stderr)
    found = [
        (
            span["attributes"]["http.request.header.x-mark"][0],
            span["attributes"]["lupis.chat.id"],
            span["attributes"]["user.id"],
        )
        for span in done.spans
    ]
    expected = [(f"chat-{n}", f"chat-{n}", f"user of chat-{n}") for n in range(200)]
    assert sorted(expected * 3) == sorted(found)
