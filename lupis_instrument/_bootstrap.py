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

from lupis_instrument import _loading
from lupis_instrument._diagnostics import guarded, report_fault
from lupis_instrument._instrumentation.import_hook import ImportHook
from lupis_instrument._instrumentation.registry import CLIENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Mapping

    from lupis_instrument._instrumentation.gate import Calls
    from lupis_instrument._instrumentation.import_hook import Callback
    from lupis_instrument._instrumentation.providers import Providers
    from lupis_instrument._instrumentation.registry import Client

SDK = "opentelemetry.sdk.trace"
"""Importing this module means the program may trace itself."""
_FOLDER = "sitecustomize_template"
_LEADER = "LUPIS_LEADER"  # of `_names`, which is not loaded at every start
_CHILDREN = ("multiprocessing.util", "billiard.util")
"""What makes child processes that leave without Python's exit handlers."""
_OFF = ("false", "0", "no", "off")
_ON = ("true", "1", "yes", "on")


class _State:
    started = False
    launched = False
    forked = False
    calls: Calls | None = None
    providers: Providers | None = None


def start(environ: Mapping[str, str] = os.environ) -> None:
    """Watch for HTTP clients, unless the variables say not to; a second call does nothing.

    Called by the bootstrap's `sitecustomize`: from here on the operator's variables decide.
    """
    _State.launched = True
    if enabled(environ):
        watch()


def start_beside_opentelemetry() -> None:
    """Start where `opentelemetry-instrument` stands before the program.

    Its folder comes before ours then, and the sitecustomize in it runs no other; but it calls the
    entry points of `opentelemetry_pre_instrument`, of which this is one.
    """
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if any(folder.rstrip("/\\").endswith(_FOLDER) for folder in folders):
        guarded("starting", start)


def launched() -> bool:
    """Tell whether instrumentation was started from outside the program."""
    return _State.launched


def watch() -> None:
    """Set the import hooks, once."""
    if _State.started:
        return
    _State.started = True
    # First registered, so called last: the program's own exit handlers may make calls.
    atexit.register(finish)
    _loading.watch_forks()
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_parent=_note_fork)
    _mark_leader(os.environ)
    watched: dict[str, Callback] = {client.module: _importer(client) for client in CLIENTS}
    watched[SDK] = _watch_providers
    ImportHook({**watched, **dict.fromkeys(_CHILDREN, _follow_children)}).install()


def _mark_leader(environ: os._Environ[str]) -> None:
    """Have all processes below know which one was the first; its time tells equal pids apart."""
    if _LEADER not in environ:
        from time import time_ns

        environ[_LEADER] = f"{os.getpid()}:{time_ns():x}"


def load_runtime() -> None:
    """Import the runtime, in one thread at a time."""

    def load() -> None:
        import lupis_instrument._runtime  # noqa: F401

    _loading.alone(load)


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


def _importer(client: Client) -> Callback:
    def imported(module: ModuleType) -> None:
        try:
            _attach(client, module)
        except Exception as fault:
            guarded("reporting a client", _report, client, fault)

    return imported


def providers() -> Providers:
    """Return what follows the program's tracer providers; loads the OpenTelemetry SDK."""
    if _State.providers is None:
        from importlib import import_module

        from lupis_instrument._instrumentation.providers import Providers

        guarded("watching tracer providers", _watch_providers, import_module(SDK))
        _State.providers = _State.providers or Providers()
    return _State.providers


def _watch_providers(module: ModuleType) -> None:
    from lupis_instrument._instrumentation.providers import attach

    if _State.providers is None:
        _State.providers = attach(module)


def _attach(client: Client, module: ModuleType) -> None:
    from importlib import import_module

    from lupis_instrument import _ending
    from lupis_instrument._instrumentation.gate import Calls, Gate

    guarded("watching for the end", _ending.watch_signals, finish)
    if _State.calls is None:
        _State.calls = Calls()
    calls = _State.calls

    def activate() -> bool:
        from lupis_instrument import _runtime

        return _runtime.activate(client, gate, calls)

    gate = Gate(lambda: _loading.alone(activate), calls)
    import_module(client.adapter).attach(module, gate)


def _report(client: Client, fault: Exception) -> None:
    load_runtime()
    from lupis_instrument import _runtime

    _runtime.report_client(client, fault)


def _follow_children(util: ModuleType) -> None:
    from lupis_instrument import _ending

    guarded("following child processes", _ending.follow_children, util, finish)


def finish() -> None:
    """Deliver, and say what is to be said; at the end of the process."""
    runtime = sys.modules.get("lupis_instrument._runtime")
    try:
        if runtime is not None:
            runtime.finish()
        elif _State.forked or "subprocess" in sys.modules:
            _finish_for_children()
    except Exception as fault:
        report_fault("ending", fault)


def _finish_for_children() -> None:
    """Tell what the processes below have done, in one that made no call itself."""
    wanted = os.environ.get("LUPIS_SUMMARY", "").strip().lower()
    if wanted in _ON or (wanted not in _OFF and sys.stderr is not None and sys.stderr.isatty()):
        from lupis_instrument import _launch

        _launch.report_children()
