"""A client's instrumentation is activated by its first request, once."""

import os
import subprocess
import sys
import threading

import pytest
from opentelemetry.instrumentation.utils import (
    suppress_http_instrumentation,
    suppress_instrumentation,
)

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._instrumentation.activation import Activation, CurrentCalls


class FaultyProcessor:
    """A processor whose methods all fail."""

    def __getattr__(self, name):
        raise ZeroDivisionError(name)


class OwnSpanProcessor:
    """A processor for which a call of this package's own instrumentor is under way."""

    def has_open_call(self):
        return True


def activation_with(processor, activate=lambda: None):
    """Return an activation whose calls are followed by `processor`."""
    calls = CurrentCalls()
    calls.connect(processor)
    return Activation(activate, calls)


def test_activates_once(recorder):
    """Only the first of three requests activates the instrumentation."""
    for _ in range(3):
        recorder.activation.begin_request()
    assert (1, False) == (recorder.activations, recorder.activation.dormant)


def test_is_dormant_before_the_first_request(recorder):
    """Wrapping a client does not activate it."""
    assert (0, True) == (recorder.activations, recorder.activation.dormant)


def test_concurrent_threads_wait_for_the_activation():
    """No request goes on before the instrumentor is in place."""
    events = []
    entered = threading.Event()
    go_on = threading.Event()

    def activate():
        entered.set()
        assert go_on.wait(60)
        events.append("activated")

    activation = Activation(activate, CurrentCalls())

    def request():
        activation.begin_request()
        events.append("went on")

    threads = [threading.Thread(target=request) for _ in range(4)]
    threads[0].start()
    assert entered.wait(60)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert ["activated", *["went on"] * 4] == events


def test_request_during_activation_goes_on():
    """The program's import hooks may make a request while the runtime is imported."""
    dormant = []

    def activate():
        activation.begin_request()
        dormant.append(activation.dormant)

    activation = Activation(activate, CurrentCalls())
    activation.begin_request()
    assert ([True], False) == (dormant, activation.dormant)


def test_failed_activation_is_reported_once_and_not_repeated(capsys):
    """The client works on without instrumentation."""
    diagnostics.reraise = False
    attempts = []

    def activate():
        attempts.append(1)
        raise ZeroDivisionError

    activation = Activation(activate, CurrentCalls())
    for _ in range(2):
        activation.begin_request()
    assert (1, False) == (len(attempts), activation.dormant)
    assert 1 == capsys.readouterr().err.count("switching on an instrumentation failed")


def test_suppressed_request_does_not_activate(recorder):
    """The next request that is not suppressed does."""
    with suppress_instrumentation():
        recorder.activation.begin_request()
        assert (0, True) == (recorder.activations, recorder.activation.dormant)
    recorder.activation.begin_request()
    assert 1 == recorder.activations


@pytest.mark.parametrize(("processor", "lifts"), [(None, True), (OwnSpanProcessor(), False)])
def test_only_suppression_by_others_is_lifted(processor, lifts):
    """An instrumentor of this package suppresses the spans further in, and that stands."""
    with suppress_http_instrumentation():
        assert lifts is activation_with(processor).begin_request()


def test_too_deep_a_stack_does_not_activate(recorder):
    """Imports would overflow the stack; a later request may activate."""
    old_limit = sys.getrecursionlimit()
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    sys.setrecursionlimit(depth + 200)
    try:
        recorder.activation.begin_request()
    finally:
        sys.setrecursionlimit(old_limit)
    assert (0, True) == (recorder.activations, recorder.activation.dormant)


def test_no_call_is_recorded_before_the_runtime_exists():
    """There is no processor that follows calls yet."""
    activation = Activation(lambda: None, CurrentCalls())
    assert (None, None) == (activation.current_call(), activation.client_context({}))


def test_fault_in_the_search_for_suppression_is_reported(capsys):
    """The request goes on, with no suppression lifted."""
    diagnostics.reraise = False
    with suppress_http_instrumentation():
        assert not activation_with(FaultyProcessor()).begin_request()
    assert "finding who records a call failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ask", "report"),
    [
        (lambda activation: activation.current_call(), "finding the current call failed"),
        (lambda activation: activation.client_context({}), "leaving a span failed"),
    ],
)
def test_fault_of_the_processor_is_reported(capsys, ask, report):
    """The call goes on without being recorded."""
    diagnostics.reraise = False
    assert None is ask(activation_with(FaultyProcessor()))
    assert report in capsys.readouterr().err


FORK = """
import os, sys, threading
from lupis_instrument._instrumentation.activation import Activation, CurrentCalls
entered, go_on = threading.Event(), threading.Event()
def activate():
    activated.append(os.getpid())
    if os.getpid() == parent:
        entered.set()
        go_on.wait(60)
activated, parent = [], os.getpid()
activation = Activation(activate, CurrentCalls())
thread = threading.Thread(target=activation.begin_request)
thread.start()
entered.wait()
child = os.fork()
if not child:
    activation.begin_request()
    os._exit(activated != [parent, os.getpid()])
status = os.waitpid(child, 0)[1]
go_on.set()
thread.join()
sys.exit(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_child_forked_during_activation_activates_itself():
    """The thread of the parent that was activating does not exist in the child."""
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    assert 0 == subprocess.run(command, timeout=30, check=False).returncode


def test_modules_are_loaded_before_the_activation():
    """Other greenlets run meanwhile; nothing of this package is half done then."""
    steps = []
    activation = Activation(
        lambda: steps.append("activate"), CurrentCalls(), lambda: steps.append("load")
    )
    activation.begin_request()
    assert ["load", "activate"] == steps


def test_a_request_that_is_ended_while_modules_load_is_no_first_request():
    """Such as by gevent's Timeout; the next request activates the instrumentation."""

    def end():
        raise KeyboardInterrupt

    steps = []
    activation = Activation(lambda: steps.append("activate"), CurrentCalls(), end)
    with pytest.raises(KeyboardInterrupt):
        activation.begin_request()
    activation._load = bool
    activation.begin_request()
    assert ["activate"] == steps
