"""The one runtime of a process: its start, its settings and its end."""

import pytest

START = """
from lupis_instrument import LupisConfig
from lupis_instrument._runtime import current, launch
"""


def test_the_runtime_is_made_once(run_code):
    """Every client and the in-code API share it."""
    done = run_code(START + "print(current.start_runtime() is current.start_runtime())")
    assert ("True\n", "") == (done.output, done.messages)


def test_there_is_none_before_the_first_request(run_code):
    """`get_runtime` makes none."""
    assert "None\n" == run_code(START + "print(current.get_runtime())").output


@pytest.mark.parametrize(
    "variables", [{"LUPIS_ENABLED": "false"}, {"OTEL_SDK_DISABLED": "true"}], ids=str
)
def test_there_is_none_where_instrumentation_is_off(variables, run_code):
    """Neither at the first request nor at later ones."""
    code = "print(current.start_runtime(), current.start_runtime())"
    assert "None None\n" == run_code(START + code, **variables).output


def test_settings_in_code_count_where_no_variable_is_set(run_code):
    """The program passes them after the first request, and the runtime takes them over."""
    done = run_code(
        START
        + """
current.start_runtime()
runtime = current.start_runtime(LupisConfig("shop", service_name="kiosk"))
print(runtime.config.project_id, runtime.config.service_name)
"""
    )
    assert "shop kiosk\n" == done.output


def test_only_the_first_settings_in_code_count(run_code):
    """`LupisSDK.init` configures the process once."""
    done = run_code(
        START
        + """
current.start_runtime(LupisConfig("first"))
print(current.start_runtime(LupisConfig("second")).config.project_id)
"""
    )
    assert "first\n" == done.output


def test_settings_in_code_can_switch_instrumentation_off(run_code):
    """The runtime stays, but nobody gets it any more."""
    done = run_code(
        START
        + """
current.start_runtime()
print(current.start_runtime(LupisConfig("shop", enabled=False)), current.start_runtime())
"""
    )
    assert "None None\n" == done.output


def test_a_wrong_variable_is_reported_once(run_code):
    """The message is redacted and names the variable."""
    done = run_code(
        START + "current.start_runtime(); current.read_settings()", LUPIS_EXPORTER="nowhere"
    )
    assert 1 == done.messages.count("LUPIS_EXPORTER")


def test_lupis_run_has_reported_wrong_variables_already(run_code):
    """Each process below it stays silent about them."""
    done = run_code(START + "current.read_settings()", LUPIS_EXPORTER="nowhere", LUPIS_RUN_ID="r")
    assert "" == done.messages


def test_variables_of_the_start_hold_where_the_program_has_removed_them(run_code):
    """A program may clear its environment before its first call."""
    done = run_code(
        START
        + """
import os
launch.launch.environ = {"LUPIS_PROJECT_ID": "shop"}
print(current.read_settings().config.project_id)
os.environ["LUPIS_PROJECT_ID"] = "bakery"
print(current.read_settings().config.project_id)
"""
    )
    assert "shop\nbakery\n" == done.output


def test_an_error_while_the_runtime_is_made_leaves_the_program_alone(run_code):
    """It is reported once, and there is no second try."""
    done = run_code(
        START
        + """
current.Runtime = lambda _resolved: 1 / 0
print(current.start_runtime(), current.start_runtime())
"""
    )
    assert "None None\n" == done.output
    assert 1 == done.messages.count("starting failed (ZeroDivisionError")


def test_the_end_delivers_and_marks_the_process_as_ending(run_code):
    """Spans that end later are stored at once."""
    done = run_code(
        START
        + """
runtime = current.start_runtime()
runtime.get_tracer().start_span("work").end()
launch.finish()
print(runtime.ending, runtime.account.created, runtime.account.stored)
""",
        LUPIS_EXPORTER="local",
    )
    assert "True 1 1\n" == done.output


def test_a_program_that_becomes_another_leaves_its_totals(run_code):
    """The totals are in the store, and not counted twice if `exec` fails."""
    done = run_code(
        START
        + """
runtime = current.start_runtime()
runtime.get_tracer().start_span("work").end()
current.hand_off()
print(runtime.delivery.store.read_accounts(), runtime.account.created)
""",
        LUPIS_EXPORTER="local",
    )
    assert "[(1, 0, 1, {})] 0\n" == done.output
