"""Threads and locks of the operating system, whether or not the program has patched Python's.

gevent and eventlet replace the functions of `_thread`, `threading`, `queue` and `time` by functions
that switch between greenlets. A program may patch at its first line, after its first call, or in a
forked worker (`gunicorn --preload`). A thread that waits for a greenlet's lock, or a greenlet that
waits for a lock of the other kind, stops for seconds or for ever.

So all threads of this package are threads of the operating system, and so is everything that they
share with the program: locks, events and queues. The alternative, greenlets, would take turns with
the program, and a change of kind in the middle of a run has no safe moment. The program holds such
a lock for moments only, and never while it lets other greenlets run. Where it waits for longer,
`call_beside_greenlets` lets them run.

The functions come from a second copy of the module `_thread`: patches change the first one, and
eventlet replaces all objects of the first one's class RLock, or complains about them on stderr
(seen in eventlet 0.36 to 0.41). In Python 3.8 and 3.9 a copy is impossible: loading it resets the
first module. There, the first module serves, and in a program that has patched already, the
originals that gevent and eventlet keep.
"""

from __future__ import annotations

import _thread
import sys
import time
from types import BuiltinFunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_CAN_COPY = sys.version_info >= (3, 10)


def is_patched() -> bool:
    """Return whether the program's threads are greenlets now."""
    return not isinstance(_thread.start_new_thread, BuiltinFunctionType)


def _copy_module(module: ModuleType) -> Any:
    """Return a second copy of a module that is part of the interpreter."""
    spec: Any = module.__spec__
    copy = spec.loader.create_module(spec)
    spec.loader.exec_module(copy)
    return copy


def _find_function(module: ModuleType, name: str) -> Any:
    """Return a function of Python's own, also where a patch has replaced it."""
    function = getattr(module, name)
    if isinstance(function, BuiltinFunctionType):
        return function
    if _CAN_COPY:
        return getattr(_copy_module(module), name)
    if "gevent.monkey" in sys.modules:
        return sys.modules["gevent.monkey"].get_original(module.__name__, name)
    if "eventlet.patcher" in sys.modules:
        return getattr(sys.modules["eventlet.patcher"].original(module.__name__), name)
    return function


def _find_rlock() -> Any:
    return _copy_module(_thread).RLock if _CAN_COPY else _thread.RLock


start_new_thread = _find_function(_thread, "start_new_thread")
allocate_lock = _find_function(_thread, "allocate_lock")
get_ident = _find_function(_thread, "get_ident")
sleep = _find_function(time, "sleep")
RLock = _find_rlock()
