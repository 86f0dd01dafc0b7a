"""The errors that this package raises on purpose.

    LupisError
    ├── LupisBudgetError                       the budget of the launch is used up
    ├── LupisConfigError (also a ValueError)   a setting's value is not valid
    ├── LupisLaunchError                       lupis-run cannot start the command
    └── LupisUsageError (also a TypeError)     the in-code API was called in a wrong way

No other error of this package reaches your program: an error inside instrumentation is reported on
stderr once, and the program runs on.
"""

from __future__ import annotations


class LupisError(Exception):
    """The base of all errors of this package.

    Attributes:
        is_printable: whether warnings may quote the message: it has names of types and settings,
            and no contents.
    """

    is_printable = True


class LupisBudgetError(LupisError):
    """An LLM call was not sent, because the launch has used up `LUPIS_MAX_COST`.

    Attributes:
        spent: the cost of the launch in USD.
        max_cost: the budget in USD.
    """

    def __init__(self, spent: float, max_cost: float) -> None:
        super().__init__(spent, max_cost)
        self.spent = spent
        self.max_cost = max_cost

    def __str__(self) -> str:
        return (
            f"the call was not sent: ${self.spent:,.6g} of the budget of ${self.max_cost:,.6g} are"
            " used (LUPIS_MAX_COST)"
        )


class LupisConfigError(LupisError, ValueError):
    """A setting has a value that is not valid; the message names the valid ones."""


class LupisLaunchError(LupisError):
    """The command given to `lupis-run` cannot be started.

    Attributes:
        status: the exit status that a shell would use: 126 not executable, 127 not found.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class LupisUsageError(LupisError, TypeError):
    """The in-code API was called in a way that cannot work."""
