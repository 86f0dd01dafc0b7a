"""Finds the conversation of each call, for programs that set no chat id.

The ids in a call identify its conversation. Without ids, its message list does: chat APIs are
stateless, so each call repeats all earlier messages of the conversation and adds new ones. Only
hashes and fingerprints of messages are kept, and a limited number of them.
"""

from __future__ import annotations

import hmac
from bisect import bisect_left, insort
from collections import OrderedDict
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Generic,
    Mapping,
    NamedTuple,
    Protocol,
    TypeVar,
)

from lupis_instrument._llm.conversation.ids import CONTINUED_APIS, read_ids
from lupis_instrument._llm.conversation.turns import CHAT_OPERATIONS, read_turns

if TYPE_CHECKING:
    from typing import Iterable, Iterator

    from lupis_instrument._llm.api.endpoints import Endpoint
    from lupis_instrument._llm.conversation.ids import RequestIds
    from lupis_instrument._llm.conversation.turns import Turns

API, DERIVED = "api", "derived"
_FINGERPRINT_DIGITS = 20
_MAX_CALLS_PER_LIST = 250
MAX_ENTRIES = 10_000
_MAX_LENGTHS = 1000
"""Lengths of lists that are kept for an opening; the longest ones."""
_MAX_PREFIXES = 64
"""Earlier lists with which a call is compared; the longest ones, which end at its newest turns."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class AnswerFacts(Protocol):
    """The facts of a call that concern its conversation. `usage.facts.Facts` has them."""

    @property
    def request_model(self) -> str | None:
        """The model that the request names."""

    @property
    def response_id(self) -> str | None:
        """The provider's id of the answer."""

    @property
    def conversation_id(self) -> str | None:
        """The provider's id of the conversation."""

    @property
    def answer_hash(self) -> int | None:
        """The hash of the answer, if it came in one piece."""


class Conversation(NamedTuple):
    """The id of a conversation.

    Attributes:
        chat_id: the id.
        source: `api` if ids in the call identified the conversation, `derived` if its messages did.
    """

    chat_id: str
    source: str


class CallIdentity(NamedTuple):
    """The ids by which a call is recognised.

    Attributes:
        conversation: the conversation of the call; None if it is not part of one.
        fingerprint: a keyed hash of the model and the messages, which is equal for identical
            requests; None if they cannot be read.
    """

    conversation: Conversation | None = None
    fingerprint: str | None = None


class Conversations:
    """The conversations of this process, as far as it remembers them.

    Not safe for use by several threads at once.
    """

    def __init__(self, get_key: Callable[[], bytes]) -> None:
        """Start without any conversation.

        Args:
            get_key: returns the secret key of the fingerprints; called once, when first needed.
        """
        self._get_key = get_key
        self._key: bytes | None = None
        self._digests: dict[bytes, hmac.HMAC] = {}
        self._matcher = ConversationMatcher()
        self._by_answer_id: RecentMap[str, Conversation] = RecentMap()
        self._by_provider_id: RecentMap[str, Conversation] = RecentMap()
        # Hash of an opening -> the chat id derived from it, and the number of conversations
        # with this opening.
        self._openings: RecentMap[int, tuple[str, int]] = RecentMap()

    def identify_call(
        self,
        endpoint: Endpoint,
        path: str,
        request: Mapping[str, Any],
        facts: AnswerFacts,
        *,
        answered: bool,
        named: bool = False,
    ) -> CallIdentity:
        """Return the conversation of a call, and the fingerprint of its request.

        Args:
            endpoint: the called endpoint.
            path: the request's path, with its query.
            request: the members of the request's body.
            facts: the facts of the response.
            answered: whether the call succeeded. The program may repeat a failed call, and the
                repetition belongs to the same conversation.
            named: whether the program has set the chat id, so that no conversation is looked for.
        """
        try:
            ids = read_ids(path, request)
            turns = read_turns(request) if endpoint.uses_tokens else None
            fingerprint = self._fingerprint_request(endpoint, ids, turns, facts)
            if named:
                return CallIdentity(None, fingerprint)
            if not _is_whole_list(endpoint, ids):
                turns = None
            conversation = self._find_known(turns, ids) or self._start_new(turns, ids, facts)
            if conversation is not None:
                self._remember_ids(endpoint, conversation, ids, facts)
                if turns is not None:
                    self._matcher.add_call(
                        turns, conversation, answered=answered, answer_hash=facts.answer_hash
                    )
        except RecursionError:  # the body is nested more deeply than messages are
            return CallIdentity()
        return CallIdentity(conversation, fingerprint)

    def _fingerprint_request(
        self, endpoint: Endpoint, ids: RequestIds, turns: Turns | None, facts: AnswerFacts
    ) -> str | None:
        """Return a hash of the model and the messages; None if the messages are not known."""
        if turns is None:
            return None
        names = (endpoint.operation, facts.request_model, ids.conversation, ids.previous_answer)
        return self._fingerprint_text(b"request", turns.write_ends(names))

    def _find_known(self, turns: Turns | None, ids: RequestIds) -> Conversation | None:
        """Return the conversation of an earlier call, or the one that the request names."""
        if ids.conversation is not None:
            known = self._by_provider_id.get(ids.conversation)
            return known or Conversation(ids.conversation, API)
        if ids.previous_answer is not None:
            known = self._by_answer_id.get(ids.previous_answer)
            return Conversation(known.chat_id, API) if known is not None else None
        return self._matcher.find_conversation(turns) if turns is not None else None

    def _start_new(
        self, turns: Turns | None, ids: RequestIds, facts: AnswerFacts
    ) -> Conversation | None:
        """Return a conversation that starts with this call."""
        if facts.conversation_id is not None:
            known = self._by_provider_id.get(facts.conversation_id)
            return known or Conversation(facts.conversation_id, API)
        if ids.caller is not None:
            text = ids.caller.encode("utf-8", "surrogatepass")
            return Conversation(self._make_id(b"id", (text,)), API)
        if ids.previous_answer is not None:
            return Conversation(ids.previous_answer, API)
        return Conversation(self._derive_id(turns), DERIVED) if turns is not None else None

    def _derive_id(self, turns: Turns) -> str:
        """Return an id made of the opening, with a number for all but the first with this opening.

        The same opening gives the same id in every process that has the same key.
        """
        opening = turns.hash_turns(turns.opening_length)
        known = self._openings.get(opening)
        chat_id, count = known or (self._make_id(b"turns", turns.write_opening()), 0)
        self._openings.put(opening, (chat_id, count + 1))
        return f"{chat_id}-{count + 1}" if count else chat_id

    def _make_id(self, kind: bytes, parts: Iterable[bytes | memoryview]) -> str:
        return f"auto-{self._fingerprint_text(kind, parts)}"

    def _fingerprint_text(self, kind: bytes, parts: Iterable[bytes | memoryview]) -> str:
        """Return a keyed hash, from which nobody without the key can guess the text."""
        keyed = self._digests.get(kind)
        if keyed is None:
            if self._key is None:
                self._key = self._get_key()
            keyed = hmac.new(self._key, b"lupis chat id\0" + kind + b"\0", "sha256")
            self._digests[kind] = keyed
        digest = keyed.copy()
        for part in parts:
            digest.update(part)
        return digest.hexdigest()[:_FINGERPRINT_DIGITS]

    def _remember_ids(
        self,
        endpoint: Endpoint,
        conversation: Conversation,
        ids: RequestIds,
        facts: AnswerFacts,
    ) -> None:
        """Remember the provider's ids, by which later calls refer to this conversation."""
        if facts.response_id is not None and endpoint.api in CONTINUED_APIS:
            self._by_answer_id.put(facts.response_id, conversation)
        for provider_id in (ids.conversation, facts.conversation_id):
            if provider_id is not None:
                self._by_provider_id.put(provider_id, conversation)


def _is_whole_list(endpoint: Endpoint, ids: RequestIds) -> bool:
    """Return whether a request has the whole conversation.

    A call with one of the provider's ids sends only new messages.
    """
    has_id = ids.conversation is not None or ids.previous_answer is not None
    return not has_id and endpoint.operation in CHAT_OPERATIONS


class _SeenCall:
    """An earlier call.

    Attributes:
        conversation: the conversation that the call belongs to.
        answered: whether the call succeeded.
        answer_hash: the hash of its answer, if it is known.
        continued: whether a later call continues this call.
    """

    __slots__ = ("answer_hash", "answered", "continued", "conversation")

    def __init__(self, conversation: Conversation, answered: bool, answer_hash: int | None) -> None:
        self.conversation = conversation
        self.answered = answered
        self.answer_hash = answer_hash
        self.continued = False


class _SeenCalls:
    """The latest calls with the same list of messages, the oldest first.

    Attributes:
        calls: the calls.
        failed: the calls among them that got no answer.
    """

    __slots__ = ("calls", "failed")

    def __init__(self) -> None:
        self.calls: list[_SeenCall] = []
        self.failed: list[_SeenCall] = []

    def add(self, call: _SeenCall) -> None:
        """Add a call, and drop the oldest one if there are too many."""
        self.calls.append(call)
        if not call.answered:
            self.failed.append(call)
        if len(self.calls) > _MAX_CALLS_PER_LIST:
            dropped = self.calls.pop(0)
            if not dropped.answered:
                self.failed.remove(dropped)

    def take_failed(self) -> _SeenCall | None:
        """Remove and return the oldest call that got no answer."""
        if not self.failed:
            return None
        call = self.failed.pop(0)
        self.calls.remove(call)
        return call


class ConversationMatcher:
    """Matches a call with the earlier call that it continues, by hashes of their message lists.

    A call continues an earlier call if its list begins with the whole list of the earlier call.
    Several conversations may have sent the same list. Then the answer, which follows that list in
    the new call, shows which of them continues. If the answer is not known (it was streamed) or
    is the same for all, the conversations continue in the order in which they came.
    """

    def __init__(self) -> None:
        """Start without any call."""
        # Hash of an opening -> the lengths of the lists with this opening, sorted. It limits the
        # prefixes of a list that have to be hashed and looked up.
        self._lengths: RecentMap[int, list[int]] = RecentMap()
        self._calls: RecentMap[int, _SeenCalls] = RecentMap()  # by the hash of their list

    def find_conversation(self, turns: Turns) -> Conversation | None:
        """Return the conversation that a call with these turns continues or repeats."""
        repeated = self._calls.get(turns.hash_turns(turns.length))
        failed = repeated.take_failed() if repeated is not None else None
        if failed is not None:  # a retry
            return failed.conversation
        branched = None
        for length, calls in self._find_prefixes(turns):
            open_calls = [call for call in calls if not call.continued]
            if open_calls:
                previous = _choose_call(open_calls, turns.hash_answer(length))
                previous.continued = True
                return previous.conversation
            branched = branched or calls[-1]
        if repeated is not None and repeated.calls and not turns.is_opening:
            return repeated.calls[-1].conversation  # the last answer is made again
        # Otherwise the last question may have been worded anew: an earlier point of the
        # conversation continues a second time.
        return branched.conversation if branched is not None else None

    def _find_prefixes(self, turns: Turns) -> Iterator[tuple[int, list[_SeenCall]]]:
        """Yield the length and the calls of each earlier list that `turns` begins with.

        The longest list comes first.
        """
        lengths = self._lengths.get(turns.hash_turns(turns.opening_length)) or []
        end = bisect_left(lengths, turns.length)
        for length in reversed(lengths[max(0, end - _MAX_PREFIXES) : end]):
            seen = self._calls.get(turns.hash_turns(length))
            if seen is not None and seen.calls:
                yield length, seen.calls

    def add_call(
        self,
        turns: Turns,
        conversation: Conversation,
        *,
        answered: bool,
        answer_hash: int | None,
    ) -> None:
        """Remember a call.

        Args:
            turns: all turns of the call.
            conversation: the conversation of the call.
            answered: whether the call succeeded.
            answer_hash: the hash of its answer, if it is known.
        """
        length = turns.length
        opening, whole = turns.hash_turns(turns.opening_length), turns.hash_turns(length)
        lengths = self._lengths.get(opening) or []
        if length not in lengths:
            insort(lengths, length)
            del lengths[:-_MAX_LENGTHS]
        self._lengths.put(opening, lengths)
        seen = self._calls.get(whole) or _SeenCalls()
        seen.add(_SeenCall(conversation, answered, answer_hash))
        self._calls.put(whole, seen)


def _choose_call(calls: list[_SeenCall], answer_hash: int | None) -> _SeenCall:
    """Return the first call with this answer, else the first whose answer is not known."""
    for wanted in (answer_hash, None):
        call = next((call for call in calls if call.answer_hash == wanted), None)
        if call is not None:
            return call
    return calls[0]


class RecentMap(Generic[Key, Value]):
    """A mapping that keeps the 10,000 most recently used entries.

    `functools.lru_cache` does the same for functions; this class also replaces and removes entries.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """Return the value of `key`, or None, and mark the entry as just used."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def pop(self, key: Key) -> Value | None:
        """Remove the entry of `key`, and return its value, or None."""
        return self._entries.pop(key, None)

    def put(self, key: Key, value: Value) -> None:
        """Store `value`, and drop the least recently used entry if there are too many."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
