"""What is in force follows the work into processes."""

import sys
from textwrap import dedent

import pytest

posix = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
METHODS = [pytest.param("fork", marks=posix), "spawn", pytest.param("forkserver", marks=posix)]

COMMON = """
import asyncio, json, os, subprocess, sys, threading
from lupis_instrument import LupisMetadata, LupisSDK

SHOW = "import os, sys; print(os.environ.get('LUPIS_CHAT_ID'), sys.argv)"
sdk = LupisSDK.get_instance()

def show(*command, **options):
    command = command or (sys.executable, "-c", SHOW)
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, **options).stdout.decode().split()[0]

def ask(mark):
    import urllib.request
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(
        sys.argv[1] + "/v1/chat/completions", json.dumps(body).encode(), {"x-mark": mark}
    )
    return urllib.request.urlopen(request, timeout=10).read()
"""


@pytest.fixture
def play(run, llm):
    """Runs a program to its end, and gives the words that it printed."""

    def play(text, **options):
        done = run(COMMON + dedent(text), llm.url, **options)
        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout.split()

    return play


def marked(sink):
    """Chat id and source of each call, by the mark in its header."""
    return {
        span["attributes"]["http.request.header.x-mark"][0]: (
            span["attributes"].get("lupis.chat.id"),
            span["attributes"].get("lupis.chat.source"),
        )
        for span in sink.spans
    }


def test_a_subprocess_has_the_chat_id_in_force(play):
    """Of a block, of the process, or the launch's; this process's variables stay as they are."""
    text = """
        print(show())
        with sdk.conversation("block"):
            print(show())
            print(os.environ["LUPIS_CHAT_ID"])
        sdk.set_chat_id("set")
        print(show())
        """
    assert ["wide", "block", "wide", "set"] == play(text, env={"LUPIS_CHAT_ID": "wide"})


def test_the_ids_of_the_metadata_go_along(play):
    """By their variables."""
    text = """
        names = ["LUPIS_USER_ID", "LUPIS_ORGANIZATION_ID", "LUPIS_SESSION_ID"]
        code = f"import os; print(','.join(map(os.environ.get, {names})))"
        with sdk.conversation(None, LupisMetadata("ann", "acme", "s1", extra={"plan": "pro"})):
            print(show(sys.executable, "-c", code))
        """
    assert ["ann,acme,s1"] == play(text)


def test_a_childs_calls_belong_to_the_conversation(play, sink):
    """And those of its own children, and of its threads."""
    text = """
        if len(sys.argv) == 2:
            with sdk.conversation("trip"):
                for depth in ("1",):
                    subprocess.run([sys.executable, __file__, sys.argv[1], depth], check=True)
            subprocess.run([sys.executable, __file__, sys.argv[1], "none"], check=True)
        else:
            ask(sys.argv[2])
            thread = threading.Thread(target=ask, args=(sys.argv[2] + "-thread",))
            thread.start(); thread.join()
            if sys.argv[2] == "1":
                subprocess.run([sys.executable, __file__, sys.argv[1], "2"], check=True)
        """
    play(text, env={"LUPIS_AUTO_CHAT_ID": "false"})
    trip = ("trip", "environment")
    none = (None, None)
    assert {
        "1": trip, "1-thread": trip, "2": trip, "2-thread": trip, "none": none, "none-thread": none
    } == marked(sink)  # fmt: skip


def test_variables_of_the_programs_own_choice_stay(play):
    """An environment of its own, one that says otherwise; one passed on is this process's."""
    text = """
        import copy
        with sdk.conversation("block"):
            print(show(env={"PATH": os.environ["PATH"]}))
            print(show(env={**os.environ, "LUPIS_CHAT_ID": "theirs"}))
            print(show(env={**os.environ, "MORE": "1"}))
            env = dict(os.environ)
            print(show(env=env), env == os.environ)
            print(subprocess.Popen(
                [sys.executable, "-c", SHOW], -1, None, None, subprocess.PIPE, None, None, True,
                False, None, {"LUPIS_CHAT_ID": "tenth"},
            ).communicate()[0].decode().split()[0])
        """
    assert ["None", "theirs", "block", "block", "True", "tenth"] == play(text)


def test_asyncios_processes_have_it_too(play):
    """Each task's its own."""
    text = """
        async def child(name):
            with sdk.conversation(name):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", SHOW, stdout=asyncio.subprocess.PIPE
                )
                return (await process.communicate())[0].decode().split()[0]
        async def main():
            print(*await asyncio.gather(*map(child, "abcd")))
        asyncio.run(main())
        """
    assert [*"abcd"] == play(text)


def test_processes_started_at_once_are_never_mixed_up(play):
    """From many threads, each in its own conversation."""
    text = """
        from concurrent.futures import ThreadPoolExecutor
        def child(name):
            with sdk.conversation(name):
                return name == show("/bin/sh", "-c", "echo $LUPIS_CHAT_ID")
        with ThreadPoolExecutor(16) as pool:
            print(*set(pool.map(child, [f"chat-{number}" for number in range(200)])))
        """
    assert ["True"] == play(text)


def test_nothing_of_it_is_on_a_command_line(play):
    """Where other users of the machine would see it."""
    text = """
        import multiprocessing
        with sdk.conversation("unseen"):
            print(subprocess.check_output([sys.executable, "-c", "import sys; print(sys.orig_argv)"]))
        """
    if sys.version_info < (3, 10):
        pytest.skip("sys.orig_argv is new in 3.10")
    assert "unseen" not in " ".join(play(text))


@pytest.mark.parametrize("value", ["'nul' + chr(0)", "chr(0xd800)", "'x' * 10**6"])
def test_what_no_variable_can_hold_disturbs_nothing(value, play):
    """The child starts without it."""
    text = f"""
        with sdk.conversation({value}):
            print(show())
        """
    assert ["None"] == play(text)


def test_children_may_be_left_alone(play):
    """LUPIS_INSTRUMENT_CHILDREN=false."""
    text = """
        with sdk.conversation("block"):
            print(show())
        """
    assert ["None"] == play(text, env={"LUPIS_INSTRUMENT_CHILDREN": "false"})


MULTIPROCESSING = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor

def show_in_child(mark):
    ask(mark)
    sdk.flush(10)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    for name in ("one", "two"):
        with sdk.conversation(name):
            process = context.Process(target=show_in_child, args=(name,))
            process.start()
        process.join()
        assert process.exitcode == 0 and not [key for key in vars(process) if "lupis" in key]
    with sdk.conversation("pool"):
        pool = context.Pool(1)
    pool.map(show_in_child, ["pool"])
    pool.close(); pool.join()
    with sdk.conversation("executor"), ProcessPoolExecutor(1, context) as executor:
        executor.submit(show_in_child, "executor").result()
    process = context.Process(target=show_in_child, args=("none",))
    process.start(); process.join()
"""


@pytest.mark.parametrize("method", METHODS)
def test_multiprocessings_children_have_it(method, run, llm, sink):
    """However they are started; the next one isn't in the conversation of the last."""
    done = run(COMMON + MULTIPROCESSING, llm.url, method, env={"LUPIS_AUTO_CHAT_ID": "false"})
    assert (0, "") == (done.returncode, done.stderr)
    source = "code" if method == "fork" else "environment"
    names = ("one", "two", "pool", "executor")
    expected = {name: (name, source) for name in names}
    assert {**expected, "none": (None, None)} == marked(sink)


@posix
def test_a_forked_child_is_in_the_conversation(play, sink):
    """It has the context of the thread that forked."""
    text = """
        with sdk.conversation("trip"):
            pid = os.fork()
            if not pid:
                ask("child"); sdk.shutdown_sync(); os._exit(0)
        os.waitpid(pid, 0)
        ask("parent")
        """
    play(text, env={"LUPIS_AUTO_CHAT_ID": "false"})
    assert {"child": ("trip", "code"), "parent": (None, None)} == marked(sink)


FAULTY = """
from lupis_instrument._instrumentation import child_processes as children
def fail(*_): raise ZeroDivisionError
children.changed_variables = fail
"""


def test_a_fault_of_ours_keeps_no_process_from_starting(run, llm):
    """The child runs without the chat id, and one line says so."""
    text = """
        import multiprocessing
        def work(): print("works", flush=True)
        if __name__ == "__main__":
            with sdk.conversation("trip"):
                print(show(), flush=True)
                process = multiprocessing.Process(target=work)
                process.start(); process.join()
        """
    done = run(COMMON + FAULTY + dedent(text), llm.url)
    assert ["None", "works"] == done.stdout.split()
    (line,) = done.stderr.splitlines()
    assert "handing a chat id to a process failed (ZeroDivisionError" in line


def test_a_popen_of_another_tools_is_left_alone(run, llm):
    """One that shows nothing of what it takes: processes start, without the chat id."""
    text = """
        theirs = subprocess.Popen.__init__
        subprocess.Popen.__init__ = lambda self, *args, **kwargs: theirs(self, *args, **kwargs)
        with sdk.conversation("trip"):
            print(show())
        """
    done = run(COMMON + dedent(text), llm.url)
    assert ("None\n", "") == (done.stdout, done.stderr)


def test_popen_looks_as_it_did(play):
    """Its signature, its name, its errors."""
    text = """
        import inspect
        sdk.flush(1)
        found = inspect.signature(subprocess.Popen.__init__)
        print(list(found.parameters)[1], subprocess.Popen.__init__.__qualname__)
        try:
            subprocess.Popen(["/no/such/program"])
        except FileNotFoundError as error:
            print(error.filename)
        """
    assert ["args", "Popen.__init__", "/no/such/program"] == play(text)
