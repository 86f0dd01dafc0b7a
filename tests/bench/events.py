"""Measures the CPU time of `track_event`, from one thread and from 50 threads at once.

    python tests/bench/events.py [--events 2000] [--rounds 9]

The figures are microseconds of CPU time of the calling threads, medians of the rounds. The CPU time
of the background thread is not included, although a caller may have to wait for that thread.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time

from lupis_instrument import LupisConfig, LupisMetadata, LupisSDK

PROPERTIES = {"feature": "export", "rows": 120, "filters": ["today", "mine"]}


def track_events(sdk, events):
    """Track events, and return the CPU seconds of this thread."""
    began = time.thread_time()
    for _ in range(events):
        sdk.track_event("feature_used", PROPERTIES)
    return time.thread_time() - began


def track_from_threads(sdk, events, threads):
    """Track events from several threads, and return their CPU seconds together."""
    seconds = []
    running = [
        threading.Thread(target=lambda: seconds.append(track_events(sdk, events // threads)))
        for _ in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(seconds)


def main():
    """Print the figures of both cases."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    sdk = LupisSDK.init(LupisConfig(project_id="bench", exporter="none"))
    sdk.set_metadata(LupisMetadata(user_id="user-7", session_id="browser-3", chat_id="chat-1"))
    cases = {"one thread": 1, "50 threads": 50}
    results = {case: [] for case in cases}
    for _ in range(options.rounds):
        for case, threads in cases.items():
            results[case].append(
                track_from_threads(sdk, options.events, threads) / options.events * 1e6
            )
            sdk.flush(30)
    for case, figures in results.items():
        median, minimum = statistics.median(figures), min(figures)
        print(f"{case:12} {median:6.2f} us an event (minimum {minimum:.2f})")


if __name__ == "__main__":
    main()
