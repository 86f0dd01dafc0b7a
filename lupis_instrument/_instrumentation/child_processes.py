"""Hands the chat id and the ids of the metadata in force on to processes that the program starts.

By variables of theirs, never by their command line, and never by a change of this process's
environment, which other threads are reading. A forked child has it all without us; children that
are made by `os.system`, `os.spawn*` and `os.exec*` get only what `os.environ` says.
"""

from __future__ import annotations

import os
from functools import wraps
from typing import TYPE_CHECKING, Any

from lupis_instrument import _semconv
from lupis_instrument._config import settings as _settings
from lupis_instrument._diagnostics import guarded
from lupis_instrument._instrumentation.import_hook import ImportHook
from lupis_instrument._tracing import context as _context
from lupis_instrument._tracing.context import Conversation

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Callable, Mapping

    from lupis_instrument._tracing.context import ProcessValues

_IDS = ("chat_id", "user_id", "organization_id", "session_id")
_MOST_TEXT = 4096
"""Of a value; all variables and words of a command share what the system has for them."""


def follow() -> None:
    """Have what is in force go along with the processes that are started from now on."""
    hooks: dict[str, Callable[[ModuleType], None]] = {
        "subprocess": _wrap_popen,
        "multiprocessing.process": _wrap_process,
    }
    ImportHook(hooks).install()


def variables_in_force() -> dict[str, str]:
    """Return those variables of a child that have to differ from this process's."""
    conversation = _context.current_conversation()
    found = {}
    for name in _IDS:
        variable = _settings.BY_NAME[name].variable
        value = getattr(conversation, name)
        if value != os.environ.get(variable) and _is_fit(value):
            found[variable] = value
    return found


def _is_fit(value: Any) -> bool:
    """Tell whether a variable can hold `value`; the program must not fail for what cannot."""
    if not isinstance(value, str) or not 0 < len(value) <= _MOST_TEXT or "\0" in value:
        return False
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return True


def with_variables(given: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Return a child's variables with what is in force.

    Variables of the program's own choice stay as they are. Those that it passes on from this
    process, with the launch's id among them, are taken for this process's where they say the same.
    """
    found = variables_in_force()
    if not found:
        return given
    if given is None:
        return {**os.environ, **found}
    run_id = os.environ.get(_semconv.ENV_RUN_ID)
    if run_id is None or given.get(_semconv.ENV_RUN_ID) != run_id:
        return given
    unchanged = {name for name in found if given.get(name) == os.environ.get(name)}
    return {**given, **{name: found[name] for name in unchanged}}


def _wrap_popen(module: ModuleType) -> None:
    from inspect import signature

    start = module.Popen.__init__
    names = list(signature(start).parameters)
    if "env" not in names:
        return  # another tool's, that shows nothing of what it takes
    place = names.index("env")

    @wraps(start)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        changed = guarded("handing a chat id to a process", _hand_over, args, kwargs, place)
        args, kwargs = changed or (args, kwargs)
        start(*args, **kwargs)

    module.Popen.__init__ = wrapped


def _hand_over(
    args: tuple[Any, ...], kwargs: dict[str, Any], place: int
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with the variables in their place among them."""
    if len(args) > place:
        return (*args[:place], with_variables(args[place]), *args[place + 1 :]), kwargs
    return args, {**kwargs, "env": with_variables(kwargs.get("env"))}


_ATTRIBUTE = "_lupis_variables"


def _wrap_process(module: ModuleType) -> None:
    start: Callable[[Any], None] = module.BaseProcess.start

    @wraps(start)
    def wrapped(self: Any) -> None:
        guarded("handing a chat id to a process", _attach, self)
        try:
            start(self)
        finally:
            vars(self).pop(_ATTRIBUTE, None)

    module.BaseProcess.start = wrapped


def _attach(process: Any) -> None:
    """Have the variables go along where `process` is pickled: to be spawned, or forked by a server.

    What starts it takes no variables, and the server has those of an earlier time.
    """
    from multiprocessing.spawn import get_executable
    from sys import executable

    found = variables_in_force()
    if found and os.fsdecode(get_executable()) == executable:  # one that has this package, too
        vars(process)[_ATTRIBUTE] = _Stowaway(found)


class _Stowaway:
    """Variables that set themselves where they are unpickled."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables

    def __reduce__(self) -> tuple[Callable[[dict[str, str]], None], tuple[dict[str, str]]]:
        return unpack, (self.variables,)


def unpack(variables: dict[str, str]) -> None:
    """Set what the parent handed over; in a child that has not begun its work."""
    guarded("taking over a chat id", _set, variables, _context.process_values)


def _set(variables: dict[str, str], process: ProcessValues) -> None:
    os.environ.update(variables)
    named = {name: variables.get(_settings.BY_NAME[name].variable) for name in _IDS}
    narrower = Conversation(**named, source="environment")  # type: ignore[arg-type]
    process.set_layers(environment=narrower.with_defaults(process.environment))
