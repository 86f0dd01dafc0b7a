"""The formats of `--print-env`."""

from __future__ import annotations

import json
import subprocess

import pytest

from lupis_instrument._cli.run.listing import FORMATS

ODD = {"A": "plain", "B": """it's "$HOME" `x` \\ $(y) é #""", "C": " ", "D": "a=b,c"}


def test_shell_reads_the_same_values():
    """Quoting protects every character that has a meaning in a shell."""
    program = FORMATS["shell"](ODD, ()) + "".join(f'printf "%s\\0" "${name}"\n' for name in ODD)
    result = subprocess.run(["sh", "-c", program], capture_output=True, check=True)
    assert list(ODD.values()) == result.stdout.decode().split("\0")[:-1]


def test_json_is_an_object():
    """The object has the variables by name."""
    assert ODD == json.loads(FORMATS["json"](ODD, ()))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", 'ENV A="plain"\n'),
        ("""it's "x" $y \\""", 'ENV A="it\'s \\"x\\" \\$y \\\\"\n'),
    ],
)
def test_docker_format_has_env_lines(text, written):
    """Values are in double quotes, with quote, dollar and backslash escaped."""
    assert written == FORMATS["docker"]({"A": text}, ())


def test_k8s_format_is_an_env_list():
    """Values are in JSON quotes; `$(…)`, which Kubernetes would expand, is escaped."""
    written = FORMATS["k8s"]({"A": 'é "x" $(HOME)', "B": "1"}, ())
    assert (
        'env:\n  - name: A\n    value: "é \\"x\\" $$(HOME)"\n  - name: B\n    value: "1"\n'
        == written
    )


def test_k8s_format_refers_to_secrets():
    """The value is in a Secret, under the variable's name."""
    assert (
        "env:\n  - name: LUPIS_API_KEY\n    valueFrom:\n      secretKeyRef:\n"
        "        name: lupis\n        key: LUPIS_API_KEY\n"
        == FORMATS["k8s"]({"LUPIS_API_KEY": "k-1"}, {"LUPIS_API_KEY"})
    )


@pytest.mark.parametrize("name", ["shell", "docker", "json"])
def test_other_formats_have_the_values(name):
    """A shell needs the key itself."""
    assert "k-1" in FORMATS[name]({"LUPIS_API_KEY": "k-1"}, {"LUPIS_API_KEY"})
