"""See the LLM calls of a Python program, without changing the program.

Most programs need nothing from this package: `lupis-run python my_agent.py` is enough. A program
that adds events, chat ids or user metadata uses `LupisSDK`.

Importing the package loads none of its modules; each name is loaded when it is first used.

PYTEST_DONT_REWRITE: this word keeps pytest from a warning that `lupis-run` imports the package
first; the warning would end a test run whose warnings are errors.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._version import __version__
    from lupis_instrument.exceptions import (
        LupisBudgetError,
        LupisConfigError,
        LupisError,
        LupisLaunchError,
        LupisUsageError,
    )
    from lupis_instrument.sdk import LupisBlockOptions, LupisMetadata, LupisSDK

__all__ = [
    "LupisBlockOptions",
    "LupisBudgetError",
    "LupisConfig",
    "LupisConfigError",
    "LupisError",
    "LupisLaunchError",
    "LupisMetadata",
    "LupisSDK",
    "LupisUsageError",
    "__version__",
]

_MODULES = {
    "LupisBlockOptions": "sdk",
    "LupisBudgetError": "exceptions",
    "LupisConfig": "_config.config",
    "LupisConfigError": "exceptions",
    "LupisError": "exceptions",
    "LupisLaunchError": "exceptions",
    "LupisMetadata": "sdk",
    "LupisSDK": "sdk",
    "LupisUsageError": "exceptions",
    "__version__": "_version",
}
"""By public name, the module that defines it."""


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
