"""The errors this package raises on purpose.

    LupisError
    ├── LupisConfigError (also a ValueError)   a setting's value is not valid
    ├── LupisLaunchError                       lupis-run cannot start the command
    └── LupisUsageError (also a TypeError)     the in-code API was called in a wrong way

Nothing else of ours ever reaches the program: faults inside instrumentation are reported on
stderr once and the program runs on.
"""

from __future__ import annotations


class LupisError(Exception):
    """What every error of this package is."""


class LupisConfigError(LupisError, ValueError):
    """A setting has a value that is not valid; the message names what is."""


class LupisLaunchError(LupisError):
    """The command given to `lupis-run` cannot be started.

    Attributes:
        status: the exit status that says so, as a shell would: 126 not executable, 127 not found.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class LupisUsageError(LupisError, TypeError):
    """The in-code API was called in a way that cannot work."""
