"""`LUPIS_ROOT_SPAN`: one span around everything that a process does."""

import pytest

PROGRAM = """
import threading
from opentelemetry import trace
call("main")
thread = threading.Thread(target=call, args=("thread",))
thread.start()
thread.join()
with trace.get_tracer("library").start_as_current_span("agent"):
    call("agent")
print(trace.get_current_span().get_span_context().is_valid)
"""


def test_a_program_is_one_trace(run_caller, sink):
    """The program's span has its name, and no values of its arguments."""
    options = ["--key=PLANTED", "PLANTED prompt"]
    done = run_caller(PROGRAM, *options, env={"LUPIS_ROOT_SPAN": "true"})
    assert "False\n" == done.stdout
    (root,) = [span for span in sink.spans if span["parent_span_id"] is None]
    assert {root["trace_id"]} == {span["trace_id"] for span in sink.spans}
    assert ("INTERNAL", 5) == (root["kind"], len(sink.spans))
    below = [span for span in sink.spans if span["parent_span_id"] == root["span_id"]]
    assert ["agent", "chat gpt-4o-mini", "chat gpt-4o-mini"] == sorted(
        span["name"] for span in below
    )
    assert "--key=[…]" in root["attributes"]["process.command_args"]
    assert "PLANTED" not in repr(root)


@pytest.mark.parametrize("env", [{}, {"LUPIS_ROOT_SPAN": "false"}])
def test_it_is_off_by_default(env, run_caller, sink):
    """Each call is a trace of its own then."""
    run_caller("call()", env=env)
    assert [None] == [span["parent_span_id"] for span in sink.spans]
