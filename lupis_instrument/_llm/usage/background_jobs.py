"""Counts the usage of background jobs once: with the request that brings the answer.

OpenAI's background responses and runs, Gemini's background interactions, Replicate's predictions,
xAI's deferred chats and Perplexity's asynchronous chats answer a request with an id. The caller
then requests that id until the answer is complete. The usage counts with the request that first
returns the complete answer; reading the same answer again uses no tokens.
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
        names = [name for name in (facts.job_id, facts.response_id) if name is not None]
        keys = [(endpoint.provider, name) for name in names]
        if not keys:
            return facts
        if endpoint.uses_tokens and facts.waiting:
            self._add_job(keys[0])
        elif endpoint.uses_tokens:
            self._remove_jobs(keys)  # the answer came with a request that counts by itself
        elif facts.stored_usage is not None and not facts.waiting and self._remove_jobs(keys):
            return facts._replace(usage=facts.stored_usage)
        return facts

    def _remove_jobs(self, keys: list[tuple[str, str]]) -> bool:
        """Remove the jobs with these keys; return whether there were any."""
        removed = [self.pending.pop(key, False) for key in keys]
        return any(removed)

    def _add_job(self, key: tuple[str, str]) -> None:
        self.pending.pop(key, None)
        self.pending[key] = True
        if len(self.pending) > MAX_JOBS:
            del self.pending[next(iter(self.pending))]
