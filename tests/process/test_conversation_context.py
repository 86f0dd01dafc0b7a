"""The current chat id applies to the tasks, callbacks, threads and generators of its block."""

import sys
from textwrap import dedent

import pytest
from servers.slow import slow_except

COMMON = '''
import asyncio, contextvars, gc, json, logging, sys, threading
from concurrent.futures import ThreadPoolExecutor
from lupis_instrument import LupisBlockOptions, LupisMetadata, LupisSDK

logging.basicConfig(level=logging.INFO)  # the test would see any log line
sdk = LupisSDK.get_instance()

def chat_id():
    """Starts a span, and returns the current chat id."""
    with sdk.create_span("a span"):
        pass
    from lupis_instrument._tracing.context import current_conversation
    return current_conversation().chat_id
'''


@pytest.fixture
def run_program(run):
    """Runs a program to its end, and returns the words that it printed."""

    def run_program(text, **options):
        done = run(COMMON + dedent(text), **options)
        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout.split()

    return run_program


def test_callbacks_and_tasks_of_asyncio_keep_the_chat_id(run_program):
    """They keep it if they run after the block has ended."""
    text = """
        async def later():
            await asyncio.sleep(0)
            return chat_id()
        async def main():
            loop = asyncio.get_running_loop()
            called, chat_ids = asyncio.Event(), []
            with sdk.conversation("trip"):
                task = asyncio.create_task(later())
                loop.call_soon(lambda: chat_ids.append(chat_id()))
                loop.call_later(0.01, lambda: (chat_ids.append(chat_id()), called.set()))
                future = loop.run_in_executor(None, chat_id)
                threading.Thread(
                    target=loop.call_soon_threadsafe, args=(lambda: chat_ids.append(chat_id()),)
                ).start()
            print(chat_id(), await task, await future)
            await called.wait()
            print(*chat_ids)
        asyncio.run(main())
        """
    assert ["None", "trip", "trip", "trip", "trip", "trip"] == run_program(text)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TaskGroup is new in 3.11")
def test_tasks_of_a_task_group_keep_the_chat_id(run_program):
    """Each task keeps the chat id of the block that created it."""
    text = """
        async def work(name, pairs):
            for _ in range(3):
                await asyncio.sleep(0)
                pairs.add((name, chat_id()))
        async def main():
            pairs = set()
            async with asyncio.TaskGroup() as group:
                for name in "abc":
                    with sdk.conversation(name):
                        group.create_task(work(name, pairs))
            print(*sorted(f"{name}{chat}" for name, chat in pairs))
        asyncio.run(main())
        """
    assert ["aa", "bb", "cc"] == run_program(text)


def test_threads_timers_and_pools_keep_the_chat_id(run_program):
    """The work in a pool's thread keeps the chat id of the block that submitted it."""
    text = """
        chat_ids = []
        with ThreadPoolExecutor(1) as pool:
            futures = []
            for name in "abc":
                with sdk.conversation(name):
                    futures.append(pool.submit(chat_id))
                    futures.append(pool.submit(asyncio.run, asyncio.sleep(0, 1)))
            futures.append(pool.submit(chat_id))
            print(*(future.result() for future in futures[::2] + futures[-1:]))
            with sdk.conversation("map"):
                print(*pool.map(lambda _: chat_id(), range(2)))
        with sdk.conversation("timer"):
            timer = threading.Timer(0.01, lambda: chat_ids.append(chat_id()))
            timer.start()
        timer.join()
        print(*chat_ids, chat_id())
        """
    assert ["a", "b", "c", "None", "None", "map", "map", "timer", "None"] == run_program(text)


def test_a_generator_has_the_chat_id_of_its_reader(run_program):
    """The block that made the generator does not matter."""
    text = """
        def generate():
            while True:
                yield chat_id()
        async def agenerate():
            while True:
                yield chat_id()
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
    assert ["made", "None", "read", "made", "None"] == run_program(text)


def test_an_abandoned_block_in_a_generator_logs_nothing(run_program):
    """The generator is closed in another context, dropped, or ended by the loop."""
    text = """
        def generate():
            with sdk.conversation("inside"):
                yield chat_id()
                yield chat_id()
        async def agenerate():
            with sdk.conversation("inside", name="a span too"):
                yield chat_id()
                yield chat_id()
        print(*generate(), chat_id())
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
        print(chat_id())
        """
    assert ["inside", "inside", "None", "inside", "None"] == run_program(text)


def test_a_stream_keeps_the_chat_id_of_its_call(run, llm):
    """Another block reads the rest of the response."""
    text = """
        import httpx
        def stream():
            body = {"model": "gpt-4o-mini", "stream": True, "messages": []}
            with httpx.Client() as client:
                with client.stream("POST", sys.argv[1] + "/v1/chat/completions", json=body) as answer:
                    yield from answer.iter_lines()
        with sdk.conversation("of the call"):
            lines = stream()
            next(lines)
        with sdk.conversation("other"):
            list(lines)
        """
    done = run(COMMON.replace("INFO", "WARNING") + dedent(text), llm.url)
    assert (0, "") == (done.returncode, done.stderr)
    assert ["of the call"] == [span["attributes"]["lupis.chat.id"] for span in done.spans]


def test_the_most_specific_chat_id_wins(run_program):
    """The order is block, metadata, the process's chat id, the variable."""
    text = """
        print(chat_id())
        sdk.set_chat_id("set")
        print(chat_id())
        sdk.set_metadata(LupisMetadata(chat_id="metadata"))
        print(chat_id())
        with sdk.conversation("outer"):
            with sdk.conversation("inner"):
                print(chat_id())
            with sdk.conversation(None, LupisMetadata(user_id="u")):
                print(chat_id())
        sdk.clear_metadata(); sdk.clear_chat_id()
        print(chat_id())
        """
    expected = ["variable", "set", "metadata", "inner", "outer", "variable"]
    assert expected == run_program(text, env={"LUPIS_CHAT_ID": "variable"})


MANY = """
import time
ready = threading.Barrier(200, timeout=120)

def call(client, name):
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"x-mark": name, "content-type": "application/json"}
    return client.post(sys.argv[1] + "/v1/chat/completions", json=body, headers=headers)

# On a busy machine, the system may reset a connection: the program tries again, as others do.
def talk(client, name):
    with sdk.conversation(name, LupisMetadata(user_id="user of " + name)):
        ready.wait()
        for _ in range(3):
            while True:
                try:
                    call(client, name)
                    break
                except httpx.TransportError:
                    pass

async def atalk(client, name):
    for _ in range(3):
        while True:
            try:
                await call(client, name)
                break
            except httpx.TransportError:
                pass

def options(name):
    return LupisBlockOptions(chat_id=name, metadata=LupisMetadata(user_id="user of " + name))

NAMES = [f"chat-{number}" for number in range(200)]
import httpx
if sys.argv[2] == "threads":
    with httpx.Client(timeout=120, limits=httpx.Limits(max_connections=50)) as client:
        threads = [threading.Thread(target=talk, args=(client, name)) for name in NAMES]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
else:
    async def main():
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(timeout=120, limits=limits) as client:
            await asyncio.gather(
                *(sdk.run(lambda name=name: atalk(client, name), options(name)) for name in NAMES)
            )
    asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", slow_except({"threads"}, ("threads", "asyncio")))
def test_two_hundred_simultaneous_conversations_never_mix(kind, run, llm):
    """Each call has the chat id and the user of its own block."""
    done = run(COMMON.replace("INFO", "WARNING") + MANY, llm.url, kind, timeout=200)
    assert (0, "") == (done.returncode, done.stderr)
    received = [
        (
            span["attributes"]["http.request.header.x-mark"][0],
            span["attributes"]["lupis.chat.id"],
            span["attributes"]["user.id"],
        )
        for span in done.spans
        if "error.type" not in span["attributes"]
    ]
    assert len(done.spans) - len(received) < 30
    expected = [(f"chat-{n}", f"chat-{n}", f"user of chat-{n}") for n in range(200)]
    assert sorted(expected * 3) == sorted(received)
