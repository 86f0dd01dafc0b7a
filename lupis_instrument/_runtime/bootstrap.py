"""Starts instrumentation in this process: sets import hooks, and loads nothing else.

Runs at the start of every Python process below `lupis-run`, so it imports only modules that the
interpreter has loaded already.

Everything heavy is loaded at the first request, and not in a background thread when the program
imports a client. tests/bench/startup.py measures both: a program that computes, or calls at once,
waits as long either way, because two threads share one interpreter. Only a program that idles in
between would gain. Every program that imports a client and sends nothing would pay, and a fork
could meet the thread. The first request waits for the OpenTelemetry SDK and one instrumentor; the
worker's thread loads the rest.
"""

from __future__ import annotations

import atexit
import os
import sys

from lupis_instrument._config.clients import CLIENTS
from lupis_instrument._diagnostics import warn
from lupis_instrument._instrumentation.import_hook import ImportHook
from lupis_instrument._process.fork import on_fork
from lupis_instrument._runtime.launch import (
    ENV_LEADER,
    EXPORTER_VARIABLES,
    LAUNCH_PREFIX,
    OFF_WORDS,
    finish,
    is_enabled,
    launch,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable, Mapping

    from lupis_instrument._instrumentation.import_hook import Callback
    from lupis_instrument._runtime.import_callbacks import ImportCallbacks

# pathlib is slow to import:
# ruff: noqa: PTH113, PTH118, PTH119, PTH120

_FOLDER_NAME = "sitecustomize_template"
_OPENTELEMETRY_SDK = "opentelemetry.sdk.trace"
"""A program that imports this module may trace itself."""
_OPENTELEMETRY_API = "opentelemetry.trace"
"""Libraries with spans of their own import this module."""
_MULTIPROCESSING = ("multiprocessing.util", "billiard.util")
"""Modules that make child processes which leave without Python's exit handlers."""
_CELERY = "celery.signals"
_SERVERS = ("opentelemetry.instrumentation.asgi", "opentelemetry.instrumentation.wsgi")
"""Instrumentors by which a program takes up the chat id of an incoming request.

The instrumentors of Flask, FastAPI and Django are built on these.
"""

_LAUNCHERS = ("newrelic.admin", "nox", "openlit.cli.main", "pipx.main", "tox.session")
"""Modules of programs that start Python in an environment of their own."""


class _State:
    """The import hook of this process.

    Attributes:
        started: whether the import hook is installed.
        callbacks: the functions for watched modules, loaded with the first of these modules.
            A reference, because programs drop modules from `sys.modules`.
    """

    def __init__(self) -> None:
        self.started = False
        self.callbacks: ImportCallbacks | None = None


_state = _State()


def start(environ: Mapping[str, str] = os.environ, *, lent: bool = False) -> None:
    """Watch for HTTP clients, unless the variables say not to; a second call does nothing.

    The bootstrap's `sitecustomize` calls this: from here on the operator's variables decide.

    Args:
        environ: the variables.
        lent: whether the package was found in the launcher's environment only.
    """
    launch.launched = True
    launch.lent = lent
    if is_enabled(environ):
        _mark_leader(os.environ)
        prefixes = ("LUPIS_", "OTEL_")
        launch.environ = {
            name: value for name, value in environ.items() if name.startswith(prefixes)
        }
        watch_imports()


def start_without_sitecustomize() -> None:
    """Start where another `sitecustomize` ran instead of the one of this package.

    The `sitecustomize` of `opentelemetry-instrument` runs no other, but calls the functions that
    packages register as `opentelemetry_pre_instrument`.
    """
    for folder in [] if launch.launched else os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if os.path.basename(folder) == _FOLDER_NAME:
            sys.path[:] = [path for path in sys.path if path != folder]
            leave_children_alone(folder, os.environ)
            start()


def leave_children_alone(folder: str, environ: os._Environ[str] | dict[str, str]) -> None:
    """Remove the bootstrap's folder from PYTHONPATH if `LUPIS_INSTRUMENT_CHILDREN` is false.

    Otherwise, remember the folder for the children of other launchers.
    """
    if environ.get("LUPIS_INSTRUMENT_CHILDREN", "").strip().lower() not in OFF_WORDS:
        launch.folder = folder
        return
    kept = [part for part in environ.get("PYTHONPATH", "").split(os.pathsep) if part != folder]
    if any(kept):
        environ["PYTHONPATH"] = os.pathsep.join(kept)
    else:
        environ.pop("PYTHONPATH", None)


def watch_imports() -> None:
    """Install the import hook; a second call does nothing."""
    if _state.started:
        return
    _state.started = True
    # Registered first, so called last: exit handlers of the program may make calls.
    atexit.register(finish)
    on_fork(after_in_parent=launch.note_fork)
    _mark_leader(os.environ)
    watched: dict[str, Callback] = {
        **{client.module: _callback("use_client", client) for client in CLIENTS},
        **dict.fromkeys(_MULTIPROCESSING, _callback("watch_children")),
        **dict.fromkeys(_SERVERS, _callback("prepare_server")),
        _CELERY: _callback("watch_celery"),
        _OPENTELEMETRY_SDK: _callback("observe_providers"),
        **dict.fromkeys(_LAUNCHERS, _callback("watch_launcher")),
        _OPENTELEMETRY_API: _callback("record_native_spans"),
    }
    ImportHook(watched).install()


def _mark_leader(environ: os._Environ[str]) -> None:
    """Tell all processes below which one was the first; the time tells equal pids apart.

    Also tell them the endpoint, which a library in this process may overwrite.
    """
    if ENV_LEADER not in environ:
        from time import time_ns

        environ[ENV_LEADER] = f"{os.getpid()}:{time_ns():x}"
        for name in [name for name in environ if name.startswith(EXPORTER_VARIABLES)]:
            environ[LAUNCH_PREFIX + name] = environ[name]
        _report_earlier_package()


def _report_earlier_package() -> None:
    """Report the earlier package `lupislabs` in the folder of this one, once in a launch."""
    site = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    if os.path.isfile(os.path.join(site, "lupislabs", "__init__.py")):
        warn(
            "the earlier package lupislabs is installed too: `import lupislabs` loads it instead"
            f" of Lupis Instrument; to remove it: {sys.executable} -m pip uninstall lupislabs"
        )


def _callback(name: str, *arguments: Any) -> Callback:
    """Return a function that calls a method of `ImportCallbacks` with the imported module."""

    def imported(module: ModuleType) -> None:
        if _state.callbacks is None:
            from lupis_instrument._runtime.import_callbacks import ImportCallbacks

            _state.callbacks = ImportCallbacks()
        method: Callable[..., None] = getattr(_state.callbacks, name)
        method(*arguments, module)

    return imported


def load_runtime() -> None:
    """Import the runtime, in one thread at a time."""
    from lupis_instrument._process import import_lock

    def load() -> None:
        import lupis_instrument._runtime.current  # noqa: F401

    import_lock.import_alone(load)
