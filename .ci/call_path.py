"""Prints the path of one LLM call: which files of the package it enters, in order.

    python .ci/call_path.py [--files] [--moves] [--markdown]

An httpx client calls a local server. After some calls to warm up, one call is followed on every
thread with `sys.setprofile`, until its span is delivered. A move is a call from a function of one
file to a function of another; functions of other packages in between do not count.
"""

# A script that prints:
# ruff: noqa: INP001, T201

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from lupis_instrument._process.background_thread import find_current_thread

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = f"{ROOT / 'lupis_instrument'}{os.sep}"
MAIN_THREAD = "main"
THREADS = {
    MAIN_THREAD: "On the thread that makes the call",
    "lupis-spans": "On the background thread that prepares spans",
    "lupis-export": "On the background thread that sends them",
}
WARM_UP_CALLS = 20
FLUSH_SECONDS = 10.0


class CallRecorder:
    """Records each call of a function of the package while `active` is set.

    Attributes:
        active: whether calls are recorded.
        files: the entered files, in the order of their first call.
        functions: the number of calls of each function, by file and name.
        moves: the number of calls from one file to another.
    """

    def __init__(self) -> None:
        self.active = False
        self.files: dict[str, str] = {}
        self.functions: Counter[tuple[str, str]] = Counter()
        self.moves: Counter[tuple[str, str]] = Counter()

    def __call__(self, frame: Any, event: str, _argument: object) -> None:
        """Handle an event of `sys.setprofile`."""
        if event != "call" or not self.active:
            return
        path = frame.f_code.co_filename
        if not path.startswith(PACKAGE):
            return
        file = path[len(PACKAGE) :]
        thread = find_current_thread()
        self.files.setdefault(file, thread.name if thread is not None else MAIN_THREAD)
        self.functions[file, frame.f_code.co_name] += 1
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(PACKAGE):
            caller = caller.f_back
        if caller is not None and caller.f_code.co_filename != path:
            self.moves[caller.f_code.co_filename[len(PACKAGE) :], file] += 1


def follow_call() -> CallRecorder:
    """Return the record of one steady-state call."""
    sys.path.insert(0, str(ROOT / "tests"))
    from servers import llm, otlp

    recorder = CallRecorder()
    threading.setprofile(recorder)
    with otlp.serving() as collector, llm.listening() as server:
        os.environ.update(
            LUPIS_OTLP_ENDPOINT=collector.otlp_url,
            LUPIS_PROVIDER_HOSTS="127.0.0.1=openai",
            LUPIS_SUMMARY="false",
        )
        from lupis_instrument import LupisConfig, LupisSDK

        lupis = LupisSDK.init(LupisConfig(project_id="path"))
        import httpx

        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
        with httpx.Client(trust_env=False) as client:

            def call() -> None:
                client.post(f"{server.url}/v1/chat/completions", json=body).json()

            for _ in range(WARM_UP_CALLS):
                call()
            lupis.flush(FLUSH_SECONDS)
            sys.setprofile(recorder)
            recorder.active = True
            call()
            sys.setprofile(None)
            lupis.flush(FLUSH_SECONDS)
            recorder.active = False
    return recorder


def format_markdown(recorder: CallRecorder) -> str:
    """Return a numbered list of the files, grouped by thread."""
    lines = []
    thread_before = ""
    for number, (file, thread) in enumerate(recorder.files.items(), 1):
        if thread != thread_before:
            lines += ["", f"{THREADS.get(thread, thread)}:", ""]
            thread_before = thread
        lines.append(f"{number}. `{file}`")
    return "\n".join(lines).strip() + "\n"


def main() -> None:
    """Print the figures and the chosen lists."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", action="store_true", help="list the files in order")
    parser.add_argument("--moves", action="store_true", help="list the moves between files")
    parser.add_argument("--markdown", action="store_true", help="list the files for the docs")
    args = parser.parse_args()
    recorder = follow_call()
    if args.markdown:
        print(format_markdown(recorder), end="")
        return
    if args.files:
        for number, (file, thread) in enumerate(recorder.files.items(), 1):
            names = sorted({name for path, name in recorder.functions if path == file})
            print(f"{number:3} {thread:14} {file:50} {' '.join(names)}")
    if args.moves:
        for (caller, callee), count in recorder.moves.most_common():
            print(f"{count:4} {caller} -> {callee}")
    print(
        f"{len(recorder.files)} files, {len(recorder.functions)} functions, "
        f"{sum(recorder.moves.values())} moves between files"
    )


if __name__ == "__main__":
    main()
