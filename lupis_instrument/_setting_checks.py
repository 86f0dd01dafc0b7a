"""The checks of list items that only a higher floor of the package can make.

The one place where settings reach upwards, and only when there is an item to check: what a good
pattern is, the redaction alone knows.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lupis_instrument._setting import ItemChecks


def _check_pattern(pattern: str) -> None:
    from lupis_instrument._redaction import compile_pattern

    compile_pattern(pattern)


ITEM_CHECKS: ItemChecks = {"sensitive_data_patterns": _check_pattern}
"""For `_settings.read`."""
