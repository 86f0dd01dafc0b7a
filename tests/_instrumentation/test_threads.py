"""Threads of the program are none the worse for being followed."""

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


def test_a_thread_that_was_started_before_runs_after(run):
    """While the first call of another has the instrumentor set up."""
    done = run(STARTED_BEFORE)
    assert (0, "['ran']\n", "") == (done.returncode, done.stdout, done.stderr)


def test_upstream_reads_the_attribute_that_we_set():
    """If it comes to be called otherwise, ours is of no use any more."""
    code = [
        function.__func__.__code__
        for name, function in vars(ThreadingInstrumentor).items()
        if name.endswith("__wrap_threading_run")
    ]
    assert any("_otel_context" in (*each.co_names, *each.co_consts) for each in code)
