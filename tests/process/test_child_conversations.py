"""Child processes inherit the current chat id and metadata."""

import sys
from textwrap import dedent

import pytest

posix = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
START_METHODS = [
    pytest.param("fork", marks=posix),
    pytest.param("spawn", marks=pytest.mark.slow),
    pytest.param("forkserver", marks=[posix, pytest.mark.slow]),
]

COMMON = """
import asyncio, json, os, subprocess, sys, threading
from lupis_instrument import LupisMetadata, LupisSDK

SHOW_CHAT_ID = "import os, sys; print(os.environ.get('LUPIS_CHAT_ID'), sys.argv)"
sdk = LupisSDK.get_instance()

def start_child(*command, **options):
    command = command or (sys.executable, "-c", SHOW_CHAT_ID)
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, **options).stdout.decode().split()[0]

def call(mark):
    import urllib.request
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(
        sys.argv[1] + "/v1/chat/completions", json.dumps(body).encode(), {"x-mark": mark}
    )
    return urllib.request.urlopen(request, timeout=60).read()
"""


@pytest.fixture
def run_program(run, llm):
    """Runs a program to its end, and returns the words that it printed."""

    def run_program(text, **options):
        done = run(COMMON + dedent(text), llm.url, **options)
        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout.split()

    return run_program


def chats_by_mark(sink):
    """Returns chat id and source of each call, by the mark in its header."""
    return {
        span["attributes"]["http.request.header.x-mark"][0]: (
            span["attributes"].get("lupis.chat.id"),
            span["attributes"].get("lupis.chat.source"),
        )
        for span in sink.spans
    }


def test_a_subprocess_has_the_current_chat_id(run_program):
    """It comes from a block, the process or the launch; this process's variables do not change."""
    text = """
        print(start_child())
        with sdk.conversation("block"):
            print(start_child())
            print(os.environ["LUPIS_CHAT_ID"])
        sdk.set_chat_id("set")
        print(start_child())
        """
    assert ["launch", "block", "launch", "set"] == run_program(
        text, env={"LUPIS_CHAT_ID": "launch"}
    )


def test_a_subprocess_has_the_ids_of_the_metadata(run_program):
    """Each id has a variable."""
    text = """
        names = ["LUPIS_USER_ID", "LUPIS_ORGANIZATION_ID", "LUPIS_SESSION_ID"]
        code = f"import os; print(','.join(map(os.environ.get, {names})))"
        with sdk.conversation(None, LupisMetadata("ann", "acme", "s1", extra={"plan": "pro"})):
            print(start_child(sys.executable, "-c", code))
        """
    assert ["ann,acme,s1"] == run_program(text)


@pytest.mark.slow
def test_calls_of_a_child_belong_to_the_conversation(run_program, sink):
    """So do calls of its own children and threads."""
    text = """
        if len(sys.argv) == 2:
            with sdk.conversation("trip"):
                for depth in ("1",):
                    subprocess.run([sys.executable, __file__, sys.argv[1], depth], check=True)
            subprocess.run([sys.executable, __file__, sys.argv[1], "none"], check=True)
        else:
            call(sys.argv[2])
            thread = threading.Thread(target=call, args=(sys.argv[2] + "-thread",))
            thread.start(); thread.join()
            if sys.argv[2] == "1":
                subprocess.run([sys.executable, __file__, sys.argv[1], "2"], check=True)
        """
    run_program(text, env={"LUPIS_AUTO_CHAT_ID": "false"})
    trip = ("trip", "environment")
    none = (None, None)
    assert {
        "1": trip, "1-thread": trip, "2": trip, "2-thread": trip, "none": none, "none-thread": none
    } == chats_by_mark(sink)  # fmt: skip


@pytest.mark.slow
def test_variables_that_the_program_sets_stay(run_program):
    """A copy of this process's variables has the current chat id."""
    text = """
        import copy
        with sdk.conversation("block"):
            print(start_child(env={"PATH": os.environ["PATH"]}))
            print(start_child(env={**os.environ, "LUPIS_CHAT_ID": "chosen"}))
            print(start_child(env={**os.environ, "MORE": "1"}))
            env = dict(os.environ)
            print(start_child(env=env), env == os.environ)
            print(subprocess.Popen(
                [sys.executable, "-c", SHOW_CHAT_ID], -1, None, None, subprocess.PIPE, None, None, True,
                False, None, {"LUPIS_CHAT_ID": "tenth"},
            ).communicate()[0].decode().split()[0])
        """
    assert ["None", "chosen", "block", "block", "True", "tenth"] == run_program(text)


def test_processes_of_asyncio_have_the_chat_id_of_their_task(run_program):
    """Four tasks start processes at the same time."""
    text = """
        async def child(name):
            with sdk.conversation(name):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", SHOW_CHAT_ID, stdout=asyncio.subprocess.PIPE
                )
                return (await process.communicate())[0].decode().split()[0]
        async def main():
            print(*await asyncio.gather(*map(child, "abcd")))
        asyncio.run(main())
        """
    assert [*"abcd"] == run_program(text)


@pytest.mark.slow
def test_simultaneous_processes_have_their_own_chat_ids(run_program):
    """Many threads start processes, each in its own conversation."""
    text = """
        from concurrent.futures import ThreadPoolExecutor
        def child(name):
            with sdk.conversation(name):
                return name == start_child("/bin/sh", "-c", "echo $LUPIS_CHAT_ID")
        with ThreadPoolExecutor(16) as pool:
            print(*set(pool.map(child, [f"chat-{number}" for number in range(200)])))
        """
    assert ["True"] == run_program(text)


def test_the_chat_id_is_not_on_the_command_line(run_program):
    """Other users of the machine can read command lines."""
    text = """
        import multiprocessing
        with sdk.conversation("unseen"):
            print(subprocess.check_output([sys.executable, "-c", "import sys; print(sys.orig_argv)"]))
        """
    if sys.version_info < (3, 10):
        pytest.skip("sys.orig_argv is new in 3.10")
    assert "unseen" not in " ".join(run_program(text))


@pytest.mark.slow
@pytest.mark.parametrize("value", ["'nul' + chr(0)", "chr(0xd800)", "'x' * 10**6"])
def test_a_chat_id_that_no_variable_can_hold_is_left_out(value, run_program):
    """The child starts without it."""
    text = f"""
        with sdk.conversation({value}):
            print(start_child())
        """
    assert ["None"] == run_program(text)


@pytest.mark.slow
def test_a_variable_leaves_children_without_the_chat_id(run_program):
    """The variable is LUPIS_INSTRUMENT_CHILDREN=false."""
    text = """
        with sdk.conversation("block"):
            print(start_child())
        """
    assert ["None"] == run_program(text, env={"LUPIS_INSTRUMENT_CHILDREN": "false"})


MULTIPROCESSING = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor

def call_in_child(mark):
    call(mark)
    sdk.flush(10)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    for name in ("one", "two"):
        with sdk.conversation(name):
            process = context.Process(target=call_in_child, args=(name,))
            process.start()
        process.join()
        assert process.exitcode == 0 and not [key for key in vars(process) if "lupis" in key]
    with sdk.conversation("pool"):
        pool = context.Pool(1)
    pool.map(call_in_child, ["pool"])
    pool.close(); pool.join()
    with sdk.conversation("executor"), ProcessPoolExecutor(1, context) as executor:
        executor.submit(call_in_child, "executor").result()
    process = context.Process(target=call_in_child, args=("none",))
    process.start(); process.join()
"""


@pytest.mark.parametrize("method", START_METHODS)
def test_children_of_multiprocessing_have_the_current_chat_id(method, run, llm, sink):
    """The next child is not in the conversation of the last."""
    done = run(COMMON + MULTIPROCESSING, llm.url, method, env={"LUPIS_AUTO_CHAT_ID": "false"})
    assert (0, "") == (done.returncode, done.stderr)
    source = "code" if method == "fork" else "environment"
    names = ("one", "two", "pool", "executor")
    expected = {name: (name, source) for name in names}
    assert {**expected, "none": (None, None)} == chats_by_mark(sink)


@posix
def test_a_forked_child_is_in_the_conversation(run_program, sink):
    """It has the context of the thread that forked."""
    text = """
        with sdk.conversation("trip"):
            pid = os.fork()
            if not pid:
                call("child"); sdk.shutdown_sync(); os._exit(0)
        os.waitpid(pid, 0)
        call("parent")
        """
    run_program(text, env={"LUPIS_AUTO_CHAT_ID": "false"})
    assert {"child": ("trip", "code"), "parent": (None, None)} == chats_by_mark(sink)


FAULTY = """
from lupis_instrument._instrumentation import child_processes as children
def fail(*_): raise ZeroDivisionError
children.changed_variables = fail
"""


def test_an_internal_error_prevents_no_process(run, llm):
    """The child runs without the chat id, and a line reports the error."""
    text = """
        import multiprocessing
        def work(): print("works", flush=True)
        if __name__ == "__main__":
            with sdk.conversation("trip"):
                print(start_child(), flush=True)
                process = multiprocessing.Process(target=work)
                process.start(); process.join()
        """
    done = run(COMMON + FAULTY + dedent(text), llm.url)
    assert ["None", "works"] == done.stdout.split()
    (line,) = done.stderr.splitlines()
    assert "handing a chat id to a process failed (ZeroDivisionError" in line


@pytest.mark.slow
def test_another_tools_popen_stays_unchanged(run, llm):
    """If its signature hides the arguments, processes start without the chat id."""
    text = """
        original = subprocess.Popen.__init__
        subprocess.Popen.__init__ = lambda self, *args, **kwargs: original(self, *args, **kwargs)
        with sdk.conversation("trip"):
            print(start_child())
        """
    done = run(COMMON + dedent(text), llm.url)
    assert ("None\n", "") == (done.stdout, done.stderr)


def test_popen_looks_the_same(run_program):
    """Its signature, name and errors do not change."""
    text = """
        import inspect
        sdk.flush(1)
        signature = inspect.signature(subprocess.Popen.__init__)
        print(list(signature.parameters)[1], subprocess.Popen.__init__.__qualname__)
        try:
            subprocess.Popen(["/no/such/program"])
        except FileNotFoundError as error:
            print(error.filename)
        """
    assert ["args", "Popen.__init__", "/no/such/program"] == run_program(text)
