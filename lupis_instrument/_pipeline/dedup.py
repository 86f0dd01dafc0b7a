"""First stage: one call leaves as one span."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lupis_instrument._pipeline.draft import Draft


def dedup(draft: Draft) -> Draft | None:
    """Drop a span that repeats one further out, or that the user excluded."""
    record = draft.record
    return None if record.outer is not None or record.excluded else draft
