"""Sends a run to real backends, and asks their APIs for its span.

Each backend comes from the package index, in an environment of its own under .venvs, which later
runs use again. The program makes one LLM call to a provider on this machine.

    .venv/bin/python .ci/backends.py [--backend phoenix ...]
"""

# A script that prints and starts other programs:
# ruff: noqa: INP001, S310, S603, T201

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, NamedTuple

from matrix import ROOT, run_command

PROGRAM = """
import json, sys, urllib.request
import fake_llm
from lupis_instrument import LupisMetadata, LupisSDK

lupis = LupisSDK.get_instance()
lupis.set_metadata(LupisMetadata(user_id="user-7", session_id="session-3"))
lupis.track_event("began")
with fake_llm.serving() as url:
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]})
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", body.encode(), headers)
    with urllib.request.urlopen(request) as answer:
        usage = json.load(answer)["usage"]
print(json.dumps([usage["prompt_tokens"], usage["completion_tokens"]]))
"""
PROJECT = "backends"
MAX_START_SECONDS = 600
MAX_ARRIVAL_SECONDS = 120
NO_EVENTS = "takes no events"


class Facts(NamedTuple):
    """The facts of the call, as the program or a backend knows them.

    Attributes:
        kind: the backend's word for the kind of the span.
        model: the model.
        tokens: the input and output tokens.
        cost: whether the backend shows a cost in USD above 0.
        session: the session id.
        user: the user id.
    """

    kind: str
    model: str
    tokens: list[int]
    cost: bool
    session: str
    user: str


class Backend(NamedTuple):
    """A backend.

    Attributes:
        requirement: the requirement to install.
        command: the command in its environment, with `{port}` and `{folder}`.
        variables: the variables of its process, with the same fields.
        health: the path that answers 200 when the backend is ready.
        read_facts: asks the backend at a URL for the facts of the newest call; None before the
            span has arrived.
        kind: its word for the kind of LLM calls.
        headers: the value of LUPIS_OTLP_HEADERS.
    """

    requirement: str
    command: str
    variables: Mapping[str, str]
    health: str
    read_facts: Callable[[str], Facts | None]
    kind: str
    headers: str = ""


def ask(url: str, body: Any = None) -> Any:
    """Return the JSON answer to a GET request, or to a POST request with a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def read_phoenix(url: str) -> Facts | None:
    """Return the facts by Phoenix's REST API, and its own sum of costs by GraphQL."""
    names = [project["name"] for project in ask(f"{url}/v1/projects")["data"]]
    spans = ask(f"{url}/v1/projects/{PROJECT}/spans")["data"] if PROJECT in names else []
    query = "{ projects { edges { node { name costSummary { total { cost } } } } } }"
    edges = ask(f"{url}/graphql", {"query": query})["data"]["projects"]["edges"]
    costs = {edge["node"]["name"]: edge["node"]["costSummary"]["total"]["cost"] for edge in edges}
    if not spans or not costs.get(PROJECT):  # costs are added up later
        return None
    attributes = spans[0]["attributes"]
    return Facts(
        spans[0]["span_kind"],
        attributes["llm.model_name"],
        [attributes["llm.token_count.prompt"], attributes["llm.token_count.completion"]],
        costs[PROJECT] > 0 and attributes["gen_ai.usage.cost"] > 0,
        attributes["session.id"],
        attributes["user.id"],
    )


def read_mlflow(url: str) -> Facts | None:
    """Return the facts by MLflow's REST API, with its own cost."""
    api = f"{url}/api/3.0/mlflow/traces"
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    traces = ask(f"{api}/search", {"locations": [location]}).get("traces", [])
    if not traces:
        return None
    metadata = traces[0]["trace_metadata"]
    (span,) = ask(f"{api}/get?trace_id={traces[0]['trace_id']}")["trace"]["spans"]
    attributes = {item["key"]: item["value"].get("string_value") for item in span["attributes"]}
    tokens = json.loads(metadata["mlflow.trace.tokenUsage"])
    return Facts(
        attributes["mlflow.spanType"] or "",
        attributes["mlflow.llm.model"] or "",
        [tokens["input_tokens"], tokens["output_tokens"]],
        json.loads(metadata["mlflow.trace.cost"])["total_cost"] > 0,
        metadata["mlflow.trace.session"],
        metadata["mlflow.trace.user"],
    )


BACKENDS = {
    "phoenix": Backend(
        "arize-phoenix",
        "phoenix serve",
        {
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": "{port}",
            "PHOENIX_GRPC_PORT": "{other_port}",
            "PHOENIX_WORKING_DIR": "{folder}",
            "PHOENIX_TELEMETRY_ENABLED": "false",
            # It would ask a server on the internet at its start, and end without an answer.
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        },
        "/healthz",
        read_phoenix,
        "LLM",
    ),
    "mlflow": Backend(
        "mlflow",
        "mlflow server --host 127.0.0.1 --port {port} --workers 1"
        " --backend-store-uri sqlite:///{folder}/mlflow.db",
        {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        "/health",
        read_mlflow,
        "CHAT_MODEL",
        "x-mlflow-experiment-id=0",
    ),
}
"""By name: the backends that install from the package index."""


def install_backend(name: str, requirement: str) -> Path:
    """Make the environment of a backend unless it exists, and return the folder of its commands."""
    folder = ROOT / ".venvs" / f"backend-{name}"
    stamp = folder / "installed.txt"
    if not stamp.exists():
        run_command(sys.executable, "-m", "venv", "--clear", str(folder))
        run_command(str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", requirement)
        stamp.write_text(requirement, encoding="utf-8")
    return folder / "bin"


def find_port() -> int:
    """Return a free TCP port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def serve_backend(commands: Path, backend: Backend, folder: str) -> Iterator[str]:
    """Run a backend with its data in a folder, and yield its URL."""
    values = {"port": find_port(), "other_port": find_port(), "folder": folder}
    program, *arguments = backend.command.format(**values).split(" ")
    variables = {name: text.format(**values) for name, text in backend.variables.items()}
    with Path(folder, "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [str(commands / program), *arguments],
            env={**os.environ, **variables, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"},
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{values['port']}"
    try:
        wait_for(lambda: is_ready(process, url + backend.health), MAX_START_SECONDS)
        yield url
    except Exception:
        print(Path(folder, "output.txt").read_text(encoding="utf-8", errors="replace")[-4000:])
        raise
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # it has processes of its own
        process.wait()


def is_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    """Return whether a URL answers; raise RuntimeError if the process has ended."""
    if process.poll() is not None:
        raise RuntimeError(f"the backend ended with {process.returncode}")
    try:
        with urllib.request.urlopen(url, timeout=30):
            return True
    except OSError:
        return False


def wait_for(ask_once: Callable[[], Any], seconds: float) -> Any:
    """Return the first true answer of a function; raise TimeoutError after some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = ask_once()
        if answer:
            return answer
        time.sleep(1)
    raise TimeoutError(f"no answer in {seconds} s")


def run_lupis(command: list[str], url: str, headers: str, folder: str) -> tuple[str, str]:
    """Run `lupis-run` or `lupis` with a backend as the endpoint; return its stdout and stderr."""
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("LUPIS_")},
        "LUPIS_DATA_DIR": folder,
        "LUPIS_OTLP_ENDPOINT": f"{url}/v1/traces",
        "LUPIS_OTLP_HEADERS": headers,
        "LUPIS_PROJECT_ID": PROJECT,
        "LUPIS_SHUTDOWN_TIMEOUT": str(MAX_ARRIVAL_SECONDS),  # the first answer may take long
        "PYTHONPATH": str(ROOT / "examples"),
    }
    tool, *arguments = command
    path = str(Path(sys.executable).parent / tool)
    done = subprocess.run(
        [path, *arguments], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout, done.stderr


def check_backend(name: str, backend: Backend) -> str:
    """Send two runs to a backend, and return a line about its answers.

    Raises:
        AssertionError: the backend shows other facts, or the second run warns about events too.
    """
    commands = install_backend(name, backend.requirement)
    with tempfile.TemporaryDirectory() as folder, serve_backend(commands, backend, folder) as url:
        program = ["lupis-run", sys.executable, "-c", PROGRAM]
        options = (url, backend.headers, f"{folder}/lupis")
        printed, first_errors = run_lupis(program, *options)
        run_lupis(["lupis", "flush"], *options)  # if the backend was slow
        facts = wait_for(lambda: backend.read_facts(url), MAX_ARRIVAL_SECONDS)
        expected = Facts(
            backend.kind, "gpt-4o-mini", json.loads(printed), True, "session-3", "user-7"
        )
        _, later_errors = run_lupis(program, *options)
    assert expected == facts, f"expected {expected}, got {facts}"
    assert NO_EVENTS in first_errors, first_errors
    assert NO_EVENTS not in later_errors, later_errors
    return f"{name}: {facts}"


def main() -> None:
    """Check the chosen backends, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backend", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    for name in parser.parse_args().backend:
        print(check_backend(name, BACKENDS[name]), flush=True)


if __name__ == "__main__":
    main()
