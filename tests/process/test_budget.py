"""A budget limits the cost of all processes of a launch."""

import os
import signal

import pytest

TWO_CALLS = {"LUPIS_MAX_COST": "0.00002", "LUPIS_ON_LIMIT": "block"}
"""The second call of gpt-4o-mini reaches this budget."""
ATTEMPT = """
def attempt():
    try:
        call()
        print("sent", flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
"""

CLIENTS = """
import asyncio, http.client, importlib, json, sys, urllib.request

URL = sys.argv[1] + "/v1/chat/completions"
BODY = {"model": "gpt-4o-mini", "messages": []}
DATA, HEADERS = json.dumps(BODY).encode(), {"content-type": "application/json"}

def call_urllib():
    urllib.request.urlopen(urllib.request.Request(URL, DATA, HEADERS))

def call_requests(requests):
    requests.post(URL, json=BODY)

def call_urllib3(urllib3):
    urllib3.PoolManager(retries=False).request("POST", URL, body=DATA, headers=HEADERS)

def call_httpx(httpx):
    httpx.post(URL, json=BODY)

def call_httpx_async(httpx):
    async def post():
        async with httpx.AsyncClient() as client:
            await client.post(URL, json=BODY)
    asyncio.run(post())

def call_aiohttp(aiohttp):
    async def post():
        async with aiohttp.ClientSession() as session, session.post(URL, json=BODY):
            pass
    asyncio.run(post())

for name, function in list(globals().items()):
    if name.startswith("call_"):
        try:
            module = name.split("_")[1]
            function(*[importlib.import_module(module)] if module != "urllib" else [])
        except ModuleNotFoundError:
            pass
        except Exception as error:
            print(name, type(error).__name__)
        else:
            print(name, "sent")
"""


def test_each_client_refuses_calls(run, llm):
    """The error is raised before anything is sent, in synchronous and asynchronous code."""
    before = len(llm.seen)
    env = {"LUPIS_MAX_COST": "0", "LUPIS_ON_LIMIT": "block", "LUPIS_EXPORTER": "none"}
    done = run(CLIENTS, llm.url, env=env)
    assert {"LupisBudgetError"} == {line.split()[1] for line in done.stdout.splitlines()}
    assert (0, "") == (done.returncode, done.stderr)
    assert before == len(llm.seen)


def test_no_call_is_sent_after_the_budget_is_used_up(run_caller):
    """The costs of ended calls are known before the next call is sent."""
    done = run_caller(ATTEMPT + "for _ in range(4): attempt()", env=TWO_CALLS)
    assert ["sent", "sent", "LupisBudgetError", "LupisBudgetError"] == done.stdout.split()
    (line,) = done.stderr.splitlines()
    assert "the budget is used up: $0.0000" in line


@pytest.mark.slow
def test_all_processes_share_the_budget(run_caller):
    """A process knows the costs of the processes that have ended before it."""
    text = f"""
import subprocess
from lupis_instrument import LupisSDK
{ATTEMPT}
attempt()
LupisSDK.get_instance().flush()  # a cost is known half a second after its call at the latest
for _ in range(2 if not sys.argv[2:] else 0):
    subprocess.run([sys.executable, __file__, sys.argv[1], "child"], check=True)
"""
    done = run_caller(text, env=TWO_CALLS)
    assert ["sent", "sent", "LupisBudgetError"] == done.stdout.split()
    assert 1 == done.stderr.count("the budget is used up")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_forked_children_share_the_budget(run_caller):
    """A child goes on with the costs of its parent."""
    text = ATTEMPT + "attempt()\nif os.fork(): os.wait()\nattempt()"
    done = run_caller(text, env=TWO_CALLS)
    assert ["LupisBudgetError", "sent", "sent"] == sorted(done.stdout.split())


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_a_launch_is_stopped_by_a_signal(run_caller):
    """The signal comes while the program waits."""
    env = {**TWO_CALLS, "LUPIS_ON_LIMIT": "stop"}
    done = run_caller(
        "call(); call(); signal.pause()".replace("signal", "__import__('signal')"), env=env
    )
    assert -signal.SIGTERM == done.returncode
    assert "this launch is stopped" in done.stderr


@pytest.mark.slow
def test_a_warning_refuses_nothing(run_caller):
    """This is the default of LUPIS_ON_LIMIT."""
    done = run_caller("call(); call(); call()", env={"LUPIS_MAX_COST": "0.00002"})
    assert 0 == done.returncode
    assert 1 == len(done.stderr.splitlines())


def test_a_wrong_amount_is_an_error(run_caller):
    """lupis-run finds it before it starts the program."""
    done = run_caller("", env={"LUPIS_MAX_COST": "much"})
    assert 2 == done.returncode
    assert "LUPIS_MAX_COST='much': expected an amount in USD" in done.stderr
