"""The import name that existing programs use for `lupis_instrument`; nothing stands here."""

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
