"""The one runtime of this process: made on first use, paused for forks, finished at the end."""

from __future__ import annotations

import os
import sys
from threading import RLock
from typing import TYPE_CHECKING

from lupis_instrument import _semconv
from lupis_instrument._config.config import resolve_settings
from lupis_instrument._diagnostics import diagnostics, internal_errors, warn
from lupis_instrument._instrumentation import child_processes, propagators, selection, threads
from lupis_instrument._process import shutdown_hooks
from lupis_instrument._process.background_thread import pause_threads
from lupis_instrument._process.fork import on_fork
from lupis_instrument._process.import_lock import import_alone, load_again
from lupis_instrument._runtime import assembly, launch
from lupis_instrument._runtime.conflicts import is_obstructed
from lupis_instrument._runtime.runtime import Runtime

if TYPE_CHECKING:
    from lupis_instrument._config.config import LupisConfig, ResolvedSettings


class _State:
    """The runtime and its settings in code.

    Attributes:
        lock: held while the runtime is made.
        runtime: the runtime, once it is made.
        config: the `LupisConfig` that the program has passed.
        off: whether there is none, because the settings say so or because it cannot be made.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self.runtime: Runtime | None = None
        self.config: LupisConfig | None = None
        self.off = False


_state = _State()


def get_runtime() -> Runtime | None:
    """Return the runtime if there is one."""
    return _state.runtime


def start_runtime(config: LupisConfig | None = None) -> Runtime | None:
    """Return the runtime, made now if there is none; None where instrumentation is off.

    Args:
        config: the settings that the program passes in code.
    """
    if config is None and (_state.runtime is not None or _state.off):
        return None if _state.off else _state.runtime
    return import_alone(lambda: _start_configured(config))


def _start_configured(config: LupisConfig | None) -> Runtime | None:
    with _state.lock:
        if config is not None and _state.config is None:
            _state.config = config
            _state.off = False
            if _state.runtime is not None:
                _state.runtime.apply(read_settings())
                _state.off = not _state.runtime.config.enabled
        if _state.runtime is None and not _state.off:
            with internal_errors("starting"):
                _state.runtime = _make_runtime()
            _state.off = _state.runtime is None
        return None if _state.off else _state.runtime


def _make_runtime() -> Runtime | None:
    resolved = read_settings()
    if not resolved.config.enabled or launch.is_sdk_disabled(os.environ):
        return None
    if is_obstructed(lent=launch.launch.lent):
        return None
    with internal_errors("loading propagators"):
        problem = load_again(propagators.load_propagators)
        if problem is not None:
            warn(problem)
    threads.prepare_thread_pools()
    with internal_errors("watching for signals"):
        shutdown_hooks.watch_signals(launch.finish)
    with internal_errors("watching for the end"):
        shutdown_hooks.watch_self_termination(launch.finish, hand_off)
    runtime = load_again(lambda: Runtime(resolved))
    if resolved.values["root_span"]:
        runtime.start_root_span()
    selection.report_missing(resolved.config)
    if resolved.values["instrument_children"]:
        with internal_errors("following work into processes"):
            child_processes.watch_process_starts()
    return runtime


def read_settings() -> ResolvedSettings:
    """Return the settings of this process, and report wrong values."""
    launched = launch.launch.launched
    resolved = resolve_settings(launch.settings_environment(), _state.config, launched=launched)
    if _semconv.ENV_RUN_ID not in os.environ:  # else lupis-run has reported them
        for problem in resolved.problems:
            diagnostics.write_message(problem.severity, assembly.remove_secrets(str(problem)))
    for sentence in resolved.ignored:
        warn(sentence)
    return resolved


def _before_fork() -> None:
    if _state.runtime is not None:
        pause_threads(_state.runtime.before_fork)


def _after_fork_in_parent() -> None:
    if _state.runtime is not None:
        _state.runtime.after_fork_in_parent()


def _after_fork_in_child() -> None:
    _state.lock = RLock()
    if _state.runtime is not None:
        _state.runtime.after_fork_in_child()


on_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)


def hand_off() -> None:
    """Deliver, and leave the totals to the program that this process is about to become."""
    runtime = _state.runtime
    if runtime is not None and not runtime.idle:
        runtime.end_root_span()
        runtime.shutdown()
        from lupis_instrument._runtime import process_tree

        process_tree.hand_off(
            runtime.summary,
            runtime.account,
            runtime.delivery.store,
            runtime.config,
            launched=launch.launch.launched,
        )
        runtime.reset_totals()


def finish() -> None:
    """Deliver, report the totals and stop; at the end of the process."""
    runtime = _state.runtime
    if runtime is None:
        return
    runtime.end_root_span()
    runtime.ending = True
    try:
        runtime.shutdown()
        # Imported now: before, the background thread may still have been loading parts of it.
        from lupis_instrument._runtime import process_tree

        process_tree.report(
            runtime.summary,
            runtime.account,
            runtime.delivery.store,
            runtime.config,
            leads=launch.is_leader(),
            launched=launch.launch.launched,
        )
    finally:
        runtime.admission.reopen_soon()


launch.launch.runtimes.append(sys.modules[__name__])
