"""The former import name of `lupis_instrument`, which existing programs still use.

The module `lupislabs` puts this package in its own place. The names of `lupis_instrument` come
first; `types`, `sdk` and `tracer` are the modules in which lupislabs 1.0 had them.
"""

from typing import Any, NoReturn

from lupis_instrument import (
    LupisBlockOptions,
    LupisBudgetError,
    LupisConfig,
    LupisConfigError,
    LupisError,
    LupisLaunchError,
    LupisMetadata,
    LupisSDK,
    LupisUsageError,
    __version__,
)
from lupis_instrument._earlier_api import (
    ConversationContext,
    MessageData,
    ToolCallData,
    note_earlier,
)

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

_EARLIER = {
    "ConversationContext": (ConversationContext, "LupisMetadata"),
    "EventProperties": (dict, "dict"),
    "LupisLabs": (LupisSDK, "LupisSDK"),
    "MessageData": (MessageData, "LupisSDK.track_event"),
    "ToolCallData": (ToolCallData, "LupisSDK.track_event"),
}
"""By name, the object of lupislabs 1.0 and its replacement."""
_REPLACEMENTS = {
    "LupisEvent": "LupisSDK.track_event(name, properties)",
    "LupisTracer": "LupisSDK.init(config)",
    "SensitiveDataFilter": "LupisConfig(filter_sensitive_data=..., redaction_mode=...)",
}
"""By name, the replacement of a class of lupislabs 1.0 that cannot work here."""


def __getattr__(name: str) -> Any:
    if name in _EARLIER:
        value, replacement = _EARLIER[name]
        note_earlier(f"lupislabs.{name}", replacement)
        return value
    if name in _REPLACEMENTS:
        return _make_refusal(name, _REPLACEMENTS[name])
    raise AttributeError(f"module 'lupislabs' has no attribute {name!r}")


def _make_refusal(name: str, replacement: str) -> Any:
    """Return a class that can be imported, and named in type hints, but not used."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise LupisUsageError(f"lupislabs.{name} is not available: use {replacement}")

    return type(name, (), {"__new__": refuse, "__doc__": f"Not available: use {replacement}."})
