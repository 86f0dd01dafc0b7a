"""Keeps the modules of OpenTelemetry that this package uses, because programs drop modules.

A program may restore `sys.modules` after its first call, as `mock.patch.dict(sys.modules)` does.
The modules that the call has loaded would then be loaded a second time, with another context.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_PACKAGE = "opentelemetry"

kept_modules: dict[str, ModuleType] = {}
"""The modules of OpenTelemetry that this package uses, by their names."""


def _is_kept(name: str) -> bool:
    return name == _PACKAGE or name.startswith(_PACKAGE + ".")


class use_kept_modules:  # noqa: N801 - read as a function
    """Shows the kept modules in `sys.modules` inside a `with` block, and keeps further ones.

    Modules that the block imports then use the kept modules. Afterwards the program has its own
    again: it may have dropped OpenTelemetry to import it anew, or forbidden its import by None.
    """

    __slots__ = ("_before", "_differs")

    def __enter__(self) -> None:
        before = {name: module for name, module in list(sys.modules.items()) if _is_kept(name)}
        forbidden = [name for name, module in before.items() if module is None]
        self._before = before
        self._differs = bool(forbidden) or any(
            before.get(name) is not module for name, module in kept_modules.items()
        )
        for name in forbidden:
            del sys.modules[name]
        sys.modules.update(kept_modules)

    def __exit__(self, *_: object) -> None:
        loaded = [(name, module) for name, module in list(sys.modules.items()) if _is_kept(name)]
        for name, module in loaded:
            kept_modules.setdefault(name, module)
        if self._differs:
            for name, module in loaded:
                if kept_modules[name] is module:
                    sys.modules.pop(name, None)
            sys.modules.update(self._before)
