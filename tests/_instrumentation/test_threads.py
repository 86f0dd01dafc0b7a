"""Threads of the program run as before when the context follows them."""

from opentelemetry.instrumentation.threading import ThreadingInstrumentor

STARTED_BEFORE = """
import threading
from lupis_instrument import LupisSDK

LupisSDK.get_instance()
begun, go_on, done = threading.Event(), threading.Event(), []

class Slow(threading.Thread):
    @property
    def run(self):
        begun.set()
        go_on.wait(30)
        return threading.Thread.run.__get__(self)

thread = Slow(target=done.append, args=("ran",))
starting = threading.Thread(target=thread.start)
starting.start()
begun.wait(30)
from lupis_instrument._instrumentation.threads import prepare_thread_pools
prepare_thread_pools()
go_on.set()
starting.join()
thread.join()
print(done)
"""


def test_thread_started_before_the_instrumentation_runs(run):
    """The first call of another thread sets up the instrumentor."""
    done = run(STARTED_BEFORE)
    assert (0, "['ran']\n", "") == (done.returncode, done.stdout, done.stderr)


def test_upstream_reads_the_attribute():
    """If upstream renames it, setting it helps no more."""
    code = [
        function.__func__.__code__
        for name, function in vars(ThreadingInstrumentor).items()
        if name.endswith("__wrap_threading_run")
    ]
    assert any(
        "_otel_context" in (*function_code.co_names, *function_code.co_consts)
        for function_code in code
    )
