"""The former import name of `lupis_instrument`, which existing programs still use.

A wheel installs this folder as the package `lupislabs`. It defines nothing of its own.
"""

from lupis_instrument import (
    LupisBlockOptions,
    LupisConfig,
    LupisConfigError,
    LupisError,
    LupisLaunchError,
    LupisMetadata,
    LupisSDK,
    LupisUsageError,
    __version__,
)

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
