"""The adapters of WebSocket clients, when a send is cancelled and when they fail themselves."""

from pathlib import Path

import pytest

pytest.importorskip("websockets.asyncio.client")

from servers import llm_sockets

PROGRAM = Path(__file__).parent / "clients" / "use_sockets.py"
DRAIN = """
import asyncio, json, os, sys, warnings
warnings.simplefilter("ignore")

async def open_aiohttp(url):
    import aiohttp
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await talk(socket.send_str, socket.receive_str)

async def open_websockets(url):
    import importlib
    module = importlib.import_module(f"websockets.{sys.argv[2]}.client")
    async with module.connect(url) as socket:
        await talk(socket.send, socket.recv)

async def talk(send, receive):
    request = {"type": "response.create", "model": "gpt-4o-mini", "input": os.urandom(8_000_000).hex()}
    sending = asyncio.create_task(send(json.dumps(request)))
    await asyncio.sleep(0)
    sending.cancel()
    (result,) = await asyncio.gather(sending, return_exceptions=True)
    print(type(result).__name__)
    while json.loads(await receive())["type"] != "response.completed":
        pass

open_socket = open_aiohttp if sys.argv[2] == "aiohttp" else open_websockets
asyncio.run(open_socket(sys.argv[1] + "/v1/responses"))
"""
CLOSED_ERRORS = ("ClosedError", "ConnectionClosedError", "WebSocketConnectionClosedException")
FAULTS = (
    ("asyncio", "realtime", "websockets:read_url"),
    ("sync", "realtime", "websockets:format_url"),
    ("sync", "close", "websockets:make_closed_error"),
    ("legacy", "realtime", "websockets_legacy:_read_url"),
    ("aiohttp", "realtime", "aiohttp_websocket:_read_url"),
    ("aiohttp", "realtime", "aiohttp_websocket:_read_message"),
    ("aiohttp", "close", "aiohttp_websocket:_make_closed_error"),
    ("websocket", "realtime", "websocket_client:_remove_password"),
    ("websocket", "lose", "websocket_client:_return_error"),
    ("websocket", "close", "websocket_client:_make_closed_error"),
    ("legacy", "realtime", "socket_watcher:_to_bytes"),
    ("websocket", "realtime", "socket_watcher:SocketWatcher.send"),
    ("asyncio", "realtime", "socket_watcher:SocketWatcher.send"),
    ("aiohttp", "realtime", "socket_watcher:SocketWatcher.send"),
)
"""Each has a client, a case of the program, and a function that fails."""


@pytest.fixture(scope="module")
def url():
    """The address of a server with the WebSocket APIs of LLM providers."""
    with llm_sockets.serving() as server_url:
        yield server_url


def skip_unless_installed(client):
    """Skips a test whose client library is not installed."""
    names = {"aiohttp": "aiohttp", "legacy": "websockets.legacy.client", "websocket": "websocket"}
    pytest.importorskip(names.get(client, "websockets"))


@pytest.mark.parametrize("client", ["asyncio", "legacy", "aiohttp"])
def test_a_request_that_waits_for_the_network_is_sent(run, url, client):
    """The program cancels the wait alone: the message is written before."""
    skip_unless_installed(client)
    done = run(DRAIN, url, client)
    assert ("CancelledError\n", "") == (done.stdout, done.stderr)
    (span,) = [span for span in done.spans if "gen_ai.operation.name" in span["attributes"]]
    assert 120 == span["attributes"]["gen_ai.usage.input_tokens"]
    assert "error.type" not in span["attributes"]


@pytest.mark.parametrize(("client", "case", "target"), FAULTS)
def test_the_program_runs_on_after_a_fault_in_an_adapter(run, url, client, case, target):
    """Its messages and errors are the same, and no fault has a traceback."""
    skip_unless_installed(client)
    module, _, path = target.partition(":")
    *parents, name = path.split(".")
    text = f"""
import importlib
owner = importlib.import_module("lupis_instrument._instrumentation.clients.{module}")
for parent in {parents}:
    owner = getattr(owner, parent)
def fail(*_, **__):
    global failed
    failed = True
    raise ZeroDivisionError("injected")
setattr(owner, "{name}", fail)
"""
    done = run(text + PROGRAM.read_text() + "\nprint('==', failed)\n", url, client, case)
    assert done.stdout.endswith("== True\n")
    lines = [line for line in done.stdout.splitlines() if not line.startswith("==")]
    assert 0 == done.returncode
    if case == "realtime":
        assert ["response.done 150"] * 2 == lines
    else:
        assert lines[0] in CLOSED_ERRORS
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr
