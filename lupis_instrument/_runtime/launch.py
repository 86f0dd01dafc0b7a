"""How this process was started, and how it ends; loaded at every start of Python.

Everything above imports this module: it knows no runtime until one registers itself.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident

from lupis_instrument._diagnostics import internal_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Callable, Mapping

    from lupis_instrument._instrumentation.provider_observer import ObservedProviders

OFF_WORDS = ("false", "0", "no", "off")
ON_WORDS = ("true", "1", "yes", "on")
ENV_LEADER = "LUPIS_LEADER"  # also in `_semconv`, which is not loaded at every start
_OUTERMOST_FUNCTIONS = ("<module>", "_run_module_as_main")
"""The function of a program's first frame: its main module, or runpy for `-m`, folders and zips."""


class Launch:
    """The state of this process.

    Attributes:
        launched: whether instrumentation was started from outside the program.
        lent: whether the package was found in the launcher's environment only.
        forked: whether the process has forked.
        folder: the folder of the bootstrap in PYTHONPATH; empty if child processes stay alone.
        environ: the variables of this package and of OpenTelemetry at the start. A program may
            have changed them by its first call.
        providers: the tracer providers of the program, once they are observed.
        runtimes: the modules that deliver, each with a function `finish`. References, because
            programs drop modules from `sys.modules` (`mock.patch.dict`).
        finishing: for each thread that runs `finish`, the functions to call when it is done.
    """

    def __init__(self) -> None:
        self.launched = False
        self.lent = False
        self.forked = False
        self.folder = ""
        self.environ: dict[str, str] = {}
        self.providers: ObservedProviders | None = None
        self.runtimes: list[ModuleType] = []
        self.finishing: dict[int, list[Callable[[], None]]] = {}

    def note_fork(self) -> None:
        """Remember that there may be child processes."""
        self.forked = True


launch = Launch()


EXPORTER_VARIABLES = ("OTEL_EXPORTER_OTLP_", "OTEL_TRACES_EXPORTER")
"""The beginnings of the names of variables that say where OpenTelemetry sends spans."""
LAUNCH_PREFIX = "LUPIS_LAUNCH_"  # also in `_semconv`, which is not loaded at every start


def settings_environment() -> dict[str, str]:
    """Return the variables that set this package up.

    A program may set variables before its first call, and they apply. But a library that sets up an
    SDK of its own sets the exporter's variables to an endpoint that is not for these spans, so in a
    launched process those have the values from the launch.
    """
    environ = {**launch.environ, **os.environ}
    if not launch.launched:
        return environ
    kept = {
        name: value for name, value in environ.items() if not name.startswith(EXPORTER_VARIABLES)
    }
    for name, value in launch.environ.items():
        if name.startswith(LAUNCH_PREFIX):
            kept[name[len(LAUNCH_PREFIX) :]] = value
    return kept


def is_enabled(environ: Mapping[str, str]) -> bool:
    """Return whether the variables leave instrumentation on; an unreadable value does."""
    for name in ("LUPIS_ENABLED", "LUPIS_SDK_ENABLED"):
        word = environ.get(name, "").strip().lower()
        if word in OFF_WORDS:
            return False
        if word in ON_WORDS:
            break
    return not is_sdk_disabled(environ)


def is_sdk_disabled(environ: Mapping[str, str]) -> bool:
    """Return whether OpenTelemetry's own variable switches everything off."""
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def finish(then: Callable[[], None] | None = None) -> None:
    """Deliver pending telemetry and print the summary, at the end of the process.

    Args:
        then: ends the process; called when delivery is done. A signal handler passes it. The
            handler may have interrupted this thread in the middle of `finish`: it then leaves
            `then` to the interrupted call, which would lose its items otherwise.
    """
    thread = get_ident()
    outer_functions = launch.finishing.get(thread)
    if outer_functions is not None and then is not None:
        outer_functions.append(then)
        return
    functions = launch.finishing.setdefault(thread, [])
    try:
        _deliver()
    finally:
        if outer_functions is None:
            del launch.finishing[thread]
            for end_process in (*functions, then):
                if end_process is not None:
                    end_process()


def _deliver() -> None:
    interrupted = _was_interrupted()
    with internal_errors("ending"):
        if launch.runtimes:
            for runtime in launch.runtimes:
                runtime.finish()
        elif is_leader():
            _report_children()
    if interrupted:
        _note_interrupt()


def leader_name() -> str:
    """Return the name of the first process of the launch; of this process if none is known."""
    return os.environ.get(ENV_LEADER) or f"{os.getpid()}"


def is_leader() -> bool:
    """Return whether this process is the first one of the launch."""
    return leader_name().partition(":")[0] == str(os.getpid())


def _report_children() -> None:
    """Print the summary in a process that made no call itself; its children may have made some."""
    wanted = os.environ.get("LUPIS_SUMMARY", "").strip().lower()
    if wanted not in ON_WORDS:
        on_terminal = sys.stderr is not None and sys.stderr.isatty()
        # Many programs import subprocess and start nothing. Without a terminal they load nothing.
        has_children = launch.forked or (on_terminal and "subprocess" in sys.modules)
        if wanted in OFF_WORDS or not launch.launched or not has_children:
            return
    from lupis_instrument._runtime import process_tree

    process_tree.report_children(leader_name(), launched=launch.launched)


def _was_interrupted() -> bool:
    """Return whether the program ends by a KeyboardInterrupt that it did not catch."""
    if getattr(sys, "last_type", None) is not KeyboardInterrupt or hasattr(sys, "ps1"):
        return False  # at a prompt, the interrupt may be long over
    frame = getattr(sys.last_traceback, "tb_frame", None)
    if frame is None or frame.f_back is not None:
        return False
    return frame.f_code.co_name in _OUTERMOST_FUNCTIONS


def _note_interrupt() -> None:
    """Make Python end this process by SIGINT, as it does after an uncaught interrupt.

    CPython remembers the interrupt when code ends by it, and forgets it with the next code that is
    compiled from a text, which the modules that delivery imports do (`run_eval_code_obj` in
    Python/pythonrun.c, seen in 3.8 to 3.14). So the interrupt is raised once more.
    """
    try:
        exec("raise KeyboardInterrupt")  # noqa: S102 - there is no other way to note it
    except KeyboardInterrupt:
        pass  # noted
