"""See what a Python program's LLM calls did, without editing the program.

Most programs need nothing from here: `lupis-run python my_agent.py` is enough. Those that want
to add events, chat ids or user metadata use `LupisSDK`. Importing this package loads none of it;
each name is loaded when it is first asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._version import __version__
    from lupis_instrument.exceptions import (
        LupisConfigError,
        LupisError,
        LupisLaunchError,
        LupisUsageError,
    )
    from lupis_instrument.sdk import LupisBlockOptions, LupisMetadata, LupisSDK

__all__ = [
    "LupisBlockOptions",
    "LupisConfig",
    "LupisConfigError",
    "LupisError",
    "LupisLaunchError",
    "LupisMetadata",
    "LupisSDK",
    "LupisUsageError",
    "__version__",
]

_HOMES = {
    "LupisBlockOptions": "sdk",
    "LupisConfig": "_config.config",
    "LupisConfigError": "exceptions",
    "LupisError": "exceptions",
    "LupisLaunchError": "exceptions",
    "LupisMetadata": "sdk",
    "LupisSDK": "sdk",
    "LupisUsageError": "exceptions",
    "__version__": "_version",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
