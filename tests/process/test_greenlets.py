"""A program may patch threads for gevent or eventlet at any moment: no greenlet stops, no call is lost."""

import os

import pytest
from servers.comparison import (
    Case,
    check_recorded_calls,
    check_same_behaviour,
    list_calling_cases,
    list_cases,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

LIBRARIES = {
    "gevent": """
def patch():
    from gevent import monkey
    monkey.patch_all()

def run_all(functions):
    import gevent
    return [greenlet.get() for greenlet in [gevent.spawn(function) for function in functions]]
""",
    "eventlet": """
import warnings
warnings.simplefilter("ignore")  # eventlet warns of its own age

def patch():
    import eventlet
    eventlet.monkey_patch()

def run_all(functions):
    import eventlet
    return [greenlet.wait() for greenlet in [eventlet.spawn(function) for function in functions]]
""",
}
TICKS = """
import functools, os, signal, sys, time
from library import patch, run_all

MAX_PAUSE_SECONDS = 4  # a wait for a thread would take 5 s

def tick():
    "Returns whether this greenlet runs often enough while others work."
    times = []
    for _ in range(25):
        times.append(time.monotonic())
        time.sleep(0.1)
    return max(later - earlier for earlier, later in zip(times, times[1:])) < MAX_PAUSE_SECONDS

def call_beside_ticks(marks, *others):
    from calls import call
    return run_all([tick, *(functools.partial(call, mark) for mark in marks), *others])
"""
FIRST_LINE = "from library import patch; patch()\n" + TICKS + "print(call_beside_ticks('abc'))"
AT_ONCE = TICKS + "from calls import call; call('early'); patch(); print(call_beside_ticks('abc'))"
AFTER_A_REST = (
    TICKS
    + "from calls import call; call('early'); time.sleep(3); patch(); print(call_beside_ticks('abc'))"
)
IN_A_FORKED_CHILD = (
    TICKS
    + """
from calls import call
call("early")
child = os.fork()
if child:
    sys.exit(os.waitpid(child, 0)[1] >> 8)
patch()
print(call_beside_ticks("abc"))
"""
)
WITH_A_FORK = (
    FIRST_LINE
    + """
sys.stdout.flush()
child = os.fork()
if not child:
    call_beside_ticks(["child"])
    os.kill(os.getpid(), signal.SIGTERM)
print(os.waitpid(child, 0)[1])
"""
)
ENDED_BY_A_SIGNAL = (
    AT_ONCE + "\nsys.stdout.flush(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"
)
FLUSH = (
    TICKS
    + """
from calls import call
call("early")
patch()
from lupis_instrument import LupisSDK
lupis = LupisSDK.get_instance()
def flush():
    return lupis.flush(2) if lupis else True
print(call_beside_ticks("ab", flush, flush))
"""
)


def case_of(library, text, recorded="early a b c", **more):
    """A case of a program that uses a library with greenlets."""
    files = {"library.py": LIBRARIES[library], "program.py": text}
    env = {"EVENTLET_NO_GREENDNS": "yes", "OTEL_BSP_SCHEDULE_DELAY": "500"}
    return Case(["{python}", "program.py"], recorded, files=files, needs=[library], env=env, **more)


CASES = {}
for name in LIBRARIES:
    CASES[f"{name}, patched first"] = case_of(name, FIRST_LINE, "a b c")
    CASES[f"{name}, patched right after a call"] = case_of(name, AT_ONCE)
    CASES[f"{name}, patched long after a call"] = case_of(name, AFTER_A_REST)
    CASES[f"{name}, patched in a forked child"] = case_of(name, IN_A_FORKED_CHILD)
    CASES[f"{name}, patched and forked"] = case_of(name, WITH_A_FORK, "a b c child")
    CASES[f"{name}, ended by a signal"] = case_of(name, ENDED_BY_A_SIGNAL, status=-15)
    CASES[f"{name}, flushed"] = case_of(name, FLUSH, "early a b")


@pytest.mark.parametrize("name", list_cases(CASES))
def test_programs_with_greenlets_behave_the_same(name, run_pair):
    """No greenlet waits for a thread of this package, and nothing is written to stderr."""
    check_same_behaviour(CASES[name], run_pair(name))


@pytest.mark.parametrize("name", list_calling_cases(CASES))
def test_the_collector_receives_each_call_of_a_greenlet_once(name, run_pair):
    """Also calls from before the patch."""
    check_recorded_calls(CASES[name], run_pair(name))
