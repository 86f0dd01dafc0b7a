"""Collects facts about the interpreter that `lupis doctor` examines, and prints them as JSON.

`lupis doctor` passes this source to `python -c`, under the bootstrap. The examined environment may
lack this package and its requirements, so the module imports only the standard library at first.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Iterator, Sequence

FLAGS = ("isolated", "ignore_environment", "no_site", "no_user_site", "safe_path")
"""The flags in `sys.flags` that limit the imports of an interpreter at its start."""
_FLUSH_SECONDS = 5.0
_GRPC = "talks gRPC: its calls are not recorded"
_SOCKETS = "its WebSockets are not recorded"
UNRECORDED = (
    ("xai_sdk", "xai-sdk", "talks gRPC: its calls are recorded by the spans that it makes itself"),
    ("google.ai.generativelanguage", "google-ai-generativelanguage", _GRPC),
    ("google.cloud.aiplatform", "google-cloud-aiplatform", _GRPC),
    ("yandex_ai_studio_sdk", "yandex-ai-studio-sdk", _GRPC),
    ("clarifai_grpc", "clarifai-grpc", _GRPC),
    ("riva.client", "nvidia-riva-client", _GRPC),
    ("curl_cffi", "curl_cffi", "its requests and WebSockets are not recorded"),
    ("httpx_ws", "httpx-ws", _SOCKETS),
    ("picows", "picows", _SOCKETS),
    ("trio_websocket", "trio-websocket", _SOCKETS),
)
"""Libraries of LLM calls that pass by the recorded clients: module, package, and the outcome."""


def collect_facts(arguments: Sequence[str]) -> dict[str, Any]:
    """Return facts about this interpreter, and with the bootstrap also about this package.

    Args:
        arguments: `--send` to send a test span; `--folder` and the first folder in the `sys.path`
            of the program.
    """
    facts: dict[str, Any] = {
        "executable": sys.executable,
        "implementation": sys.implementation.name,
        "version": ".".join(map(str, sys.version_info[:3])),
        "environment": sys.prefix if sys.prefix != sys.base_prefix else "",
        "flags": [name for name in FLAGS if getattr(sys.flags, name, 0)],
        "bootstrapped": False,
        "location": "",
        "earlier_package": find_earlier_package(),
    }
    launch = sys.modules.get("lupis_instrument._runtime.launch")
    if launch is not None:
        facts["conflicts"] = list(find_conflicts(arguments))
        facts["bootstrapped"] = launch.launch.launched
        facts["location"] = str(Path(str(launch.__file__)).parents[2])
        facts["propagators"] = find_propagator_problem()
        facts["requirements"] = list(check_requirements())
        # A client with several layers has several rows, which mostly say the same.
        facts["clients"] = list(dict.fromkeys(check_clients()))
        facts["unrecorded"] = list(find_unrecorded())
        facts["span"] = send_test_span() if "--send" in arguments else None
    return facts


def find_earlier_package() -> str:
    """Return the version of the earlier package `lupislabs`; empty if it is not installed."""
    try:
        return metadata.version("lupislabs")
    except metadata.PackageNotFoundError:
        return ""


def find_propagator_problem() -> str | None:
    """Return the sentence about propagators that OTEL_PROPAGATORS names and that fail."""
    from lupis_instrument._instrumentation import propagators

    try:
        return propagators.load_propagators()
    except Exception:
        return None  # OpenTelemetry itself fails: the requirements tell


def find_conflicts(arguments: Sequence[str]) -> Iterator[str]:
    """Yield why this package must not load in the program.

    A module of the program may hide one that this package needs, or an installed package may have
    an unfit version.
    """
    from lupis_instrument._runtime import conflicts

    folders = arguments[arguments.index("--folder") + 1 :][:1] if "--folder" in arguments else []
    # Python 3.11 and newer leave the program's folder out with PYTHONSAFEPATH.
    if getattr(sys.flags, "safe_path", False):
        folders = []
    sys.path[:0] = folders
    try:
        yield from filter(None, (conflicts.find_hidden_module(), conflicts.find_misfit()))
    finally:
        del sys.path[: len(folders)]


def check_requirements() -> Iterator[tuple[str, str, bool]]:
    """Yield each requirement of this package: its name, its version, and whether it is unfit."""
    from lupis_instrument._process.lending import UNNEEDED
    from lupis_instrument._runtime import conflicts
    from lupis_instrument._runtime.launch import launch

    for requirement, version in conflicts.list_requirements():
        if launch.lent and requirement.name in UNNEEDED:
            continue
        if not version:
            yield requirement.name, "not installed", True
        elif requirement.specifier.contains(version, prereleases=True):
            yield requirement.name, version, False
        else:
            yield requirement.name, f"{version}, not {requirement.specifier}", True


def check_clients() -> Iterator[tuple[str, str, bool]]:
    """Yield each HTTP client: its name, how its calls are treated, and whether this is wrong."""
    from lupis_instrument._config.clients import CLIENTS
    from lupis_instrument._runtime import current

    runtime = current.start_runtime()
    for client in CLIENTS:
        name = client.distribution or client.name
        if runtime is None:
            yield name, "not instrumented: instrumentation is off", False
        else:
            yield (name, *_try_client(client, runtime))


def find_unrecorded() -> Iterator[tuple[str, str]]:
    """Yield each installed library whose calls no client's adapter records, with a text."""
    for module, distribution, text in UNRECORDED:
        # A dotted name imports the packages above, which may be broken, or end the program.
        with suppress(Exception, SystemExit):
            if find_spec(module) is not None:
                yield distribution, f"{metadata.version(distribution)}, {text}"


def _try_client(client: Any, runtime: Any) -> tuple[str, bool]:
    """Instrument a client as at its first request; returns the outcome and whether it is wrong."""
    from lupis_instrument._instrumentation.activation import Activation, CurrentCalls

    config = runtime.config
    if find_spec(client.module.split(".")[0]) is None:
        return "not installed", client.name in config.instrument
    if client.name in config.disabled_instrumentations:
        return "switched off by LUPIS_DISABLED_INSTRUMENTATIONS", False
    if config.instrument and client.name not in config.instrument:
        return "not named by LUPIS_INSTRUMENT", False
    version = metadata.version(client.distribution) if client.distribution else "standard library"
    try:
        adapter, activation = import_module(client.adapter), Activation(bool, CurrentCalls())
        module = _import_layer(client.module)
        if module is not None:
            adapter.wrap_client(module, activation)
        adapter.instrument_client(runtime.provider, activation)
    except Exception as fault:
        return f"{version}, not instrumented: {type(fault).__name__}: {fault}", True
    return f"{version}, instrumented at its first request", False


def _import_layer(name: str) -> Any:
    """Return a module of a client; None for a layer that does not work in this environment."""
    try:
        return import_module(name)
    except ModuleNotFoundError:  # an older release, or websockets.trio without trio
        if "." not in name:
            raise
        return None


def send_test_span() -> dict[str, Any] | None:
    """Send a span as a program would; None if instrumentation is off.

    Returns:
        Whether the span arrived, and after how many seconds.
    """
    from lupis_instrument._runtime import current

    runtime = current.start_runtime()
    if runtime is None:
        return None
    began = time.monotonic()
    runtime.get_tracer().start_span("lupis doctor").end()
    runtime.flush(_FLUSH_SECONDS)
    return {"arrived": runtime.account.delivered == 1, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    # `python -c` puts the current folder first, which is not the folder of the program.
    if sys.path[:1] == [""]:
        del sys.path[0]
    sys.stdout.write("\n" + json.dumps(collect_facts(sys.argv[1:])) + "\n")
