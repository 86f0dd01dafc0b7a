"""The objects that record calls in one process, run in a process of their own."""

import os

import pytest

START = """
from lupis_instrument import LupisConfig
from lupis_instrument._export.exporters import CaptureExporter
from lupis_instrument._runtime import current
from lupis_instrument._tracing.context import EMPTY
runtime = current.start_runtime()

def end_span(name="work"):
    runtime.get_tracer().start_span(name).end()

def show_account():
    account = runtime.account
    print(account.created, account.delivered, account.stored, dict(account.dropped))
"""
LOCAL = {"LUPIS_EXPORTER": "local"}


def test_a_flush_delivers_ended_spans_and_events(run_code):
    """It returns whether all arrived."""
    done = run_code(
        START
        + """
end_span()
runtime.track_event("clicked", {"button": 1}, EMPTY)
print(runtime.flush(10))
show_account()
""",
        **LOCAL,
    )
    assert ("True\n2 0 2 {}\n", "") == (done.output, done.messages)


def test_a_flush_that_takes_too_long_says_so(run_code):
    """The spans are delivered later."""
    done = run_code(
        START
        + """
import threading
hold = threading.Event()
prepare = runtime.spans._prepare
runtime.spans._prepare = lambda state: hold.wait(30) and prepare(state)
end_span()
print(runtime.flush(0.2))
hold.set()
print(runtime.flush(10))
""",
        **LOCAL,
    )
    assert "False\nTrue\n" == done.output


def test_a_shutdown_delivers_and_the_next_span_starts_anew(run_code):
    """`LupisSDK.shutdown_sync` is no end of the process."""
    done = run_code(
        START
        + """
end_span()
print(runtime.shutdown())
end_span()
print(runtime.shutdown())
show_account()
""",
        **LOCAL,
    )
    assert "True\nTrue\n2 0 2 {}\n" == done.output


def test_a_span_that_is_not_ready_at_the_end_is_counted_as_lost(run_code):
    """The account adds up: created spans are delivered, stored or lost for a reason."""
    done = run_code(
        START
        + """
import threading
end_span()
assert runtime.drain(5)  # otherwise the end waits longer, while modules are loaded
runtime.spans._prepare = lambda state: threading.Event().wait(30)
end_span()
end_span()
print(runtime.shutdown())
show_account()
import os, sys
sys.stdout.flush()
os._exit(0)
""",
        **LOCAL,
        LUPIS_SHUTDOWN_TIMEOUT="0.3",
    )
    assert "False\n3 0 1 {'not ready in time': 2}\n" == done.output


@pytest.mark.parametrize(("durable", "stored"), [("true", "1\n"), ("false", "0\n")])
def test_a_durable_span_is_stored_before_the_program_goes_on(durable, stored, run_code):
    """LUPIS_DURABLE=true."""
    done = run_code(
        START + "end_span(); print(runtime.account.stored)", **LOCAL, LUPIS_DURABLE=durable
    )
    assert stored == done.output


def test_a_captured_span_goes_to_the_exporter_of_the_test_alone(run_code):
    """It is neither stored nor counted."""
    done = run_code(
        START
        + """
capture = CaptureExporter()
print(runtime.capture(capture), runtime.capture(CaptureExporter()))
end_span("captured")
runtime.drain(10)
runtime.flush(10)
print([span.name for span in capture.get_spans()])
runtime.capture(None)
end_span()
runtime.flush(10)
show_account()
""",
        **LOCAL,
    )
    assert "True False\n['captured']\n1 0 1 {}\n" == done.output


def test_an_event_that_cannot_be_redacted_keeps_nothing(run_code):
    """Redaction fails closed."""
    done = run_code(
        START
        + """
class Broken:
    def redact_data(self, event):
        return "[REDACTED]"
class Lazy:
    def get(self):
        return Broken()
runtime._redactor = Lazy()
print(runtime._redact_event({"name": "secret", "properties": {"a": 1}, "metadata": {"b": 2}}))
"""
    )
    assert "{'name': '[REDACTED]', 'properties': {}, 'metadata': {}}\n" == done.output


def test_new_settings_count_from_now_on(run_code):
    """Items of the earlier delivery are delivered all the same."""
    done = run_code(
        START
        + """
end_span()
runtime.drain(10)
current.start_runtime(LupisConfig("bakery"))
end_span()
print(runtime.flush(10), runtime.resource.attributes["lupis.project.id"])
show_account()
""",
        **LOCAL,
    )
    assert "True bakery\n2 0 2 {}\n" == done.output


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_parent_and_child_each_deliver_their_own_spans(run_code):
    """A forked child begins without the spans and totals of its parent."""
    done = run_code(
        START
        + """
import os, sys, warnings
warnings.simplefilter("ignore")
end_span("parent")
child = os.fork()
end_span("after the fork")
runtime.flush(10)
if not child:
    print("child", end=" ")
    show_account()
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
print("parent", end=" ")
show_account()
""",
        **LOCAL,
    )
    assert "child 1 0 1 {}\nparent 2 0 2 {}\n" == done.output


def test_an_idle_runtime_has_nothing_to_report(run_code):
    """Then `os.exec*` leaves no totals."""
    done = run_code(START + "print(runtime.idle); end_span(); print(runtime.idle)", **LOCAL)
    assert "True\nFalse\n" == done.output


def test_the_end_closes_the_account_early_if_calls_of_threads_take_too_much_time(run_code):
    """Otherwise, their calls would keep the spans of earlier ones from being prepared."""
    done = run_code(
        START
        + """
runtime.ending = True
closed = []
def drain(seconds, *, end_thread):
    closed.append(runtime.admission.closer != 0)
    return closed[-1]
runtime._drain = drain
runtime.shutdown()
print(closed)
""",
        **LOCAL,
    )
    assert "[False, True]\n" == done.output
