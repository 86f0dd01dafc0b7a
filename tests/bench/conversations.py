"""Measures how long it takes to find the conversation of a call.

    python tests/bench/conversations.py [--rounds 15]

A conversation of about 100 KB grows by a question and an answer with each call. "derive" is the
time to find the conversation, on the worker's thread. "read" is the time to read the body, with the
help of the calls before; "parse" is the same without; "skim" is the time to skim a body of this size, as earlier versions did. "first"
is the first call of a conversation, which makes a fingerprint of its opening. "caller" is the time
of the thread that makes the call, which only stores the body. Medians of interleaved rounds, in µs.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time

from lupis_instrument._llm.api.endpoints import identify_endpoint
from lupis_instrument._llm.body.digest import RequestReader
from lupis_instrument._llm.body.json_scanner import JsonScanner
from lupis_instrument._llm.conversation.conversations import Conversations
from lupis_instrument._llm.usage.facts import Facts
from lupis_instrument._tracing.http_call import HttpCall

SIZE = 100_000
SHAPES = {"10 turns": 10, "50 turns": 50, "200 turns": 200, "2000 turns": 2000, "one turn": 1}
PATH = "/v1/chat/completions"
URL = "https://api.openai.com" + PATH
WORDS = [
    "the",
    "guide",
    "of",
    "a",
    "mountain",
    "hut",
    "knows",
    "where",
    "the",
    "path",
    "goes",
    "and",
    "when",
    "it",
    "will",
    "snow",
]
CALLS = 20


def write_turns(count: int) -> list[dict[str, str]]:
    """Return `count` turns with 100 KB of made-up prose together."""
    per_turn = SIZE // count // 5
    roles = ["system", *("user", "assistant") * count][count == 1 :]
    return [
        {"role": role, "content": " ".join(random.choices(WORDS, k=per_turn))}
        for role, _ in zip(roles, range(count))
    ]


def write_blocks(turns: list[dict[str, str]]) -> list[dict[str, object]]:
    """Return the turns in the form of Anthropic's libraries."""
    return [
        {"role": turn["role"], "content": [{"type": "text", "text": turn["content"]}]}
        for turn in turns
    ]


def grow_conversation(turns: list) -> list[bytes]:
    """Return the bodies of a conversation's calls, each longer than the one before."""
    more = [
        {"role": role, "content": f"{role} {number}"}
        for number in range(CALLS)
        for role in ("assistant", "user")
    ]
    return [
        json.dumps({"model": "m", "messages": turns + more[: 2 * number]}).encode()
        for number in range(CALLS)
    ]


def measure(action, *arguments) -> float:
    """Return the µs that a call of `action` takes."""
    began = time.perf_counter()
    action(*arguments)
    return (time.perf_counter() - began) * 1e6


def skim_body(body: bytes) -> None:
    """Skim a body, as earlier versions did with more than 64 KiB."""
    JsonScanner(frozenset(("model", "stream")), frozenset(), lambda _: None).feed(body)


def store_body(body: bytes) -> None:
    """Store a body, as the thread of the call does."""
    http_call = HttpCall((), lambda: None, lambda: None)
    http_call.begin_attempt("POST", URL)
    http_call.add_request_data(body)


def run_conversation(bodies: list[bytes], times: dict[str, list[float]]) -> None:
    """Make the calls of a conversation that is new, and add the time of each step to `times`."""
    endpoint = identify_endpoint("POST", "api.openai.com", 443, PATH)
    conversations = Conversations(lambda: b"k" * 32)
    conversation_ids = set()
    reader = RequestReader()
    for number, body in enumerate(bodies):
        times["caller"].append(measure(store_body, body))
        times["parse"].append(measure(RequestReader().read_body, [body]))
        times["skim"].append(measure(skim_body, body))
        began_reading = time.perf_counter()
        request = reader.read_body([body])
        times["read"].append((time.perf_counter() - began_reading) * 1e6)
        began = time.perf_counter()
        identity = conversations.identify_call(endpoint, PATH, request, Facts(), answered=True)
        elapsed = (time.perf_counter() - began) * 1e6
        times["derive" if number else "first"].append(elapsed)
        conversation_ids.add(identity.conversation)
    assert len(conversation_ids) == 1


def main() -> None:
    """Print a row for each shape of conversation."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    shapes = {name: grow_conversation(write_turns(count)) for name, count in SHAPES.items()}
    shapes["50 blocks"] = grow_conversation(write_blocks(write_turns(50)))
    columns = ("derive", "first", "read", "parse", "skim", "caller")
    results = {name: {column: [] for column in columns} for name in shapes}
    for _ in range(rounds):
        for name, bodies in shapes.items():
            run_conversation(bodies, results[name])
    print(f"{'':10}" + "".join(f"{column:>9}" for column in columns))
    for name, times in results.items():
        print(f"{name:10}" + "".join(f"{statistics.median(times[c]):9.1f}" for c in columns))
    slowest = max(statistics.median(times["derive"]) for times in results.values())
    print(f"deriving: at most {slowest:.0f} µs a call of {SIZE // 1000} KB")


if __name__ == "__main__":
    main()
