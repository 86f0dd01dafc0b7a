"""What it costs to tell which conversation a call belongs to, and where that is paid.

    python tests/bench/conversations.py [--rounds 15]

A conversation of some 100 KB grows by a question and an answer a call. "derive" is what is added to
a call's digest, on the worker's thread; "parse" the reading of the body that the digest does anyway,
and "skim" what it did before for a body of that size. "first" is a conversation's first call, which
keys a fingerprint of its beginning. "caller" is what the program's own thread pays: nothing more
than before, shown by the time of keeping the body. Medians of interleaved rounds, in µs.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time

from lupis_instrument._llm.api.endpoints import identify_endpoint
from lupis_instrument._llm.body.digest import parse_request_body
from lupis_instrument._llm.body.json_scanner import JsonScanner
from lupis_instrument._llm.conversation.conversations import Conversations
from lupis_instrument._llm.usage.facts import Facts
from lupis_instrument._tracing.http_call import HttpCall

SIZE = 100_000
SHAPES = {"10 turns": 10, "50 turns": 50, "200 turns": 200, "one turn": 1}
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
    """A list of so many turns that together are 100 KB of made-up prose."""
    per_turn = SIZE // count // 5
    roles = ["system", *("user", "assistant") * count][count == 1 :]
    return [
        {"role": role, "content": " ".join(random.choices(WORDS, k=per_turn))}
        for role, _ in zip(roles, range(count))
    ]


def write_blocks(turns: list[dict[str, str]]) -> list[dict[str, object]]:
    """The same turns as Anthropic's libraries write them."""
    return [
        {"role": turn["role"], "content": [{"type": "text", "text": turn["content"]}]}
        for turn in turns
    ]


def grow(turns: list) -> list[bytes]:
    """The bodies of a conversation's calls, each longer than the last."""
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
    """How many µs one call takes."""
    began = time.perf_counter()
    action(*arguments)
    return (time.perf_counter() - began) * 1e6


def skim(body: bytes) -> None:
    """What a body of over 64 KiB cost before."""
    JsonScanner(frozenset(("model", "stream")), frozenset(), lambda _: None).feed(body)


def keep(body: bytes) -> None:
    """What the program's thread does with a body."""
    http_call = HttpCall({}, lambda: None, lambda: None)
    http_call.begin_attempt("POST", URL)
    http_call.add_request_data(body)


def run(bodies: list[bytes], found: dict[str, list[float]]) -> None:
    """Makes the calls of one conversation in a process that hasn't seen it."""
    endpoint = identify_endpoint("POST", "api.openai.com", 443, PATH)
    conversations = Conversations(lambda: b"k" * 32)
    names = set()
    for number, body in enumerate(bodies):
        found["caller"].append(measure(keep, body))
        found["parse"].append(measure(parse_request_body, body))
        found["skim"].append(measure(skim, body))
        asked = parse_request_body(body)
        began = time.perf_counter()
        name = conversations.identify_call(endpoint, PATH, asked, Facts(), answered=True)
        taken = (time.perf_counter() - began) * 1e6
        found["derive" if number else "first"].append(taken)
        names.add(name)
    assert len(names) == 1


def main() -> None:
    """Prints a row for each shape."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    shapes = {name: grow(write_turns(count)) for name, count in SHAPES.items()}
    shapes["50 blocks"] = grow(write_blocks(write_turns(50)))
    columns = ("derive", "first", "parse", "skim", "caller")
    results = {name: {column: [] for column in columns} for name in shapes}
    for _ in range(rounds):
        for name, bodies in shapes.items():
            run(bodies, results[name])
    print(f"{'':10}" + "".join(f"{column:>9}" for column in columns))
    for name, found in results.items():
        print(f"{name:10}" + "".join(f"{statistics.median(found[c]):9.1f}" for c in columns))
    slowest = max(statistics.median(found["derive"]) for found in results.values())
    print(f"deriving: at most {slowest:.0f} µs a call of {SIZE // 1000} KB")


if __name__ == "__main__":
    main()
