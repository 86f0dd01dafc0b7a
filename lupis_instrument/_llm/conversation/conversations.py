"""Tells which calls belong to one conversation where nobody has said so.

By ids that the calls carry themselves, else by what the conversation begins with. Of those that
begin alike each is followed as it grows. What is kept of them is fingerprints, a bounded number.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Callable, Mapping, NamedTuple

from lupis_instrument._llm.conversation.ids import read_ids
from lupis_instrument._llm.conversation.matching import ConversationMatcher
from lupis_instrument._llm.conversation.turns import CONVERSING, read_turns
from lupis_instrument._llm.recent import RecentMap

if TYPE_CHECKING:
    from lupis_instrument._llm.api.endpoints import Endpoint
    from lupis_instrument._llm.conversation.ids import CarriedIds
    from lupis_instrument._llm.conversation.turns import Turns
    from lupis_instrument._llm.usage.facts import Facts

API, DERIVED = "api", "derived"
_DIGITS = 20


class Name(NamedTuple):
    """What a conversation is called.

    Attributes:
        chat_id: its id.
        source: `api` if the API's own ids told it, `derived` if it was told by its beginning.
    """

    chat_id: str
    source: str


class Conversations:
    """The conversations that this process has seen, as far as it remembers.

    Not for several threads at once.
    """

    def __init__(self, key: Callable[[], bytes]) -> None:
        """Remember nothing yet; `key`, asked for once when it is needed, keys what leaves."""
        self._ask_key = key
        self._key: bytes | None = None
        self._growth: ConversationMatcher[Name] = ConversationMatcher()
        self._answers: RecentMap[str, Name] = RecentMap()  # by the provider's id of an answer
        self._kept: RecentMap[str, Name] = RecentMap()  # by the provider's id of a conversation
        self._beginnings: RecentMap[int, tuple[str, int]] = RecentMap()

    def name(
        self, endpoint: Endpoint, path: str, asked: Mapping[str, Any], facts: Facts, *, ok: bool
    ) -> Name | None:
        """Return the name of the conversation that a call belongs to; None if it is part of none.

        Args:
            endpoint: what was called.
            path: of the request, with its query.
            asked: the members of the request's body.
            facts: what the exchange showed.
            ok: whether the call was answered; if it was not, the same list will be sent again.
        """
        try:
            return self._name(endpoint, path, asked, facts, ok=ok)
        except RecursionError:  # nested more deeply than any turn is
            return None

    def _name(
        self, endpoint: Endpoint, path: str, asked: Mapping[str, Any], facts: Facts, *, ok: bool
    ) -> Name | None:
        carried = read_ids(path, asked)
        # With an id of the provider's, the turns sent are those that are new, not the whole list.
        whole = endpoint.counts and carried.kept is None and carried.previous is None
        turns = read_turns(asked) if whole and endpoint.operation in CONVERSING else None
        name = self._find(turns, carried) or self._begin(turns, carried, facts)
        if name is not None:
            self._note(name, carried, facts)
            if turns is not None:
                self._growth.note(turns, name, answered=ok, answer_hash=facts.answer_hash)
        return name

    def _find(self, turns: Turns | None, carried: CarriedIds) -> Name | None:
        """Return the name of a conversation that was met before, or that the provider names."""
        if carried.kept is not None:
            return self._kept.get(carried.kept) or Name(carried.kept, API)
        if carried.previous is not None:
            known = self._answers.get(carried.previous)
            return Name(known.chat_id, API) if known is not None else None
        return self._growth.follow(turns) if turns is not None else None

    def _begin(self, turns: Turns | None, carried: CarriedIds, facts: Facts) -> Name | None:
        """Return the name of a conversation that was not met before."""
        if facts.conversation is not None:
            return self._kept.get(facts.conversation) or Name(facts.conversation, API)
        if carried.worded is not None:
            text = carried.worded.encode("utf-8", "surrogatepass")
            return Name(self._fingerprint(b"id", text), API)
        if carried.previous is not None:
            return Name(carried.previous, API)
        return Name(self._derive(turns), DERIVED) if turns is not None else None

    def _derive(self, turns: Turns) -> str:
        """Return an id made of the beginning, and a number from the second on that has it."""
        beginning = turns.mark(turns.said)
        known = self._beginnings.get(beginning)
        chat_id, count = known or (self._fingerprint(b"turns", turns.opening()), 0)
        self._beginnings.put(beginning, (chat_id, count + 1))
        return f"{chat_id}-{count + 1}" if count else chat_id

    def _fingerprint(self, kind: bytes, text: bytes) -> str:
        if self._key is None:
            self._key = self._ask_key()
        digest = hmac.digest(self._key, b"lupis chat id\0" + kind + b"\0" + text, "sha256")
        return f"auto-{digest.hex()[:_DIGITS]}"

    def _note(self, name: Name, carried: CarriedIds, facts: Facts) -> None:
        """Remember the ids that later calls may be known again by."""
        if facts.response_id is not None:
            self._answers.put(facts.response_id, name)
        for kept in (carried.kept, facts.conversation):
            if kept is not None:
                self._kept.put(kept, name)
