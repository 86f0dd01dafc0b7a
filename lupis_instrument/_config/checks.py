"""What settings need of a higher floor: checks of values, and complaints without secrets.

The one place where settings reach upwards, and only when there is something to do: what a good
pattern is, the redaction alone knows, and what prices are, the part that prices calls.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lupis_instrument._config.setting import ItemChecks


def _check_pattern(pattern: str) -> None:
    from lupis_instrument._redaction import compile_pattern

    compile_pattern(pattern)


def _check_prices(path: str) -> None:
    from lupis_instrument._config.prices_file import read

    read(path)


def hide_secrets(message: str) -> str:
    """A message about settings without the secrets that went into the wrong one."""
    from lupis_instrument._redaction import Redactor

    return Redactor().redact_text(message)


ITEM_CHECKS: ItemChecks = {
    "sensitive_data_patterns": _check_pattern,
    "prices_file": _check_prices,
}
"""For `_settings.read`."""
