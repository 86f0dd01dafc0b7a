"""Reacts to the program's import of a module that matters: a client, a server, multiprocessing.

Loaded with the first of these modules. Nothing heavy is loaded here: a client gets wrappers that
load the rest with its first request.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import internal_errors
from lupis_instrument._process import import_lock, shutdown_hooks
from lupis_instrument._process.native_threads import is_patched
from lupis_instrument._runtime import providers
from lupis_instrument._runtime.conflicts import is_obstructed
from lupis_instrument._runtime.launch import OFF_WORDS, finish, launch

if TYPE_CHECKING:
    from types import ModuleType

    from opentelemetry.trace import Tracer

    from lupis_instrument._config.clients import Client
    from lupis_instrument._instrumentation.activation import Activation, CurrentCalls

_NATIVE_SPANS = "LUPIS_NATIVE_SPANS"


class ImportCallbacks:
    """One method for each kind of watched module; each takes the module."""

    def __init__(self) -> None:
        self._calls: CurrentCalls | None = None
        self._mending = False
        self._wrapped: dict[str, list[tuple[ModuleType, Activation]]] = {}

    def use_client(self, client: Client, module: ModuleType) -> None:
        """Wrap an HTTP client.

        A second import of the client makes new classes. After the first request, the instrumentor
        is behind the first classes and accepts no others; before it, the new module is wrapped
        too. A module that is reloaded may have the same classes.
        """
        wrapped = self._wrapped.setdefault(client.module, [])
        if any(module is known or not activation.dormant for known, activation in wrapped):
            return
        try:
            activation = self._wrap_client(client, module)
            if activation is not None:
                wrapped.append((module, activation))
        except Exception as fault:
            error = fault
            with internal_errors("reporting a client"):
                import_lock.import_alone(lambda: _report_client(client, error))

    def _wrap_client(self, client: Client, module: ModuleType) -> Activation | None:
        if is_obstructed(lent=False):
            return None
        from lupis_instrument._instrumentation.activation import Activation, CurrentCalls

        with internal_errors("watching for signals"):
            shutdown_hooks.watch_signals(finish)
        calls = self._calls = self._calls or CurrentCalls(providers.find_original)

        def activate() -> None:
            if not is_obstructed(lent=launch.lent):  # the program may have changed its path since
                _activate_client(client, activation, calls)

        def load() -> None:
            if is_patched() and not is_obstructed(lent=launch.lent):
                from lupis_instrument._process.greenlets import import_beside_greenlets
                from lupis_instrument._runtime.first_modules import FIRST_MODULES

                import_beside_greenlets(FIRST_MODULES)

        def activate_again() -> None:
            import_lock.load_again(activate)

        activation = Activation(lambda: import_lock.import_alone(activate_again), calls, load)
        import_module(client.adapter).wrap_client(module, activation)
        return activation

    def observe_providers(self, sdk: ModuleType) -> None:
        """Follow the tracer providers that the program sets up."""
        with internal_errors("observing tracer providers"):
            providers.observe_providers(sdk)

    def record_native_spans(self, api: ModuleType) -> None:
        """Record the spans of libraries that use OpenTelemetry's API alone; loads no SDK."""
        if launch.environ.get(_NATIVE_SPANS, "").strip().lower() in OFF_WORDS:
            return
        with internal_errors("recording native spans"):
            from lupis_instrument._instrumentation.native_spans import wrap_proxy_tracers

            wrap_proxy_tracers(api, _make_native_tracer, providers.has_open_provider)

    def prepare_server(self, _module: ModuleType) -> None:
        """Let incoming chat ids follow the work into threads, even before the first call."""
        from lupis_instrument._instrumentation.threads import prepare_thread_pools

        prepare_thread_pools()

    def watch_children(self, util: ModuleType) -> None:
        """Deliver when a child process of multiprocessing ends."""
        with internal_errors("following child processes"):
            shutdown_hooks.watch_children(util, finish, self._is_idle)
        # Before a server in a child sets its own handlers, which it removes when it ends: uvicorn
        # imports the application, and with it a client, only after that.
        with internal_errors("watching for signals"):
            shutdown_hooks.watch_signals(finish)

    def watch_launcher(self, _module: ModuleType) -> None:
        """Keep Python instrumented that another launcher starts in an environment of its own."""
        if launch.folder and not self._mending:
            self._mending = True
            from lupis_instrument._process import launchers_between

            with internal_errors("watching a launcher"):
                launchers_between.mend_children(launch.folder)

    def _is_idle(self) -> bool:
        return self._calls is None

    def watch_celery(self, signals: ModuleType) -> None:
        """Deliver when one of celery's workers ends: it leaves by `os._exit`, but announces it."""

        def on_shutdown(**_: object) -> None:
            finish()

        signals.worker_process_shutdown.connect(on_shutdown, weak=False)


def _make_native_tracer(*scope: Any) -> Tracer | None:
    """Start the runtime, and return its tracer for a library's scope; None if it has none."""

    def make_tracer() -> Tracer | None:
        from lupis_instrument._runtime import current

        runtime = current.start_runtime()
        return None if runtime is None else runtime.make_native_tracer(*scope)

    return import_lock.import_alone(lambda: import_lock.load_again(make_tracer))


def _activate_client(client: Client, activation: Activation, calls: CurrentCalls) -> None:
    """Start the runtime and instrument a client, if the settings select it."""
    from lupis_instrument._instrumentation import selection
    from lupis_instrument._runtime import current

    runtime = current.start_runtime()
    if runtime is not None and selection.is_selected(client, runtime.config):
        calls.connect(runtime.processor)
        selection.instrument_client(client, activation, runtime.provider, runtime.config)


def _report_client(client: Client, fault: Exception) -> None:
    """Report that the calls of a client will not be recorded."""
    from lupis_instrument._instrumentation import selection
    from lupis_instrument._runtime import current

    runtime = current.get_runtime()
    config = runtime.config if runtime is not None else current.read_settings().config
    selection.report_client(client, config, fault)
