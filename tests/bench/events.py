"""What an event costs its caller: CPU time of `track_event`, alone and from 50 threads at once.

    python tests/bench/events.py [--events 2000] [--rounds 9]

The figures are microseconds of the calling thread's own CPU time, the medians of the rounds; what
the background thread computes meanwhile is not the caller's, though it may have to wait for it.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time

from lupis_instrument import LupisConfig, LupisMetadata, LupisSDK

PROPERTIES = {"feature": "export", "rows": 120, "filters": ["today", "mine"]}


def spent(sdk, events):
    """CPU seconds of this thread for so many events."""
    began = time.thread_time()
    for _ in range(events):
        sdk.track_event("feature_used", PROPERTIES)
    return time.thread_time() - began


def from_threads(sdk, events, threads):
    """CPU seconds of all threads together."""
    found = []
    running = [
        threading.Thread(target=lambda: found.append(spent(sdk, events // threads)))
        for _ in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(found)


def main():
    """Prints both figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    sdk = LupisSDK.init(LupisConfig(project_id="bench", exporter="none"))
    sdk.set_metadata(LupisMetadata(user_id="user-7", session_id="browser-3", chat_id="chat-1"))
    ways = {"one thread": 1, "50 threads": 50}
    found = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, threads in ways.items():
            found[way].append(from_threads(sdk, options.events, threads) / options.events * 1e6)
            sdk.flush(30)
    for way, figures in found.items():
        median, least = statistics.median(figures), min(figures)
        print(f"{way:12} {median:6.2f} us an event (least {least:.2f})")


if __name__ == "__main__":
    main()
