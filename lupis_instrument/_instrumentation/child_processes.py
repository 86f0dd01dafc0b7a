"""Passes the current chat id and metadata ids on to processes that the program starts.

They go into the environment variables of the child. They never go into its command line, and the
environment of this process, which other threads read, is not changed. A forked child has the values
without that. Children of `os.system`, `os.spawn*` and `os.exec*` get only the values of
`os.environ`.
"""

from __future__ import annotations

import os
from functools import wraps
from typing import TYPE_CHECKING, Any

from lupis_instrument import _semconv
from lupis_instrument._config import settings
from lupis_instrument._diagnostics import internal_errors
from lupis_instrument._instrumentation.import_hook import ImportHook
from lupis_instrument._process.child_environment import change_popen
from lupis_instrument._tracing import context
from lupis_instrument._tracing.context import Conversation

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Callable, Mapping

_IDS = ("chat_id", "user_id", "organization_id", "session_id")
_MAX_CHARACTERS = 4096
"""Of one value: the variables and the arguments of a command share a limited space."""
_FAULT = "handing a chat id to a process"


def watch_process_starts() -> None:
    """Pass the ids on to all processes that are started from now on."""
    hooks: dict[str, Callable[[ModuleType], None]] = {
        "subprocess": _wrap_popen,
        "multiprocessing.process": _wrap_process,
    }
    ImportHook(hooks).install()


def changed_variables() -> dict[str, str]:
    """Return the variables of the current ids, without values that the environment has already."""
    conversation = context.current_conversation()
    variables = {}
    for name in _IDS:
        variable = settings.BY_NAME[name].variable
        value = getattr(conversation, name)
        if value != os.environ.get(variable) and _fits_variable(value):
            variables[variable] = value
    return variables


def _fits_variable(value: Any) -> bool:
    """Return whether an environment variable can hold `value`; others would fail the program."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_CHARACTERS or "\0" in value:
        return False
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return True


def add_variables(environ: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Return the environment for a child, with the variables of the current ids.

    A variable that the program has chosen for the child is not changed. An environment with the id
    of this launch is taken for a copy of `os.environ`, and in a copy every variable whose value
    equals this process's was not chosen for the child.

    Args:
        environ: the environment that the program passes; None for this process's.
    """
    variables = changed_variables()
    if not variables:
        return environ
    if environ is None:
        return {**os.environ, **variables}
    run_id = os.environ.get(_semconv.ENV_RUN_ID)
    if run_id is None or environ.get(_semconv.ENV_RUN_ID) != run_id:
        return environ
    copied = {name for name in variables if environ.get(name) == os.environ.get(name)}
    return {**environ, **{name: variables[name] for name in copied}}


def _wrap_popen(module: ModuleType) -> None:
    """Add the variables to the argument `env` of `subprocess.Popen`."""
    change_popen(module, add_variables, _FAULT)


_ATTRIBUTE = "_lupis_variables"


def _wrap_process(module: ModuleType) -> None:
    """Attach the variables to each `multiprocessing` process while it is started."""
    start: Callable[[Any], None] = module.BaseProcess.start

    @wraps(start)
    def wrapped(self: Any) -> None:
        with internal_errors(_FAULT):
            _attach_variables(self)
        try:
            start(self)
        finally:
            vars(self).pop(_ATTRIBUTE, None)

    module.BaseProcess.start = wrapped


def _attach_variables(process: Any) -> None:
    """Attach the variables to a process object, to be pickled with it.

    A process that is spawned, or forked by a fork server, is pickled. It can't be started with
    variables of its own, and a fork server has the variables of an earlier time.
    """
    from multiprocessing.spawn import get_executable
    from sys import executable

    variables = changed_variables()
    # Another interpreter may not have this package, and could not unpickle the variables.
    if variables and os.fsdecode(get_executable()) == executable:
        vars(process)[_ATTRIBUTE] = _PickledVariables(variables)


class _PickledVariables:
    """Variables that set themselves in the process that unpickles them."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables

    def __reduce__(self) -> tuple[Callable[[dict[str, str]], None], tuple[dict[str, str]]]:
        return set_variables, (self.variables,)


def set_variables(variables: dict[str, str]) -> None:
    """Set the variables of the parent, in a child that has not begun its work."""
    with internal_errors("taking over a chat id"):
        os.environ.update(variables)
        values = {name: variables.get(settings.BY_NAME[name].variable) for name in _IDS}
        inherited = Conversation(**values, source="environment")  # type: ignore[arg-type]
        process_values = context.process_values
        process_values.set_layers(environment=inherited.with_defaults(process_values.environment))
