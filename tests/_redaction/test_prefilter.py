"""Which rules are asked to look at a text: those whose literal occurs, and mostly none."""

from __future__ import annotations

import random

import pytest

from lupis_instrument._redaction.long_runs import find_long_runs
from lupis_instrument._redaction.prefilter import Prefilter

LITERALS = ["bearer", "!hook", "!:_", "!sig=", "://&@", "ghp_", "20 akia", "+nral", "=us6", "key", "token", "cookie", "ssn", "1//0"]  # fmt: skip
PREFILTER = Prefilter([(literal, literal) for literal in LITERALS])


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("the bearer of", ["bearer"]),
        ("thebearerof", []),  # nothing leads to a value
        ("hooks.example", ["!hook"]),
        ("a cookie, a token", ["token", "cookie"]),
        ("//host/:_auth", ["!:_"]),
        ("x?sig=1", ["!sig="]),
        ("postgres://h", []),
        ("postgres://u@h", ["://&@"]),
        ("ghp_7hq2mzx9kp4lwr8s", ["ghp_"]),
        ("xghp_7hq2mzx9kp4lwr8s", []),
        ("ghp_short", []),
        ("akia7hq2mzx9kp4lwr8s", ["20 akia"]),
        ("akia7hq2mzx9kp4lwr", []),
        ("0123456789abcdefnral", ["+nral"]),
        ("0123456789abcdef-us6", ["=us6"]),
        ("0123456789abcdef-us67", []),
        ("id 1//0abc", ["1//0"]),
        ("mississippi lessons learnt", []),
    ],
)
def test_literals_choose(text, chosen):
    """Each where its notation says that it is looked for."""
    assert sorted(chosen) == sorted(literal for _, literal in PREFILTER.choose_finders(text))


def test_a_run_among_numbers():
    """In a text of numbers, the runs that hold a letter are found, and none else."""
    numbers = [str(random.Random(seed).random()) for seed in range(2000)]
    key = b"ghp_0123456789012345678"
    text = " ".join([*numbers[:1000], key.decode(), "1.5e-05", *numbers[1000:]])
    assert [key] == find_long_runs(text.encode())
    assert [key] == find_long_runs(b" ".join([key]))
    assert [key] == find_long_runs(b",".join([b"0.8444218515250481"] * 400 + [key]))


@pytest.mark.parametrize("between", [" ", f" {'x' * 20} ", " 0.8444218515250481 ", ", "])
def test_runs_whatever_stands_between(between):
    """Of a text with few or many long runs, the same ones are found."""
    keys = [f"k{number:019}" for number in range(300)]
    found = find_long_runs(between.join(keys).encode())
    assert keys == [run.decode()[-20:] for run in found if b"k0" in run]
