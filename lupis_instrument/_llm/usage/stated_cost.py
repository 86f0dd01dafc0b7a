"""Reads the cost of a call that its provider states."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Mapping

from lupis_instrument._llm.api.bills import BILL_HEADERS, BILLS
from lupis_instrument._llm.api.field_paths import MAX_COUNT, read_path

if TYPE_CHECKING:
    from lupis_instrument._llm.api.bills import BillRow

_MAX_COST = 10**6
"""No call costs as much, in USD; a larger amount is no cost."""
_MAX_TEXT = 40
_EXACT = Context(prec=40)


def read_stated_cost(provider: str, *reports: Mapping[str, Any]) -> Decimal | None:
    """Return the cost in USD that one of the reports states; None if none does.

    Args:
        provider: gen_ai.provider.name.
        reports: the usage report, then the other members that may state a cost.
    """
    for row in BILLS:
        for report in reports:
            if row.path[0] in report and (not row.providers or provider in row.providers):
                cost = _read_row(row, report)
                if cost is not None:
                    return cost
    return None


def read_header_cost(headers: Mapping[str, str]) -> Decimal | None:
    """Return the cost in USD that a response header states; None if none does."""
    costs = (_parse_amount(headers.get(name)) for name in BILL_HEADERS)
    return next((cost for cost in costs if cost), None)


def _read_row(row: BillRow, report: Mapping[str, Any]) -> Decimal | None:
    amount = _parse_amount(read_path(report, row.path))
    if amount is None or (row.beside and row.beside not in report):
        return None
    if not amount:
        amount = _parse_amount(read_path(report, row.if_zero)) or amount
    if report.get("is_byok") is True:
        own_key = _parse_amount(read_path(report, row.own_key))
        if not amount and not own_key:
            return None  # the other company's amount is missing
        amount += own_key or 0
    cost = _EXACT.divide(amount, Decimal(row.per_usd))
    return cost if cost <= _MAX_COST and (cost or row.zero_counts) else None


def _parse_amount(value: Any) -> Decimal | None:
    """Return an amount with the digits of the answer; None for anything else."""
    if type(value) is int:
        return Decimal(value) if 0 <= value <= MAX_COUNT else None
    if type(value) not in (float, str) or len(str(value)) > _MAX_TEXT:
        return None
    try:
        amount = Decimal(str(value).strip())
    except ArithmeticError:
        return None
    return amount if amount.is_finite() and amount >= 0 else None
