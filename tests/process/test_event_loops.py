"""Programs with event loops and monkey patches behave the same, and their calls arrive."""

import os
import signal

import pytest
from servers.comparison import (
    Case,
    check_recorded_calls,
    check_same_behaviour,
    list_calling_cases,
    list_cases,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

CLIENTS = '''
"""Asynchronous calls, by httpx and by aiohttp."""

import calls

BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}

async def by_httpx(mark):
    import httpx
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(calls.URL, json=BODY, headers={"x-mark": mark})
        return answer.json()["usage"]["total_tokens"]

async def by_aiohttp(mark):
    import aiohttp
    async with aiohttp.ClientSession() as session:
        async with session.post(calls.URL, json=BODY, headers={"x-mark": mark}) as answer:
            return (await answer.json())["usage"]["total_tokens"]
'''
GATHERED = """
import asyncio
from clients import by_aiohttp, by_httpx
async def main():
    print(await asyncio.gather(*map(by_httpx, "abc"), *map(by_aiohttp, "def")))
"""
TWICE = """
import asyncio
from clients import by_aiohttp, by_httpx
for mark in "ab":
    print(asyncio.run(by_httpx(mark)), asyncio.run(by_aiohttp(mark * 2)))
"""
THREADED = """
import asyncio
from calls import call
async def main():
    loop = asyncio.get_running_loop()
    print(await asyncio.gather(*[loop.run_in_executor(None, call, mark) for mark in "abc"]))
asyncio.run(main())
"""
INTERRUPTED = """
import asyncio, os, signal
from clients import by_httpx
async def main():
    await by_httpx("a")
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(60)
asyncio.run(main())
"""
CANCELLED = """
import asyncio
from clients import by_aiohttp, by_httpx
async def main():
    await asyncio.gather(by_httpx("a"), by_aiohttp("b"))
    waiting = asyncio.ensure_future(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(waiting.cancel)
    await waiting
asyncio.run(main())
"""
PENDING = """
import asyncio
from clients import by_httpx
async def main():
    await by_httpx("a")
    asyncio.ensure_future(asyncio.sleep(60))
asyncio.run(main())
"""
SUBPROCESS = """
import asyncio, sys
async def main():
    child = await asyncio.create_subprocess_exec(sys.executable, "-c",
        "from calls import call; print(call('child'))", stdout=asyncio.subprocess.PIPE)
    print(await child.communicate(), child.returncode)
asyncio.run(main())
"""
ANYIO = """
import anyio, sys
from clients import by_httpx
async def main():
    async with anyio.create_task_group() as tasks:
        for mark in "abc":
            tasks.start_soon(by_httpx, mark)
    print("done")
anyio.run(main, backend=sys.argv[1])
anyio.run(by_httpx, "again", backend=sys.argv[1])
"""
GEVENT = """
from gevent import monkey; monkey.patch_all()
import gevent
from calls import call
print([job.get() for job in [gevent.spawn(call, mark) for mark in "abc"]])
"""
GEVENT_FORK = (
    GEVENT
    + """
import os, sys
sys.stdout.flush()
if not os.fork():
    call("child")
    sys.exit(3)
print(os.waitpid(-1, 0)[1] >> 8)
"""
)
GEVENT_POOL = """
from gevent import monkey; monkey.patch_all()
import gevent.pool, gevent.threadpool, threading
from calls import call
print(gevent.pool.Pool(2).map(call, "abc"), gevent.threadpool.ThreadPool(2).map(call, "de"))
thread = threading.Thread(target=call, args=("f",))
thread.start(); thread.join()
"""
GEVENT_CHILD = (
    GEVENT
    + """
import multiprocessing, time
def child():
    time.sleep(0.01)
    call("child")
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(30)
print(process.exitcode)
process.kill()
"""
)
GEVENT_SIGNAL = (
    GEVENT
    + """
import os, signal, sys
gevent.signal_handler(signal.SIGTERM, lambda: (print("handled", flush=True), os._exit(call("last"))))
os.kill(os.getpid(), signal.SIGTERM)
gevent.sleep(60)
"""
)
EVENTLET = """
import eventlet; eventlet.monkey_patch()
from calls import call
print(list(eventlet.GreenPool(2).imap(call, "abc")))
"""
EVENTLET_THREADS = """
import eventlet; eventlet.monkey_patch()
import threading
from calls import call
threads = [threading.Thread(target=call, args=(mark,)) for mark in "abc"]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print(eventlet.tpool.execute(call, "d") if hasattr(eventlet, "tpool") else call("d"))
"""


def loop_case(text, recorded, *needs, arguments=(), **more):
    """A case of a program that can import asynchronous clients."""
    command = ["{python}", "loop.py", *arguments]
    files = {"loop.py": text, "clients.py": CLIENTS}
    return Case(command, recorded, files=files, needs=needs, **more)


EVENTLET_VARIABLES = {
    "EVENTLET_NO_GREENDNS": "yes"
}  # eventlet patches dnspython, which then cannot import trio
CASES = {
    "asyncio": loop_case(GATHERED + "asyncio.run(main())", "a b c d e f"),
    "asyncio with warnings as errors": loop_case(
        GATHERED + "asyncio.run(main())", "a b c d e f", env={"PYTHONWARNINGS": "error"}
    ),
    "asyncio, run twice": loop_case(TWICE, "a aa b bb"),
    "asyncio with threads": loop_case(THREADED, "a b c"),
    "asyncio, interrupted": loop_case(INTERRUPTED, "a", status=-signal.SIGINT),
    "asyncio, cancelled": loop_case(CANCELLED, "a b", status=1, varying="0x[0-9a-f]+"),
    "asyncio, a task left over": loop_case(PENDING, "a"),
    "asyncio and a subprocess": loop_case(SUBPROCESS, "child"),
    "anyio over asyncio": loop_case(ANYIO, "a b c again", arguments=["asyncio"]),
    "anyio over trio": loop_case(ANYIO, "a b c again", "trio", arguments=["trio"]),
    "uvloop": loop_case(GATHERED + "import uvloop; uvloop.run(main())", "a b c d e f", "uvloop"),
    "uvloop, installed": loop_case(
        "import uvloop; uvloop.install()\n" + TWICE, "a aa b bb", "uvloop", varying="(?s).*Deprec.*"
    ),
    "gevent": loop_case(GEVENT, "a b c", "gevent"),
    "gevent with warnings as errors": loop_case(
        GEVENT, "a b c", "gevent", env={"PYTHONWARNINGS": "error"}
    ),
    "gevent and a fork": loop_case(GEVENT_FORK, "a b c child", "gevent"),
    "gevent and multiprocessing": loop_case(GEVENT_CHILD, "a b c child", "gevent"),
    "gevent, pools and threads": loop_case(GEVENT_POOL, "a b c d e f", "gevent"),
    "gevent and a signal": loop_case(
        GEVENT_SIGNAL, "", "gevent", unrecorded="a b c last", status=29
    ),
    "eventlet": loop_case(EVENTLET, "a b c", "eventlet", env=EVENTLET_VARIABLES),
    "eventlet with threads": loop_case(EVENTLET_THREADS, "a b c d", "eventlet", env=EVENTLET_VARIABLES),
}  # fmt: skip
FAST_CASES = (
    "asyncio",
    "asyncio with threads",
    "asyncio, interrupted",
    "asyncio and a subprocess",
)
"""The cases that stand for the others in `make test`."""


@pytest.mark.parametrize("name", list_cases(CASES, FAST_CASES))
def test_programs_with_event_loops_behave_the_same(name, run_pair):
    """Output, status and files are the same."""
    check_same_behaviour(CASES[name], run_pair(name))


@pytest.mark.parametrize("name", list_calling_cases(CASES, FAST_CASES))
def test_the_collector_receives_each_call_once(name, run_pair):
    """Calls of coroutines, greenlets, threads and children are received."""
    check_recorded_calls(CASES[name], run_pair(name))
