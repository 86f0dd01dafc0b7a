"""Answers that one request asks for and a later one brings: their use counts once, with the latter.

OpenAI's background responses and runs, Gemini's background interactions and Replicate's predictions
are answered with an id, and asked for by that id until they are there. Asking once more for one
that is there is no new use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lupis_instrument._llm.recent import RecentMap

if TYPE_CHECKING:
    from lupis_instrument._llm.api.endpoints import Endpoint
    from lupis_instrument._llm.usage.facts import Facts


class BackgroundJobs:
    """The answers that this process has asked for and that have not come yet."""

    def __init__(self) -> None:
        self._ids: RecentMap[tuple[str, str], bool] = RecentMap()

    def settle(self, endpoint: Endpoint, facts: Facts) -> Facts:
        """Return the facts of a call with the usage that counts for it."""
        if facts.response_id is None:
            return facts
        key = endpoint.provider, facts.response_id
        if endpoint.counts and facts.waiting:
            self._ids.put(key, True)
        elif endpoint.counts:
            self._ids.pop(key)  # it has come with a request that counts by itself
        elif facts.stored is not None and not facts.waiting and self._ids.pop(key):
            return facts._replace(usage=facts.stored)
        return facts
