"""In programs of many processes and threads, each call is delivered once."""

import os
import sys
from pathlib import Path

import pytest
from servers.comparison import (
    Case,
    check_recorded_calls,
    check_same_behaviour,
    list_calling_cases,
    list_cases,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

FORKING = ["{python}", "-W", "ignore::DeprecationWarning", "program.py"]
"""Python 3.12 warns of forks while another thread runs, and this package's threads may run."""

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
CLOSES_ALL_FILES = """
import os
from calls import call
call("before")
os.closerange(3, 256)
call("after")
"""
POSIX_SPAWN = """
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
CHILD_COMMAND = '[sys.executable, "child.py", "child"]'
EXEC = """
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
START_METHODS = ("fork", "spawn", "forkserver")
WORKER_KINDS = ("process", "pool", "executor")
THREADED = """
import threading
from concurrent.futures import ThreadPoolExecutor
from calls import call
threads = [threading.Thread(target=call, args=(f"t{n}",)) for n in range(4)]
[thread.start() for thread in threads]
with ThreadPoolExecutor(3) as pool:
    print(list(pool.map(call, ["p1", "p2", "p3", "p4"])))
[thread.join() for thread in threads]
print(threading.enumerate() == [threading.current_thread()])
"""
DAEMONIC_THREAD = """
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
OUTLIVING_THREAD = """
import threading
from calls import call
def work():
    call("late")
threading.Thread(target=work).start()
"""


CHILD_WITHOUT_CLIENT = """
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
CHILD_IMPORTS_CLIENT = """
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


def starts_subprocess(command=CHILD_COMMAND, options="shell=False", **calls):
    """A case of a program that starts another program with `subprocess`."""
    text = SUBPROCESS.format(command=command, options=options)
    return Case(text, **{"recorded": "child parent", **calls}, files=CHILD)


def starts_workers(kind, method):
    """A case of multiprocessing; the first call is in a child, so the parent has no export thread."""
    return Case(
        ["{python}", "workers.py", kind, method],
        "a b",
        files={"workers.py": WORKERS},
    )


def forks_after_calls(text, recorded):
    """A case of a program that forks after it has made calls."""
    return Case(FORKING, recorded, files={"program.py": text})


CASES = {
    "a fork": Case(FORK.format(before=""), "child after"),
    "a fork after a call": forks_after_calls(
        FORK.format(before="call('before')"), "before child after"
    ),
    "forks in forks": forks_after_calls(FORKS, "level1 level2 level3 parent"),
    "a daemon that closes all files": forks_after_calls(DAEMON, "before daemon"),
    "a program that closes all files": Case(CLOSES_ALL_FILES, "before after"),
    "a forked child that calls os._exit": Case(
        "import os\nfrom calls import call\n"
        "if not os.fork():\n    call('child'); os._exit(4)\n"
        "print(os.wait()[1] >> 8); call('parent')",
        "parent",
        unrecorded="child",
    ),
    "posix_spawn": Case(
        POSIX_SPAWN.replace("{environ}", "os.environ"), "child parent", files=CHILD
    ),
    "posix_spawn without variables": Case(
        POSIX_SPAWN.replace("{environ}", "{}"), "parent", unrecorded="child", files=CHILD
    ),
    "os.system": Case(
        "import os, sys\nprint(os.system(f'\"{sys.executable}\" child.py child'))",
        "child",
        files=CHILD,
    ),
    "a subprocess": starts_subprocess(),
    "a subprocess in a shell": starts_subprocess(
        "f'\"{sys.executable}\" child.py child'", "shell=True"
    ),
    "a subprocess without variables": starts_subprocess(
        options="env={}", recorded="parent", unrecorded="child"
    ),
    "a subprocess with few variables": starts_subprocess(
        options="env={'PATH': os.environ['PATH']}", recorded="parent", unrecorded="child"
    ),
    "a subprocess with variables copied": starts_subprocess(options="env=dict(os.environ, A='1')"),
    "an isolated subprocess": starts_subprocess(
        "[sys.executable, '-I', '-c', 'import sys; sys.path[:0] = [\".\"]; import child', 'child']",
        recorded="parent",
        unrecorded="child",
    ),
    "a subprocess that is started by a fork": starts_subprocess(
        options="start_new_session=True, preexec_fn=lambda: None, close_fds=False"
    ),
    "exec of another program": Case(EXEC.format(before=""), "child", files=CHILD),
    "exec of another program after a call": Case(
        EXEC.format(before=CALL + "call('before')"), "before child", files=CHILD
    ),
    "exec of a program on the path": Case(
        EXEC.format(before=CALL + "call('before')").replace(
            "execv(sys.executable", "execvp('python3'"
        ),
        "before child",
        files=CHILD,
        env={"PATH": os.pathsep.join(["/nowhere", str(Path(sys.executable).parent)])},
    ),
    "exec of a missing program": Case(
        CALL + "import os\ncall('before')\n"
        "try:\n    os.execvp('nowhere', ['nowhere'])\nexcept OSError as error:\n    print(error)\n"
        "call('after')",
        "before after",
    ),
    **{
        f"multiprocessing: {kind}, {method}": starts_workers(kind, method)
        for kind in WORKER_KINDS
        for method in START_METHODS
    },
    **(
        {"children of multiprocessing without a client": Case(CHILD_WITHOUT_CLIENT)}
        if Path("/proc/self/task").exists()
        else {}
    ),
    "a child of multiprocessing that alone imports a client": Case(CHILD_IMPORTS_CLIENT, "child"),
    "threads": Case(THREADED, "p1 p2 p3 p4 t0 t1 t2 t3"),
    "a daemonic thread at the end": Case(DAEMONIC_THREAD, "daemon"),
    "a thread that outlives the main thread": Case(OUTLIVING_THREAD, "late"),
}
FAST_CASES = (
    "a fork after a call",
    "a daemon that closes all files",
    "posix_spawn",
    "a subprocess without variables",
    "exec of another program after a call",
    "multiprocessing: pool, fork",
    "multiprocessing: process, spawn",
    "multiprocessing: executor, forkserver",
    "threads",
    "a thread that outlives the main thread",
)
"""The cases that stand for the others in `make test`."""


@pytest.mark.parametrize("name", list_cases(CASES, FAST_CASES))
def test_programs_of_many_processes_behave_the_same(name, run_pair):
    """Output, status and files are the same."""
    check_same_behaviour(CASES[name], run_pair(name))


@pytest.mark.parametrize("name", list_calling_cases(CASES, FAST_CASES))
def test_the_collector_receives_each_call_once(name, run_pair):
    """Calls of all processes and threads are received."""
    check_recorded_calls(CASES[name], run_pair(name))
