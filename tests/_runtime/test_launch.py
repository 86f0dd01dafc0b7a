"""The state of a process, and its end."""

import os
import signal

import pytest

from lupis_instrument._runtime import launch


@pytest.fixture(autouse=True)
def _clean_launch(monkeypatch):
    """Each test has a process that has launched nothing."""
    monkeypatch.setattr(launch, "launch", launch.Launch())


@pytest.mark.parametrize(
    ("environ", "enabled"),
    [
        ({}, True),
        ({"LUPIS_ENABLED": "true"}, True),
        ({"LUPIS_ENABLED": "false"}, False),
        ({"LUPIS_ENABLED": " OFF "}, False),
        ({"LUPIS_ENABLED": "0"}, False),
        ({"LUPIS_ENABLED": "no"}, False),
        ({"LUPIS_ENABLED": "perhaps"}, True),
        ({"LUPIS_ENABLED": ""}, True),
        ({"LUPIS_SDK_ENABLED": "false"}, False),
        ({"LUPIS_ENABLED": "true", "LUPIS_SDK_ENABLED": "false"}, True),
        ({"LUPIS_ENABLED": "false", "LUPIS_SDK_ENABLED": "true"}, False),
        ({"LUPIS_ENABLED": "perhaps", "LUPIS_SDK_ENABLED": "false"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_SDK_DISABLED": "1"}, True),
        ({"OTEL_SDK_DISABLED": "true", "LUPIS_ENABLED": "true"}, False),
    ],
)
def test_variables_switch_instrumentation_off(environ, enabled):
    """LUPIS_ENABLED counts before its alias; an unreadable value leaves instrumentation on."""
    assert enabled is launch.is_enabled(environ)


class Delivery:
    """Stands in for a module that delivers."""

    def __init__(self, finish=lambda: None):
        self.calls = 0
        self._finish = finish

    def finish(self):
        self.calls += 1
        self._finish()


def test_finish_delivers_with_every_registered_runtime():
    """A program that drops modules from sys.modules can have two copies of the runtime."""
    launch.launch.runtimes += [Delivery(), Delivery()]
    launch.finish()
    assert [1, 1] == [runtime.calls for runtime in launch.launch.runtimes]


def test_the_process_ends_after_delivery():
    """`then` is called last."""
    order = []
    launch.launch.runtimes.append(Delivery(lambda: order.append("delivered")))
    launch.finish(lambda: order.append("ended"))
    assert ["delivered", "ended"] == order


def test_the_process_ends_although_delivery_fails(capsys):
    """The error is reported, and the signal that ended the process still ends it."""

    def fail():
        raise ZeroDivisionError

    ended = []
    launch.launch.runtimes.append(Delivery(fail))
    launch.finish(lambda: ended.append(True))
    assert [True] == ended
    assert "ending failed (ZeroDivisionError" in capsys.readouterr().err


def test_a_signal_during_delivery_waits_for_its_end():
    """A handler on the delivering thread would lose the items that this thread holds."""
    order = []

    def deliver():
        launch.finish(lambda: order.append("ended by the signal"))
        order.append("delivered")

    launch.launch.runtimes.append(Delivery(deliver))
    launch.finish(lambda: order.append("ended"))
    assert ["delivered", "ended by the signal", "ended"] == order
    assert {} == launch.launch.finishing


def test_an_uncaught_interrupt_ends_the_process_by_its_signal(run_code):
    """As without instrumentation, although delivery runs code after the interrupt."""
    done = run_code(
        """
        import atexit, types
        from lupis_instrument._runtime import launch
        launch.launch.runtimes.append(types.SimpleNamespace(finish=lambda: exec("1")))
        atexit.register(launch.finish)
        raise KeyboardInterrupt
        """
    )
    assert -signal.SIGINT == done.status


def test_an_interrupt_that_was_caught_ends_nothing(run_code):
    """The program's own exit status stays."""
    done = run_code(
        """
        import atexit, sys
        from lupis_instrument._runtime import launch
        atexit.register(launch.finish)
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(3)
        """
    )
    assert 3 == done.status


@pytest.mark.parametrize(
    ("variable", "leads"),
    [
        (f"{os.getpid()}:1", True),
        (f"{os.getpid()}", True),
        (f"{os.getpid()}1:1", False),
        ("1:1", False),
    ],
    ids=["with time", "pid alone", "longer pid", "other pid"],
)
def test_the_leader_is_known_by_its_pid(variable, leads, monkeypatch):
    """The time behind the pid distinguishes launches."""
    monkeypatch.setenv("LUPIS_LEADER", variable)
    assert leads is launch.is_leader()


def test_a_process_without_a_leader_leads_itself(monkeypatch):
    """LupisSDK.init starts without lupis-run."""
    monkeypatch.delenv("LUPIS_LEADER", raising=False)
    assert launch.is_leader()


@pytest.mark.parametrize(
    ("code", "summary", "loads_summary"),
    [
        ("pass", "auto", False),
        ("pass", "true", True),
        ("import subprocess", "auto", False),
        ("import os; os.fork() or os._exit(0)", "auto", True),
        ("os.environ['LUPIS_LEADER'] = '1:1'", "true", False),
    ],
)
def test_only_a_parent_looks_for_totals_of_children(code, summary, loads_summary, run_code):
    """A process without children and calls loads nothing at its end, unless totals are asked for."""
    done = run_code(
        f"""
        import atexit, os, sys
        from lupis_instrument._runtime import bootstrap, launch
        atexit.register(lambda: print("lupis_instrument._runtime.process_tree" in sys.modules))
        bootstrap.start()
        {code}
        """,
        LUPIS_SUMMARY=summary,
    )
    assert f"{loads_summary}\n" == done.output


def test_nothing_is_printed_of_children_without_a_summary(run_code):
    """LUPIS_SUMMARY=false means no summary of children either."""
    done = run_code(
        """
        import atexit, subprocess, sys
        from lupis_instrument._runtime import bootstrap
        atexit.register(lambda: print("lupis_instrument._runtime.process_tree" in sys.modules))
        bootstrap.start()
        """,
        LUPIS_SUMMARY="false",
    )
    assert ("False\n", "") == (done.output, done.messages)


def test_the_exporter_keeps_its_variables_from_the_launch(monkeypatch):
    """Other variables apply as the program has set them since."""
    launch.launch.launched = True
    launch.launch.environ = {
        "LUPIS_CHAT_ID": "first",
        "LUPIS_LAUNCH_OTEL_EXPORTER_OTLP_TIMEOUT": "7",
    }
    for name in ("LUPIS_CHAT_ID", "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.setenv(name, "later")
    environ = launch.settings_environment()
    assert ("later", "7") == (environ["LUPIS_CHAT_ID"], environ["OTEL_EXPORTER_OTLP_TIMEOUT"])
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in environ


def test_a_program_that_sets_this_package_up_itself_sets_its_exporter_too(monkeypatch):
    """There is no launch then."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")
    assert "http://c" == launch.settings_environment()["OTEL_EXPORTER_OTLP_ENDPOINT"]
