"""The formats of `lupis-run --print-env`: a shell, a Dockerfile, a Kubernetes manifest, JSON.

A manifest is kept in version control and shown by `kubectl describe`: a variable with a secret
refers to a Kubernetes Secret there. The other formats have the value itself.
"""

from __future__ import annotations

import json
import shlex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Collection, Mapping

    Format = Callable[[Mapping[str, str], Collection[str]], str]

_RESOURCE = "lupis"
"""The name of the Kubernetes Secret; each variable is a key in it."""


def _format_shell(variables: Mapping[str, str], _secrets: Collection[str]) -> str:
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def _format_docker(variables: Mapping[str, str], _secrets: Collection[str]) -> str:
    """Return ENV lines (https://docs.docker.com/reference/dockerfile/#env)."""
    return "".join(f'ENV {name}="{_escape_docker(value)}"\n' for name, value in variables.items())


def _escape_docker(value: str) -> str:
    return "".join("\\" + char if char in '\\"$' else char for char in value)


def _format_k8s(variables: Mapping[str, str], secrets: Collection[str]) -> str:
    """Return the `env` list of a container.

    Kubernetes replaces `$(NAME)` with a variable's value; `$$(NAME)` stays as `$(NAME)`.
    """
    lines = ["env:"]
    for name, value in variables.items():
        lines.append(f"  - name: {name}")
        if name in secrets:
            lines += ["    valueFrom:", "      secretKeyRef:"]
            lines += [f"        name: {_RESOURCE}", f"        key: {name}"]
        else:
            quoted = json.dumps(value.replace("$(", "$$("), ensure_ascii=False)
            lines.append(f"    value: {quoted}")
    return "\n".join(lines) + "\n"


def _format_json(variables: Mapping[str, str], _secrets: Collection[str]) -> str:
    return json.dumps(dict(variables), indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Format] = {
    "shell": _format_shell,
    "docker": _format_docker,
    "k8s": _format_k8s,
    "json": _format_json,
}
"""By the value of `--format`, the function that writes variables as one text.

Its second parameter has the names of the variables whose values are secrets.
"""
