"""Variables as a shell, a Dockerfile, a Kubernetes manifest or a program reads them.

These are the formats of `lupis-run --print-env`.
"""

from __future__ import annotations

import json
import shlex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Mapping


def _write_shell(variables: Mapping[str, str]) -> str:
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def _write_docker(variables: Mapping[str, str]) -> str:
    """ENV lines (https://docs.docker.com/reference/dockerfile/#env)."""
    return "".join(f'ENV {name}="{_escape(value)}"\n' for name, value in variables.items())


def _escape(value: str) -> str:
    return "".join("\\" + mark if mark in '\\"$' else mark for mark in value)


def _write_k8s(variables: Mapping[str, str]) -> str:
    """The `env` list of a container; `$(NAME)` would be replaced there, `$$(NAME)` is not."""
    lines = ["env:"]
    for name, value in variables.items():
        quoted = json.dumps(value.replace("$(", "$$("), ensure_ascii=False)
        lines += [f"  - name: {name}", f"    value: {quoted}"]
    return "\n".join(lines) + "\n"


def _write_json(variables: Mapping[str, str]) -> str:
    return json.dumps(dict(variables), indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Mapping[str, str]], str]] = {
    "shell": _write_shell,
    "docker": _write_docker,
    "k8s": _write_k8s,
    "json": _write_json,
}
"""By name, what makes one text of the variables."""
