"""A program that makes calls faster than one thread can prepare their spans loses none."""

import os
from collections import Counter
from textwrap import dedent

import pytest

CALLS_IN_THREADS = """
    import http.client, os, sys, threading
    from urllib.parse import urlsplit

    url = urlsplit(sys.argv[1])
    prefix, threads, calls = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    BODY = '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}'

    def work(thread):
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
        for number in range(calls):
            headers = {"content-type": "application/json", "x-mark": f"{prefix}-{thread}-{number}"}
            connection.request("POST", "/v1/chat/completions", BODY, headers)
            connection.getresponse().read()

    workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    [worker.start() for worker in workers]; [worker.join() for worker in workers]
"""
CALLS_IN_TASKS = """
    import asyncio, os, sys
    import aiohttp

    url, prefix, tasks, calls = *sys.argv[1:3], int(sys.argv[3]), int(sys.argv[4])
    BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}

    async def main():
        free = asyncio.Semaphore(tasks)
        connector = aiohttp.TCPConnector(limit=100)
        async with aiohttp.ClientSession(connector=connector) as session:
            async def call(number):
                body = {**BODY, "stream": number % 2 == 0}
                headers = {"x-mark": f"{prefix}-{number}"}
                address = url + "/v1/chat/completions"
                async with free, session.post(address, json=body, headers=headers) as response:
                    await response.read()
            await asyncio.gather(*map(call, range(tasks * calls)))

    asyncio.run(main())
"""
CALLS_IN_PROCESSES = """
    import subprocess, sys
    processes = int(sys.argv[2])
    command = [sys.executable, "calls.py", sys.argv[1]]
    children = [subprocess.Popen([*command, str(n), *sys.argv[3:]]) for n in range(processes)]
    sys.exit(max(child.wait() for child in children))
"""
FULL = bool(os.environ.get("LUPIS_TEST_ALL"))
PATIENT = {} if FULL else {"LUPIS_SHUTDOWN_TIMEOUT": "30"}
"""On a busy machine, even the small number of spans may take longer than the default timeout."""


def check_calls(done, run, sink, calls):
    """Checks that each call has arrived once, or is stored, and that the totals include it."""
    assert (0, "") == (done.returncode, done.stdout)
    assert f"lupis: {calls:,} LLM calls, " in done.stderr
    assert "lost" not in done.stderr
    assert f"  {calls:,} spans" in done.stderr
    assert "dropped" not in done.stderr
    flush = "import sys; from lupis_instrument._cli.lupis import main; sys.exit(main(['flush']))"
    run(flush, launched=False, timeout=120)
    marks = Counter(span["attributes"]["http.request.header.x-mark"][0] for span in sink.spans)
    assert (calls, 1) == (len(marks), max(marks.values()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "workers", "calls"),
    [
        pytest.param(CALLS_IN_THREADS, 64, 500 if FULL else 12, id="threads"),
        pytest.param(CALLS_IN_TASKS, 500, 40 if FULL else 2, id="tasks", marks=pytest.mark.slow),
    ],
)
def test_no_call_is_lost_under_overload(program, workers, calls, run, llm, sink):
    """The program's own threads prepare spans when the background thread can't keep up."""
    if program is CALLS_IN_TASKS:
        pytest.importorskip("aiohttp")
    env = {"LUPIS_SUMMARY": "true", **PATIENT}
    done = run(program, llm.url, "a", str(workers), str(calls), env=env, timeout=600)
    check_calls(done, run, sink, workers * calls)


@pytest.mark.slow
def test_no_call_of_many_processes_is_lost_under_overload(run, llm, sink):
    """The totals of the first process include the calls of all of them."""
    pytest.importorskip("aiohttp")
    tasks, calls = (500, 10) if FULL else (200, 2)
    (run.folder / "calls.py").write_text(dedent(CALLS_IN_TASKS), encoding="utf-8")
    processes = 4 if FULL else 2
    env = {"LUPIS_SUMMARY": "true", **PATIENT}
    arguments = [llm.url, str(processes), str(tasks), str(calls)]
    done = run(CALLS_IN_PROCESSES, *arguments, env=env, timeout=600)
    check_calls(done, run, sink, processes * tasks * calls)
