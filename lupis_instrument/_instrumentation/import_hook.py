"""Calls back when the program has imported one of the modules we wait for.

The finder leaves finding to the others: it only adds, on the loader that they name, an
`exec_module` for this one import, so that loader, spec and module are those the program would
have got without us. `typing` and `importlib` are not imported: this runs at every start.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from lupis_instrument._diagnostics import guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Callable

    Callback = Callable[[ModuleType], None]

withheld: set[tuple[int, str]] = set()
"""Threads, each with the name of a module waited for that it shall not find."""


class ImportHook:
    """A meta path finder that watches for modules by name."""

    def __init__(self, callbacks: dict[str, Callback]) -> None:
        self.callbacks = callbacks
        self._finding: set[tuple[int, str]] = set()

    def install(self) -> None:
        """Watch from now on; modules that are loaded already are called back at once."""
        sys.meta_path.insert(0, self)
        for name in list(self.callbacks):
            module = sys.modules.get(name)
            if module is not None:
                self.callbacks[name](module)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find nothing ourselves; put a watch on what the other finders find."""
        if name not in self.callbacks:
            return None  # first, for each import of the program's comes here
        search = get_ident(), name
        if search in self._finding:
            return None  # the program has put finders of its own around all there are
        if search in withheld:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        self._finding.add(search)
        try:
            return self._find(name, path, target)
        finally:
            self._finding.discard(search)

    def _find(self, name: str, path: Any, target: Any) -> ModuleSpec | None:
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                guarded("watching an import", _watch, spec.loader, name, self._loaded)
                return spec
        return None

    def _loaded(self, name: str) -> None:
        callback = self.callbacks.get(name)
        module = sys.modules.get(name)  # a module may have put another in its place, or none
        if callback is not None and module is not None:
            callback(module)


def _watch(loader: Any, name: str, loaded: Callable[[str], None]) -> None:
    """Have `loaded` called after `loader` has executed the module `name`."""
    # zipimporter had no exec_module before Python 3.10.
    method = "exec_module" if hasattr(loader, "exec_module") else "load_module"
    original = getattr(loader, method, None)
    if original is None:
        return
    # A frozen module's loader is a class, whose method all modules of its kind share.
    own = vars(loader).get(method) if isinstance(loader, type) else None

    def execute(module: Any) -> Any:
        # A loader may serve many modules (zipimporter does), in any order while ours is pending.
        mine = (module if isinstance(module, str) else module.__name__) == name
        if mine:
            _restore(loader, method, own)
        result = original(module)
        if mine:
            guarded("watching an import", loaded, name)
        return result

    # CPython leaves the import system's own frames out of a traceback, by these names (3.8 to
    # 3.14); so is this one, then, and a module that fails to import looks as it always did.
    execute.__code__ = execute.__code__.replace(
        co_filename="<frozen importlib._bootstrap>", co_name="_call_with_frames_removed"
    )
    try:
        setattr(loader, method, execute if own is None else staticmethod(execute))
    except (AttributeError, TypeError):
        return  # a loader without a __dict__: this module stays unwatched


def _restore(loader: Any, method: str, own: Any) -> None:
    """Take the watch off `loader`."""
    if own is not None:
        setattr(loader, method, own)
    elif method in vars(loader):
        delattr(loader, method)
