"""The checks of values and list items that only a higher floor of the package can make.

The one place where settings reach upwards, and only when there is something to check: what a good
pattern is, the redaction alone knows, and what prices are, the part that prices calls.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lupis_instrument._setting import ItemChecks


def _check_pattern(pattern: str) -> None:
    from lupis_instrument._redaction import compile_pattern

    compile_pattern(pattern)


def _check_prices(path: str) -> None:
    from lupis_instrument._prices_file import read

    read(path)


ITEM_CHECKS: ItemChecks = {
    "sensitive_data_patterns": _check_pattern,
    "prices_file": _check_prices,
}
"""For `_settings.read`."""
