"""Starts instrumentation in this process: sets import hooks, and loads nothing.

Runs at the start of every Python process below `lupis-run`, so it imports only what the
interpreter has loaded already.

What is heavy is loaded at the first request, not in the background from a client's import on: as
tests/bench/startup.py measures it, a program that computes or calls at once waits as long either
way, since two threads share one interpreter. Only one that idles in between would gain, at the cost
of every program that imports a client and sends nothing, and of a thread that forks would meet. The
first request waits for the SDK and one instrumentor; the rest is loaded in the worker's thread.
"""

from __future__ import annotations

import atexit
import os
import sys
from _thread import get_ident

from lupis_instrument._config.clients import CLIENTS
from lupis_instrument._diagnostics import guarded, internal_errors, report_fault, warn
from lupis_instrument._instrumentation.import_hook import ImportHook
from lupis_instrument._process import import_lock
from lupis_instrument._process.fork import on_fork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable, Mapping

    from lupis_instrument._config.clients import Client
    from lupis_instrument._instrumentation.activation import Activation, CurrentCalls
    from lupis_instrument._instrumentation.import_hook import Callback
    from lupis_instrument._instrumentation.provider_observer import ObservedProviders

SDK = "opentelemetry.sdk.trace"
"""Importing this module means the program may trace itself."""
_FOLDER = "sitecustomize_template"
_LEADER = "LUPIS_LEADER"  # of `_names`, which is not loaded at every start
_CHILDREN = ("multiprocessing.util", "billiard.util")
"""What makes child processes that leave without Python's exit handlers."""
_CELERY = "celery.signals"
_SERVERS = ("opentelemetry.instrumentation.asgi", "opentelemetry.instrumentation.wsgi")
"""Instrumentors by which a program takes up the chat id of an incoming request.

The instrumentors of Flask, FastAPI and Django are built on these.
"""
_OUTERMOST = ("<module>", "_run_module_as_main")
"""The function that a program's first frame runs: its text, or runpy for `-m`, folders and zips."""
_OFF = ("false", "0", "no", "off")
_ON = ("true", "1", "yes", "on")


class _State:
    started = False
    launched = False
    forked = False
    borrowed = False
    environ: dict[str, str] = {}  # noqa: RUF012 - not a class to make instances of
    calls: CurrentCalls | None = None
    providers: ObservedProviders | None = None
    runtimes: list[Any] = []  # noqa: RUF012
    """The modules that deliver; kept, for `patch.dict(sys.modules)` and others drop modules."""
    finishing: dict[int, list[Callable[[], None]]] = {}  # noqa: RUF012
    """By thread that is at it: what is to be done afterwards."""


def start(environ: Mapping[str, str] = os.environ, *, borrowed: bool = False) -> None:
    """Watch for HTTP clients, unless the variables say not to; a second call does nothing.

    Called by the bootstrap's `sitecustomize`: from here on the operator's variables decide.

    Args:
        environ: the variables.
        borrowed: whether the package was found in the launcher's environment only.
    """
    _State.launched = True
    _State.borrowed = borrowed
    if enabled(environ):
        own = ("LUPIS_", "OTEL_")
        _State.environ = {name: text for name, text in environ.items() if name.startswith(own)}
        watch()


def join() -> None:
    """Start where another `sitecustomize` ran in the place of ours.

    That of `opentelemetry-instrument` runs no other, but calls what is registered as an
    `opentelemetry_pre_instrument`.
    """
    for folder in [] if _State.launched else os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if os.path.basename(folder) == _FOLDER:  # noqa: PTH119 - pathlib is slow to import
            sys.path[:] = [place for place in sys.path if place != folder]
            leave_children_alone(folder, os.environ)
            start()


def launched() -> bool:
    """Tell whether instrumentation was started from outside the program."""
    return _State.launched


def environ_at_start() -> dict[str, str]:
    """Return the variables that the operator set: a program's first call may be made without."""
    return _State.environ


def watch() -> None:
    """Set the import hooks, once."""
    if _State.started:
        return
    _State.started = True
    # First registered, so called last: the program's own exit handlers may make calls.
    atexit.register(finish)
    import_lock.watch_forks()
    on_fork(after_in_parent=_note_fork)
    _mark_leader(os.environ)
    watched: dict[str, Callback] = {
        **{client.module: _import_callback(client) for client in CLIENTS},
        **dict.fromkeys(_CHILDREN, _follow_children),
        **dict.fromkeys(_SERVERS, _prepare_to_serve),
        _CELERY: _follow_workers,
        SDK: _observe_providers,
    }
    ImportHook(watched).install()


def _mark_leader(environ: os._Environ[str]) -> None:
    """Have all processes below know which one was the first; its time tells equal pids apart."""
    if _LEADER not in environ:
        from time import time_ns

        environ[_LEADER] = f"{os.getpid()}:{time_ns():x}"


def load_runtime() -> None:
    """Import the runtime, in one thread at a time."""

    def load() -> None:
        import lupis_instrument._runtime.runtime  # noqa: F401

    import_lock.import_alone(load)


def _note_fork() -> None:
    _State.forked = True


def enabled(environ: Mapping[str, str]) -> bool:
    """Tell whether the variables leave instrumentation on; an unreadable value does."""
    for name in ("LUPIS_ENABLED", "LUPIS_SDK_ENABLED"):
        word = environ.get(name, "").strip().lower()
        if word in _OFF:
            return False
        if word in _ON:
            break
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"


def leave_children_alone(folder: str, environ: os._Environ[str] | dict[str, str]) -> None:
    """Take the bootstrap's `folder` out of PYTHONPATH if `LUPIS_INSTRUMENT_CHILDREN` is false."""
    if environ.get("LUPIS_INSTRUMENT_CHILDREN", "").strip().lower() not in _OFF:
        return
    kept = [part for part in environ.get("PYTHONPATH", "").split(os.pathsep) if part != folder]
    if any(kept):
        environ["PYTHONPATH"] = os.pathsep.join(kept)
    else:
        environ.pop("PYTHONPATH", None)


def _import_callback(client: Client) -> Callback:
    """Return the function to call with a client's module after each import of it."""
    wrapped: list[tuple[ModuleType, Activation]] = []

    def wrap_import(module: ModuleType) -> None:
        # A module that is imported a second time has other classes, but after the first request the
        # instrumentor is behind the first ones and knows no others. A module that is reloaded may
        # have the same classes.
        if any(module is known or not activation.dormant for known, activation in wrapped):
            return
        try:
            activation = _wrap_client(client, module)
            if activation is not None:
                wrapped.append((module, activation))
        except Exception as fault:
            with internal_errors("reporting a client"):
                _report_client(client, fault)

    return wrap_import


def providers() -> ObservedProviders:
    """Return the observed tracer providers of the program; loads the OpenTelemetry SDK."""
    if _State.providers is None:
        from importlib import import_module

        from lupis_instrument._instrumentation.provider_observer import ObservedProviders

        with internal_errors("watching tracer providers"):
            _observe_providers(import_module(SDK))
        _State.providers = _State.providers or ObservedProviders()
    return _State.providers


def _observe_providers(module: ModuleType) -> None:
    from lupis_instrument._instrumentation.provider_observer import observe_providers

    if _State.providers is None:
        _State.providers = observe_providers(module)


def _wrap_client(client: Client, module: ModuleType) -> Activation | None:
    """Wrap a client's methods; its first request will call `activate`."""
    if _hidden():
        return None
    from importlib import import_module

    from lupis_instrument._instrumentation.activation import Activation, CurrentCalls
    from lupis_instrument._process import shutdown_hooks

    with internal_errors("watching for the end"):
        shutdown_hooks.watch_signals(finish)
    calls = _State.calls = _State.calls or CurrentCalls(_find_original)

    def activate() -> None:
        if not obstructed():  # the program may have changed its path since
            _activate_client(client, activation, calls)

    activation = Activation(lambda: import_lock.import_alone(activate), calls)
    import_module(client.adapter).wrap_client(module, activation)
    return activation


def _activate_client(client: Client, activation: Activation, calls: CurrentCalls) -> None:
    """Start the runtime and instrument a client, if the settings select it."""
    from lupis_instrument._instrumentation import selection
    from lupis_instrument._runtime import runtime as _runtime

    runtime = _runtime.start()
    if runtime is not None and selection.is_selected(client, runtime.config):
        calls.connect(runtime.processor)
        selection.instrument_client(client, activation, runtime.provider, runtime.config)


def _find_original(span: Any) -> Any:
    """Return the span under way that `span` stands in for, or `span` itself."""
    return span if _State.providers is None else _State.providers.span_tree.resolve_span(span)


def _prepare_to_serve(_module: ModuleType) -> None:
    """Have chat ids that come in follow the work into threads before there is a first call."""
    from lupis_instrument._instrumentation.threads import prepare_thread_pools

    prepare_thread_pools()


def obstructed() -> bool:
    """Tell whether the program's modules or packages leave no room for what we load; says so once.

    Asked before anything is loaded on the program's behalf.
    """
    return _hidden() or (_State.borrowed and _misfit())


def _hidden() -> bool:
    from lupis_instrument._runtime.conflicts import find_hidden

    reason = guarded("looking at the program's modules", find_hidden)
    if reason:
        warn(f"{reason}; rename it to have this program instrumented")
    return bool(reason)


def _misfit() -> bool:
    from lupis_instrument._runtime.conflicts import find_misfit

    reason = guarded("looking at the program's packages", find_misfit)
    if reason:
        install = f"{sys.executable} -m pip install lupis-instrument"
        warn(f"{reason}; to have this program instrumented: {install}")
    return bool(reason)


def _report_client(client: Client, fault: Exception) -> None:
    """Report that the calls of a client will not be recorded."""
    load_runtime()
    from lupis_instrument._instrumentation import selection
    from lupis_instrument._runtime import runtime as _runtime

    runtime = _runtime.get()
    config = runtime.config if runtime is not None else _runtime.settings().config
    selection.report_client(client, config, fault)


def _follow_children(util: ModuleType) -> None:
    from lupis_instrument._process import shutdown_hooks

    guarded("following child processes", shutdown_hooks.watch_children, util, finish, _is_idle)
    # Before a server in a child sets handlers of its own, which it takes off when it ends: uvicorn
    # imports the application, and with it a client, only after that.
    guarded("watching for the end", shutdown_hooks.watch_signals, finish)


def _is_idle() -> bool:
    return _State.calls is None


def _follow_workers(signals: ModuleType) -> None:
    """Deliver when one of celery's worker processes ends: it leaves by `os._exit`, but says so."""

    def ended(**_: object) -> None:
        finish()

    signals.worker_process_shutdown.connect(ended, weak=False)


def keep(runtime: ModuleType) -> None:
    """Have `finish` call that of the module."""
    _State.runtimes.append(runtime)


def finish(then: Callable[[], None] | None = None) -> None:
    """Deliver, and say what is to be said; at the end of the process.

    Args:
        then: ends the process when that is done. In a signal's handler, which may have come in on
            a thread that is at it already: what that has in hand would be lost.
    """
    me = get_ident()
    under_way = _State.finishing.get(me)
    if under_way is not None and then is not None:
        under_way.append(then)
        return
    afterwards = _State.finishing.setdefault(me, [])
    try:
        _finish()
    finally:
        if under_way is None:
            del _State.finishing[me]
            for act in (*afterwards, then):
                if act is not None:
                    act()


def _finish() -> None:
    interrupted = _interrupted()
    try:
        if _State.runtimes:
            for runtime in _State.runtimes:
                runtime.finish()
        elif _State.forked or "subprocess" in sys.modules:
            _finish_for_children()
    except Exception as fault:
        report_fault("ending", fault)
    if interrupted:
        _note_interrupt()


def _finish_for_children() -> None:
    """Tell what the processes below have done, in one that made no call itself."""
    wanted = os.environ.get("LUPIS_SUMMARY", "").strip().lower()
    if wanted in _ON or (wanted not in _OFF and sys.stderr is not None and sys.stderr.isatty()):
        from lupis_instrument._runtime import process_tree as _launch

        _launch.report_children()


def _interrupted() -> bool:
    """Tell whether the program ends because nothing in it caught a KeyboardInterrupt."""
    if getattr(sys, "last_type", None) is not KeyboardInterrupt or hasattr(sys, "ps1"):
        return False  # at a prompt it may be of any time
    frame = getattr(sys.last_traceback, "tb_frame", None)
    return frame is not None and frame.f_back is None and frame.f_code.co_name in _OUTERMOST


def _note_interrupt() -> None:
    """Have Python end this process by SIGINT, as it does after an interrupt that nothing caught.

    It notes that when code has come to its end, and forgets it with the next code that is run from
    a text, of which there is some in the modules that ending loads (CPython's run_eval_code_obj,
    3.8 to 3.14).
    """
    try:
        exec("raise KeyboardInterrupt")  # noqa: S102 - there is no other way to note it
    except KeyboardInterrupt:
        pass  # noted
