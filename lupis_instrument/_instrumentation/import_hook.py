"""Calls a function when the program has imported one of the watched modules.

The finder of this module finds nothing itself. It asks the other finders, and adds an `exec_module`
to the loader that they name, for this one import. So loader, spec and module are the ones that the
program would have got without it. `typing` and `importlib` are not imported here, because this
module is loaded at every start.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from lupis_instrument._diagnostics import internal_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Callable

    Callback = Callable[[ModuleType], None]

_PACKAGE = "lupis_instrument"
withheld_modules: set[tuple[int, str]] = set()
"""Watched modules that a thread shall not find: the thread's ident and the module's name."""


class ImportHook:
    """A meta path finder that watches for modules by name.

    It also finds the modules of this package that are loaded already, where the program has dropped
    them from `sys.modules`: a second copy would have a state of its own.

    Attributes:
        callbacks: the function to call with the module, by the module's name.
    """

    def __init__(self, callbacks: dict[str, Callback]) -> None:
        self.callbacks = callbacks
        self._package = sys.modules[_PACKAGE]
        self._searches: set[tuple[int, str]] = set()

    def install(self) -> None:
        """Watch from now on; for modules that are loaded already, call back at once."""
        sys.meta_path.insert(0, self)
        for name in list(self.callbacks):
            module = sys.modules.get(name)
            if module is not None:
                self.callbacks[name](module)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec that the other finders find, with its loader watched.

        Raises:
            ModuleNotFoundError: the module is withheld from this thread.
        """
        if name not in self.callbacks:  # first, because every import of the program comes here
            return self._find_loaded(name) if name.startswith(_PACKAGE) else None
        search = get_ident(), name
        if search in self._searches:
            return None  # the program has put finders of its own around all existing ones
        if search in withheld_modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        self._searches.add(search)
        try:
            return self._search_finders(name, path, target)
        finally:
            self._searches.discard(search)

    def _find_loaded(self, name: str) -> ModuleSpec | None:
        """Return a spec for a module of this package that is loaded already."""
        module: Any = self._package
        for part in name.split(".")[1:]:
            module = vars(module).get(part)
            if type(module) is not type(sys):
                return None
        if module.__name__ != name:
            return None
        spec: ModuleSpec = type(module.__spec__)(name, _LoadedModule(module))
        return spec

    def _search_finders(self, name: str, path: Any, target: Any) -> ModuleSpec | None:
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                with internal_errors("watching an import"):
                    _watch_loader(spec.loader, name, self._call_back)
                return spec
        return None

    def _call_back(self, name: str) -> None:
        callback = self.callbacks.get(name)
        module = sys.modules.get(name)  # a module may have put another in its place, or none
        if callback is not None and module is not None:
            callback(module)


class _LoadedModule:
    """A loader that returns a module which is loaded already, as it is."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        """Return the loaded module, where other loaders make a new one."""
        module: ModuleType = self._module
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back, which the import system has replaced."""
        module.__spec__ = self._spec


def _watch_loader(loader: Any, name: str, call_back: Callable[[str], None]) -> None:
    """Call `call_back` once after `loader` has executed the module `name`."""
    # zipimporter had no exec_module before Python 3.10.
    method = "exec_module" if hasattr(loader, "exec_module") else "load_module"
    original = getattr(loader, method, None)
    if original is None:
        return
    # The loader of a frozen module is a class, whose method all frozen modules share.
    class_method = vars(loader).get(method) if isinstance(loader, type) else None

    def execute(module: Any) -> Any:
        # A loader may serve many modules (zipimporter does), in any order, before this one.
        is_watched = (module if isinstance(module, str) else module.__name__) == name
        if is_watched:
            _restore_loader(loader, method, class_method)
        result = original(module)
        if is_watched:
            with internal_errors("watching an import"):
                call_back(name)
        return result

    # CPython (3.8 to 3.14) leaves the frames of the import system out of a traceback, which it
    # knows by these names. With the same names, this frame is left out too, and the traceback of a
    # module that fails to import does not change.
    execute.__code__ = execute.__code__.replace(
        co_filename="<frozen importlib._bootstrap>", co_name="_call_with_frames_removed"
    )
    try:
        setattr(loader, method, execute if class_method is None else staticmethod(execute))
    except (AttributeError, TypeError):
        return  # a loader without a __dict__: this module is not watched


def _restore_loader(loader: Any, method: str, class_method: Any) -> None:
    """Give `loader` its own method back."""
    if class_method is not None:
        setattr(loader, method, class_method)
    elif method in vars(loader):
        delattr(loader, method)
