"""The variables by which a child process gets the current chat id and metadata ids."""

import os
import pickle
import subprocess
import sys
import types

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._instrumentation import child_processes
from lupis_instrument._instrumentation.child_processes import (
    add_variables,
    changed_variables,
    set_variables,
)
from lupis_instrument._tracing.context import (
    Conversation,
    process_values,
    use_conversation,
)

RUN_ID = "LUPIS_RUN_ID"
VARIABLES = (
    "LUPIS_CHAT_ID",
    "LUPIS_USER_ID",
    "LUPIS_ORGANIZATION_ID",
    "LUPIS_SESSION_ID",
    RUN_ID,
)


@pytest.fixture(autouse=True)
def environ(monkeypatch):
    """An environment without variables of this package, restored after the test."""
    clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    layers = process_values.environment
    yield clean
    process_values.set_layers(environment=layers)


def test_variables_have_the_current_ids():
    """A value for which there is no id is not passed on."""
    with use_conversation(Conversation("chat", "ann", "acme", "s1", extra={"plan": "pro"})):
        assert {
            "LUPIS_CHAT_ID": "chat",
            "LUPIS_USER_ID": "ann",
            "LUPIS_ORGANIZATION_ID": "acme",
            "LUPIS_SESSION_ID": "s1",
        } == changed_variables()


def test_value_of_the_environment_is_not_repeated(monkeypatch):
    """The child inherits it."""
    monkeypatch.setitem(os.environ, "LUPIS_CHAT_ID", "chat")
    with use_conversation(Conversation("chat", "ann")):
        assert {"LUPIS_USER_ID": "ann"} == changed_variables()


@pytest.mark.parametrize(
    "value", [None, "", 7, "a\0b", "x" * 4097, "\ud800"], ids=lambda value: repr(value)[:12]
)
def test_value_that_no_variable_can_hold_is_left_out(value):
    """The program's process would not start with it."""
    with use_conversation(Conversation(value)):
        assert {} == changed_variables()


def test_longest_value_is_passed_on():
    """Its length is the maximum."""
    with use_conversation(Conversation("x" * 4096)):
        assert {"LUPIS_CHAT_ID": "x" * 4096} == changed_variables()


def test_environment_is_unchanged_without_ids(environ):
    """The same object is passed on."""
    assert None is add_variables(None)
    assert environ is add_variables(environ)


def test_inherited_environment_is_copied_with_the_variables():
    """The environment of this process does not change."""
    with use_conversation(Conversation("chat")):
        assert {**os.environ, "LUPIS_CHAT_ID": "chat"} == add_variables(None)
    assert "LUPIS_CHAT_ID" not in os.environ


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "chat"),
        ({"OTHER": "1"}, "chat"),
        ({"LUPIS_CHAT_ID": "chosen"}, "chosen"),
        ({RUN_ID: "another launch"}, None),
        ({RUN_ID: None}, None),
    ],
)
def test_only_a_copy_of_the_environment_gets_the_variables(monkeypatch, changes, expected):
    """A copy has the id of this launch; a variable that the program has chosen is not changed."""
    monkeypatch.setitem(os.environ, RUN_ID, "launch")
    passed = {**os.environ, **changes}
    passed = {name: value for name, value in passed.items() if value is not None}
    with use_conversation(Conversation("chat")):
        assert expected == add_variables(passed).get("LUPIS_CHAT_ID")


def test_environment_without_a_launch_id_is_not_changed(environ):
    """Without the id of a launch, a copy can't be recognised."""
    with use_conversation(Conversation("chat")):
        assert environ is add_variables(environ)


@pytest.fixture
def popen():
    """A subclass of `Popen` that is wrapped, so that the class itself is not."""
    module = types.SimpleNamespace(Popen=type("Popen", (subprocess.Popen,), {}))
    child_processes._wrap_popen(module)
    return module.Popen


SHOW = [sys.executable, "-c", "import os; print(os.environ.get('LUPIS_CHAT_ID'))"]


def read_output(process):
    """Return the output of a process after its end."""
    return process.communicate()[0].decode().strip()


def test_popen_passes_the_variables_on(popen):
    """`env` is not given."""
    with use_conversation(Conversation("chat")):
        assert "chat" == read_output(popen(SHOW, stdout=subprocess.PIPE))


def test_popen_takes_env_as_a_positional_argument(popen, monkeypatch):
    """It is the eleventh argument."""
    monkeypatch.setitem(os.environ, RUN_ID, "launch")
    options = (-1, None, None, subprocess.PIPE, None, None, True, False, None, dict(os.environ))
    with use_conversation(Conversation("chat")):
        assert "chat" == read_output(popen(SHOW, *options))


def test_popen_that_hides_its_parameters_is_not_wrapped():
    """Another tool has replaced it."""

    class Popen:
        def __init__(self, *args):
            pass

    original = Popen.__init__
    child_processes._wrap_popen(types.SimpleNamespace(Popen=Popen))
    assert original is Popen.__init__


def test_fault_does_not_keep_a_process_from_starting(popen, monkeypatch, capsys):
    """The child gets no chat id, and the fault is reported."""
    diagnostics.reraise = False
    monkeypatch.setattr(child_processes, "changed_variables", None)
    with use_conversation(Conversation("chat")):
        assert "None" == read_output(popen(SHOW, stdout=subprocess.PIPE))
    assert "handing a chat id to a process failed (TypeError" in capsys.readouterr().err


class Process:
    """A process of multiprocessing that pickles itself when it is started."""

    def start(self):
        self.pickled = pickle.dumps(self)


@pytest.fixture
def process():
    """A process of a wrapped class."""
    process_class = type("Process", (Process,), {})
    child_processes._wrap_process(types.SimpleNamespace(BaseProcess=process_class))
    process_class.__reduce__ = lambda self: (dict, (vars(self),))
    return process_class()


def test_multiprocessing_pickles_the_variables(process):
    """Unpickled in the child, they set the environment and the layer of the environment."""
    with use_conversation(Conversation("chat", "ann")):
        process.start()
    assert "LUPIS_CHAT_ID" not in os.environ
    pickle.loads(process.pickled)
    assert ("chat", "ann") == (os.environ["LUPIS_CHAT_ID"], os.environ["LUPIS_USER_ID"])
    assert ("chat", "environment") == (
        process_values.environment.chat_id,
        process_values.environment.source,
    )


def test_started_process_keeps_no_variables(process):
    """The attribute is there only while the process is started."""
    with use_conversation(Conversation("chat")):
        process.start()
    assert ["pickled"] == list(vars(process))


def test_process_without_ids_is_pickled_unchanged(process):
    """There is nothing to pass on."""
    process.start()
    assert {} == pickle.loads(process.pickled)


def test_another_interpreter_gets_no_variables(process, monkeypatch):
    """It may not have this package, and could not unpickle them."""
    monkeypatch.setattr("multiprocessing.spawn.get_executable", lambda: b"/elsewhere/python")
    with use_conversation(Conversation("chat")):
        process.start()
    assert {} == pickle.loads(process.pickled)


def test_inherited_ids_take_precedence_over_the_environment():
    """Ids that the parent did not pass on keep the values of the environment."""
    process_values.set_layers(environment=Conversation("old", "ann", source="environment"))
    set_variables({"LUPIS_CHAT_ID": "chat"})
    inherited = process_values.environment
    assert ("chat", "ann", "environment") == (
        inherited.chat_id,
        inherited.user_id,
        inherited.source,
    )
