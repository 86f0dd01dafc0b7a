"""Programs of more than one process or thread: each delivers what it called, once."""

import os
import sys
from pathlib import Path

import pytest
from servers.pair import Case, Pairs, arrivals, check_arrived, check_transparent, parameters

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

FORKING = ["{python}", "-W", "ignore::DeprecationWarning", "program.py"]
"""From 3.12 on Python warns of forks where a thread runs, and ours may run."""

CALL = "from calls import call\n"
CHILD = {"child.py": 'import sys\nfrom calls import call\nprint("child", call(sys.argv[1]))\n'}
FORK = """
import os, sys
from calls import call
{before}
child = os.fork()
if not child:
    call("child")
    sys.exit(3)
print(os.waitpid(child, 0)[1] >> 8, flush=True)
call("after")
"""
FORKS = """
import os, sys
from calls import call
def go_on(level):
    if not level:
        return
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
    else:
        call(f"level{level}")
        go_on(level - 1)
        sys.exit()
go_on(3)
call("parent")
"""
DAEMON = """
import os, sys
from calls import call
call("before")
if not os.fork():
    os.setsid()
    if not os.fork():
        os.closerange(0, 256)
        os.open(os.devnull, os.O_RDWR), os.dup(0), os.dup(0)
        call("daemon")
        sys.exit()
    os._exit(0)
os.wait()
"""
OWN_CLOSED = """
import os
from calls import call
call("before")
os.closerange(3, 256)
call("after")
"""
SPAWNED = """
import os, sys
from calls import call
pid = os.posix_spawn(sys.executable, [sys.executable, "child.py", "child"], {environ})
print(os.waitpid(pid, 0)[1])
call("parent")
"""
SUBPROCESS = """
import os, subprocess, sys
from calls import call
print(subprocess.run({command}, {options}, capture_output=True, check=True).stdout)
call("parent")
"""
LIST = '[sys.executable, "child.py", "child"]'
EXECUTED = """
import os, sys
{before}
os.execv(sys.executable, [sys.executable, "child.py", "child"])
"""
WORKERS = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from calls import call

def process(context):
    children = [context.Process(target=call, args=(mark,)) for mark in ("a", "b")]
    [child.start() for child in children]
    [child.join() for child in children]
    return [child.exitcode for child in children]

def pool(context):
    with context.Pool(2) as workers:
        totals = workers.map(call, ["a", "b"])
        workers.close()
        workers.join()
    return totals

def executor(context):
    with ProcessPoolExecutor(2, mp_context=context) as workers:
        return list(workers.map(call, ["a", "b"]))

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    print(globals()[sys.argv[1]](context), multiprocessing.active_children())
"""
METHODS = ("fork", "spawn", "forkserver")
KINDS = ("process", "pool", "executor")
THREADED = """
import threading
from concurrent.futures import ThreadPoolExecutor
from calls import call
threads = [threading.Thread(target=call, args=(f"t{n}",)) for n in range(4)]
[thread.start() for thread in threads]
with ThreadPoolExecutor(3) as pool:
    print(list(pool.map(call, ["p1", "p2", "p3", "p4"])))
[thread.join() for thread in threads]
print([thread.name for thread in threading.enumerate() if not thread.name.startswith("lupis-")])
"""
DAEMONIC = """
import threading, time
from calls import call
called = threading.Event()
def work():
    call("daemon")
    called.set()
    time.sleep(600)
threading.Thread(target=work, daemon=True).start()
called.wait()
"""
STILL_CALLING = """
import threading
from calls import call
def work():
    call("late")
threading.Thread(target=work).start()
"""


WITHOUT_CLIENT = """
import multiprocessing, os, signal
def child():
    kept = [len(os.listdir(folder)) for folder in ("/proc/self/fd", "/proc/self/task")]
    print(kept, signal.getsignal(signal.SIGTERM), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
if __name__ == "__main__":
    for method in ("fork", "forkserver"):
        process = multiprocessing.get_context(method).Process(target=child)
        process.start()
        process.join()
        print(process.exitcode)
"""
CLIENT_OF_ITS_OWN = """
import multiprocessing, os, signal, time
def child(called):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    from calls import call
    call("child")
    called.set()
    time.sleep(60)
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    called = context.Event()
    process = context.Process(target=child, args=(called,))
    process.start()
    called.wait()
    process.terminate()
    process.join(30)
    print(process.exitcode)
"""


def subprocesses(command=LIST, options="shell=False", **calls):
    """A case of a program that starts another by `subprocess`."""
    text = SUBPROCESS.format(command=command, options=options)
    return Case(text, **{"marks": "child parent", **calls}, files=CHILD)


def workers(kind, method):
    """A case of multiprocessing; where the first call is the children's, no thread of ours runs."""
    return Case(
        ["{python}", "workers.py", kind, method],
        "a b",
        files={"workers.py": WORKERS},
    )


def forking(text, marks):
    """A case of a program that forks where it has made calls."""
    return Case(FORKING, marks, files={"program.py": text})


CASES = {
    "a fork": Case(FORK.format(before=""), "child after"),
    "a fork after a call": forking(FORK.format(before="call('before')"), "before child after"),
    "forks in forks": forking(FORKS, "level1 level2 level3 parent"),
    "a daemon that closes all files": forking(DAEMON, "before daemon"),
    "a program that closes all files": Case(OWN_CLOSED, "before after"),
    "a process that ends itself in a fork": Case(
        "import os\nfrom calls import call\n"
        "if not os.fork():\n    call('child'); os._exit(4)\n"
        "print(os.wait()[1] >> 8); call('parent')",
        "parent",
        unseen="child",
    ),
    "posix_spawn": Case(SPAWNED.replace("{environ}", "os.environ"), "child parent", files=CHILD),
    "posix_spawn without variables": Case(
        SPAWNED.replace("{environ}", "{}"), "parent", unseen="child", files=CHILD
    ),
    "os.system": Case(
        "import os, sys\nprint(os.system(f'{sys.executable} child.py child'))", "child", files=CHILD
    ),
    "a subprocess": subprocesses(),
    "a subprocess in a shell": subprocesses("f'{sys.executable} child.py child'", "shell=True"),
    "a subprocess without variables": subprocesses(
        options="env={}", marks="parent", unseen="child"
    ),
    "a subprocess with few variables": subprocesses(
        options="env={'PATH': os.environ['PATH']}", marks="parent", unseen="child"
    ),
    "a subprocess with variables copied": subprocesses(options="env=dict(os.environ, A='1')"),
    "an isolated subprocess": subprocesses(
        "[sys.executable, '-I', '-c', 'import sys; sys.path[:0] = [\".\"]; import child', 'child']",
        marks="parent",
        unseen="child",
    ),
    "a subprocess of a forking kind": subprocesses(
        options="start_new_session=True, preexec_fn=lambda: None, close_fds=False"
    ),
    "another program in its place": Case(EXECUTED.format(before=""), "child", files=CHILD),
    "another program in its place after a call": Case(
        EXECUTED.format(before=CALL + "call('before')"), "before child", files=CHILD
    ),
    "another program in its place, found on the path": Case(
        EXECUTED.format(before=CALL + "call('before')").replace(
            "execv(sys.executable", "execvp('python3'"
        ),
        "before child",
        files=CHILD,
        env={"PATH": os.pathsep.join(["/nowhere", str(Path(sys.executable).parent)])},
    ),
    "another program that isn't there": Case(
        CALL + "import os\ncall('before')\n"
        "try:\n    os.execvp('nowhere', ['nowhere'])\nexcept OSError as error:\n    print(error)\n"
        "call('after')",
        "before after",
    ),
    **{
        f"multiprocessing: {kind}, {method}": workers(kind, method)
        for kind in KINDS
        for method in METHODS
    },
    **(
        {"children of multiprocessing without a client": Case(WITHOUT_CLIENT)}
        if Path("/proc/self/task").exists()
        else {}
    ),
    "a child of multiprocessing with a client of its own": Case(CLIENT_OF_ITS_OWN, "child"),
    "threads": Case(THREADED, "p1 p2 p3 p4 t0 t1 t2 t3"),
    "a daemonic thread at the end": Case(DAEMONIC, "daemon"),
    "a thread that outlives the program's text": Case(STILL_CALLING, "late"),
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Runs a case without us and with us."""
    return Pairs(CASES, tmp_path_factory.mktemp("children") / "run")


@pytest.mark.parametrize("name", parameters(CASES))
def test_programs_of_many_processes_do_the_same(name, pair):
    """Same output, status and files."""
    check_transparent(CASES[name], pair(name))


@pytest.mark.parametrize("name", arrivals(CASES))
def test_their_calls_arrive_once(name, pair):
    """Whichever process or thread made them."""
    check_arrived(CASES[name], pair(name))
