"""Gates: a client's instrumentation is switched on with its first request, once."""

import os
import subprocess
import sys
import threading
import types

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._instrumentation.activation import Activation, Calls
from lupis_instrument._instrumentation.suppression import ALL, NOBODY, objector


def test_it_opens_once(watched):
    """However often requests pass."""
    for _ in range(3):
        watched.activation.enter()
    assert (1, False) == (watched.opened, watched.activation.dormant)


def test_it_is_dormant_until_then(watched):
    """Nothing was loaded."""
    assert (0, True) == (watched.opened, watched.activation.dormant)


def test_threads_that_come_together_wait_for_the_first():
    """None of their requests passes before the instrumentor is in place."""
    done = []
    entered = threading.Event()
    go_on = threading.Event()

    def activate():
        entered.set()
        assert go_on.wait(5)
        done.append("activated")

    activation = Activation(activate, Calls())

    def request():
        activation.enter()
        done.append("passed")

    threads = [threading.Thread(target=request) for _ in range(4)]
    threads[0].start()
    assert entered.wait(5)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert ["activated", *["passed"] * 4] == done


def test_a_request_made_while_it_opens_passes():
    """The program's import hooks may make one."""
    passed = []

    def activate():
        activation.enter()
        passed.append(activation.dormant)

    activation = Activation(activate, Calls())
    activation.enter()
    assert ([True], False) == (passed, activation.dormant)


def test_a_fault_is_reported_once_and_not_tried_again(capsys):
    """The client works on without us."""
    diagnostics.reraise = False
    tries = []

    def activate():
        tries.append(1)
        raise ZeroDivisionError

    activation = Activation(activate, Calls())
    for _ in range(2):
        if activation.dormant:
            activation.enter()
    assert (1, False) == (len(tries), activation.dormant)
    assert 1 == capsys.readouterr().err.count("switching on an instrumentation failed")


def test_it_stays_shut_for_what_is_suppressed(watched):
    """Another instrumentor has the call, or it's our own; the next one may open it."""
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    with suppress_instrumentation():
        watched.activation.enter()
        assert (0, True, ALL) == (watched.opened, watched.activation.dormant, objector())
    watched.activation.enter()
    assert 1 == watched.opened


def test_nothing_is_suppressed_while_telemetry_is_being_loaded(monkeypatch):
    """Whoever makes a request then has not got as far."""
    half_loaded = types.ModuleType("opentelemetry.instrumentation.utils")
    monkeypatch.setitem(sys.modules, half_loaded.__name__, half_loaded)
    assert NOBODY == objector()


SLOW = """
import sys, threading, time
from lupis_instrument._instrumentation.suppression import NOBODY, objector
name = "opentelemetry.instrumentation.utils"
class Finder:
    def find_spec(self, wanted, path=None, target=None):
        if wanted != name:
            return None
        sys.meta_path.remove(self)
        import importlib.util
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def slowly(module):
            loading.set()
            time.sleep(0.2)
            execute(module)
        spec.loader.exec_module = slowly
        return spec
loading = threading.Event()
sys.meta_path.insert(0, Finder())
threading.Thread(target=__import__, args=(name,)).start()
loading.wait()
assert NOBODY == objector()
assert hasattr(sys.modules[name], "suppress_instrumentation")
"""


def test_a_request_waits_for_telemetry_that_another_thread_is_loading():
    """It must not go by unrecorded."""
    assert 0 == subprocess.run([sys.executable, "-c", SLOW], timeout=30, check=False).returncode


def test_there_is_no_call_before_telemetry_is_loaded():
    """Calls are not recorded until then."""
    assert None is Activation(lambda: None, Calls()).http_call()


def test_a_fault_in_finding_who_records_a_call_lets_it_in(capsys):
    """As the client would, without us."""
    from opentelemetry.instrumentation.utils import suppress_http_instrumentation

    diagnostics.reraise = False
    calls = Calls()
    calls.underway = lambda: 1 / 0
    with suppress_http_instrumentation():
        assert not Activation(print, calls).enter()
    assert "finding who records a call failed" in capsys.readouterr().err


def test_a_fault_in_finding_the_call_is_reported(capsys):
    """The call isn't recorded."""
    diagnostics.reraise = False
    calls = Calls()
    calls.current = lambda: 1 / 0
    assert None is Activation(lambda: None, calls).http_call()
    assert "finding the current call failed" in capsys.readouterr().err


FORK = """
import os, sys, threading
from lupis_instrument._instrumentation.activation import Activation, Calls
entered, go_on = threading.Event(), threading.Event()
def activate():
    opened.append(os.getpid())
    if os.getpid() == parent:
        entered.set()
        go_on.wait(20)
opened, parent = [], os.getpid()
activation = Activation(activate, Calls())
thread = threading.Thread(target=activation.enter)
thread.start()
entered.wait()
child = os.fork()
if not child:
    activation.enter()
    os._exit(opened != [parent, os.getpid()])
status = os.waitpid(child, 0)[1]
go_on.set()
thread.join()
sys.exit(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_forked_while_it_opens_opens_it_itself():
    """The thread that was opening it isn't there."""
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    assert 0 == subprocess.run(command, timeout=30, check=False).returncode
