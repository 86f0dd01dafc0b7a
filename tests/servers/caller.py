"""Runs programs that call an LLM API, and reads the records of their calls."""

from __future__ import annotations

import json
import socket
import sqlite3
from contextlib import closing
from textwrap import dedent
from typing import Any, Mapping

from servers.program import FinishedProgram, ManagedProcess, Runner

from lupis_instrument._export.store.database import FILE_NAME

# http.client uses no proxy, so proxies in tests affect the exporter alone.
CALL_FUNCTION = """
import http.client, json, os, sys, threading, time
from urllib.parse import urlsplit

LLM = urlsplit(sys.argv[1])

def call(mark="", model="gpt-4o-mini"):
    connection = http.client.HTTPConnection(LLM.hostname, LLM.port, timeout=60)
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]})
    headers = {"content-type": "application/json", "x-mark": mark}
    connection.request("POST", "/v1/chat/completions", body, headers)
    data = connection.getresponse().read()
    connection.close()
    return data
"""
SPAN_IN_FLIGHT = """
from lupislabs import LupisSDK
call("a")
LupisSDK.get_instance().flush(0.3)
"""
"""Makes a call, and waits until a request with its span waits for a hanging collector."""

MARGIN_SECONDS = 30.0
"""The time that the end of a process may take beyond its timeout, on a busy machine."""

PATIENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "100"}
"""Variables of a program that would wait longer than that for an answer, if the end did not limit it."""


class CallerRunner:
    """Runs programs that can use the function `call`.

    Args:
        run: the runner of programs.
        llm_url: the address of the provider.
    """

    def __init__(self, run: Runner, llm_url: str) -> None:
        self._run = run
        self._llm_url = llm_url

    def __call__(self, text: str, *arguments: str, **options: Any) -> FinishedProgram:
        """Runs a program to its end."""
        options["env"] = {**PATIENT, **(options.get("env") or {})}
        return self._run(CALL_FUNCTION + dedent(text), self._llm_url, *arguments, **options)

    def start(self, text: str, env: Mapping[str, str], **pipes: Any) -> ManagedProcess:
        """Starts a program, with `pipes` as further arguments of `subprocess.Popen`."""
        return ManagedProcess(
            self._run.build_command(CALL_FUNCTION + dedent(text), [self._llm_url]),
            env=self._run.build_environment({**PATIENT, **env}),
            cwd=self._run.folder,
            **pipes,
        )


def list_marks(sink: Any) -> list[str]:
    """Returns the marks of the calls that the collector received, sorted."""
    return sorted(span["attributes"]["http.request.header.x-mark"][0] for span in sink.spans)


def query_store(run: Runner, statement: str) -> list[Any]:
    """Returns the rows of an SQL statement on the store of a program."""
    with closing(sqlite3.connect(run.folder / "data" / "lupis" / FILE_NAME)) as store:
        return store.execute(statement).fetchall()


def count_states(run: Runner) -> list[tuple[int, int]]:
    """Returns the number of items in the store in each state."""
    return query_store(run, "SELECT state, count(*) FROM item GROUP BY state")


def read_account(run: Runner) -> tuple[Any, ...]:
    """Returns a process's numbers of spans: created, delivered, stored, and lost by reason."""
    statement = "SELECT created, delivered, stored, dropped FROM process"
    ((created, delivered, stored, dropped),) = query_store(run, statement)
    return created, delivered, stored, json.loads(dropped)


def find_free_port() -> int:
    """Returns a port without a server."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
