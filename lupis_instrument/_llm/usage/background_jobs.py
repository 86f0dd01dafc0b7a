"""Counts the usage of background jobs once: with the request that brings the answer.

OpenAI's background responses and runs, Gemini's background interactions and Replicate's
predictions answer a request with an id. The caller then requests that id until the answer is
complete. The usage counts with the request that first returns the complete answer; reading the
same answer again uses no tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lupis_instrument._llm.api.endpoints import Endpoint
    from lupis_instrument._llm.usage.facts import Facts

MAX_JOBS = 10_000
"""Jobs that may wait for their answers; the oldest is forgotten first."""


class BackgroundJobs:
    """The background jobs that this process has started and whose answers are not complete.

    Attributes:
        pending: provider and response id of each job, in the order in which they were last seen.
            While it is empty, only a call that starts a job matters.
    """

    def __init__(self) -> None:
        self.pending: dict[tuple[str, str], bool] = {}

    def assign_usage(self, endpoint: Endpoint, facts: Facts) -> Facts:
        """Return the facts of a call with the usage that counts for this call."""
        if facts.response_id is None:
            return facts
        key = endpoint.provider, facts.response_id
        if endpoint.uses_tokens and facts.waiting:
            self._add_job(key)
        elif endpoint.uses_tokens:
            self.pending.pop(key, None)  # the answer came with a request that counts by itself
        elif facts.stored_usage is not None and not facts.waiting and self.pending.pop(key, False):
            return facts._replace(usage=facts.stored_usage)
        return facts

    def _add_job(self, key: tuple[str, str]) -> None:
        self.pending.pop(key, None)
        self.pending[key] = True
        if len(self.pending) > MAX_JOBS:
            del self.pending[next(iter(self.pending))]
