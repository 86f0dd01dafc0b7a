"""What `lupis doctor` runs in the interpreter that it examines: says what it finds there, as JSON.

Its source is given to `python -c`, below the bootstrap, in an environment that may have nothing of
ours; so it begins with the standard library alone.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FLAGS = ("isolated", "ignore_environment", "no_site", "no_user_site", "safe_path")
"""What `sys.flags` says of a start that keeps things out."""
_SECONDS = 5.0


def examine() -> dict[str, Any]:
    """Return what there is in this interpreter, and what was made of it."""
    found: dict[str, Any] = {
        "executable": sys.executable,
        "implementation": sys.implementation.name,
        "version": ".".join(map(str, sys.version_info[:3])),
        "environment": sys.prefix if sys.prefix != sys.base_prefix else "",
        "flags": [name for name in FLAGS if getattr(sys.flags, name, 0)],
        "hooked": False,
        "place": "",
    }
    bootstrap = sys.modules.get("lupis_instrument._runtime.bootstrap")
    if bootstrap is not None:
        found["conflicts"] = list(_conflicts())
        found["hooked"] = bootstrap.launched()
        found["place"] = str(Path(str(bootstrap.__file__)).parents[2])
        found["requirements"] = list(_requirements())
        found["clients"] = list(_clients())
        found["span"] = _send_span() if "--send" in sys.argv else None
    return found


def _conflicts() -> Any:
    """Yield what leaves no room for what we load: the program's modules, and its packages."""
    from lupis_instrument._runtime import conflicts as _conflicts

    folder = sys.argv[sys.argv.index("--folder") + 1 :][:1] if "--folder" in sys.argv else []
    sys.path[:0] = folder if not getattr(sys.flags, "safe_path", False) else []
    try:
        yield from filter(None, (_conflicts.find_hidden(), _conflicts.find_misfit()))
    finally:
        del sys.path[: len(folder)]


def _requirements() -> Any:
    """Yield what our package requires: name, version, what is wrong with that."""
    from packaging.requirements import Requirement

    try:
        texts = metadata.requires("lupis-instrument") or ()
    except metadata.PackageNotFoundError:
        texts = ()  # its folder is on the path, but it was never installed
    for text in texts:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield requirement.name, "not installed", True
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        yield (
            requirement.name,
            version if fits else f"{version}, not {requirement.specifier}",
            (not fits),
        )


def _clients() -> Any:
    """Yield the HTTP clients: name, what would become of their calls, whether that is wrong."""
    from lupis_instrument._instrumentation.registry import CLIENTS
    from lupis_instrument._runtime import runtime as _runtime

    runtime = _runtime.start()
    for client in CLIENTS:
        name = client.distribution or client.name
        if runtime is None:
            yield name, "not instrumented: instrumentation is off", False
        else:
            yield (name, *_try(client, runtime))


def _try(client: Any, runtime: Any) -> tuple[str, bool]:
    from lupis_instrument._instrumentation.activation import Activation, Calls

    config = runtime.config
    if find_spec(client.module.split(".")[0]) is None:
        return "not installed", client.name in config.instrument
    if client.name in config.disabled_instrumentations:
        return "switched off by LUPIS_DISABLED_INSTRUMENTATIONS", False
    if config.instrument and client.name not in config.instrument:
        return "not named by LUPIS_INSTRUMENT", False
    version = metadata.version(client.distribution) if client.distribution else "standard library"
    try:
        adapter, activation = import_module(client.adapter), Activation(bool, Calls())
        adapter.attach(import_module(client.module), activation)
        adapter.instrument(runtime.provider, activation)
    except Exception as fault:
        return f"{version}, not instrumented: {type(fault).__name__}: {fault}", True
    return f"{version}, instrumented at its first request", False


def _send_span() -> dict[str, Any] | None:
    """Have a span take the way of all spans; returns whether it arrived, and in how long."""
    from lupis_instrument._runtime import runtime as _runtime

    runtime = _runtime.start()
    if runtime is None:
        return None
    began = time.monotonic()
    runtime.tracer().start_span("lupis doctor").end()
    runtime.flush(_SECONDS)
    return {"arrived": runtime.account.delivered == 1, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    if sys.path[:1] == [""]:
        del sys.path[0]  # the folder that we happen to be in is none of the program's
    sys.stdout.write("\n" + json.dumps(examine()) + "\n")
