"""How `--print-env` writes variables."""

from __future__ import annotations

import json
import subprocess

import pytest

from lupis_instrument._cli.run.listing import FORMATS

ODD = {"A": "plain", "B": """it's "$HOME" `x` \\ $(y) é #""", "C": " ", "D": "a=b,c"}


def test_a_shell_reads_back_what_was_written():
    """Quoting holds against every character a shell gives meaning to."""
    program = FORMATS["shell"](ODD) + "".join(f'printf "%s\\0" "${name}"\n' for name in ODD)
    done = subprocess.run(["sh", "-c", program], capture_output=True, check=True)
    assert list(ODD.values()) == done.stdout.decode().split("\0")[:-1]


def test_json_is_an_object():
    """Names and texts, nothing else."""
    assert ODD == json.loads(FORMATS["json"](ODD))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", 'ENV A="plain"\n'),
        ("""it's "x" $y \\""", 'ENV A="it\'s \\"x\\" \\$y \\\\"\n'),
    ],
)
def test_a_dockerfile_gets_env_lines(text, written):
    """In double quotes, where quote, dollar and backslash are escaped."""
    assert written == FORMATS["docker"]({"A": text})


def test_a_manifest_gets_a_list_of_names_and_values():
    """YAML in JSON quotes; `$(…)`, which Kubernetes would expand, is escaped."""
    written = FORMATS["k8s"]({"A": 'é "x" $(HOME)', "B": "1"})
    assert (
        'env:\n  - name: A\n    value: "é \\"x\\" $$(HOME)"\n  - name: B\n    value: "1"\n'
        == written
    )
