"""Checks names, docstrings and comments for words that make code hard to read.

    python .ci/english.py FOLDER...

Prints a line for each find and exits with 1 if there is one. Each row of the tables gives the
reason, which is also the cure.
"""

# A script, which prints:
# ruff: noqa: INP001, T201

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from pathlib import Path
from typing import Iterator, NamedTuple


class Phrase(NamedTuple):
    """A phrase to avoid in docstrings and comments.

    Attributes:
        pattern: a regular expression for it, case-insensitive.
        reason: the reason, and what to write instead.
    """

    pattern: str
    reason: str


PHRASES = (
    Phrase(r"\bwhat\b", 'name the thing: "the items that wait", not "what waits"'),
    Phrase(r"\b(?:of )?ours\b", 'name the owner: "our handler", "this package\'s threads"'),
    Phrase(r"\b(?:that|those) of\b", 'repeat the noun: "the key of the user"'),
    Phrase(r"\bin force\b", 'say "current"'),
    Phrase(r"\AHave \w+", 'say who does it: "Make forks wait", "Close the file"'),
    Phrase(r"\btells? whether\b", 'write "Return whether"'),
    Phrase(r"\bwhoever\b", 'name the caller, or write "any thread that"'),
    Phrase(r"\bdoors?\b|\bparcels?\b|\bcouriers?\b|\bhandover\b|\bnudge", "use the field's word"),
    Phrase(r"\blest\b|\bbeforehand\b", "use the everyday word"),
)
"""The worst phrases; the list is short on purpose."""

VAGUE_NAMES = frozenset(
    ("asked", "each", "found", "here", "least", "most", "one", "place", "said", "thing", "those")
)
"""Variables and parameters that do not say what they hold."""

MIN_DOCSTRING_WORDS = 4
"""A shorter docstring of a function only repeats its name."""


class Find(NamedTuple):
    """A place to mend.

    Attributes:
        line: its line number.
        message: the word and the reason.
    """

    line: int
    message: str


def check_text(text: str, *, is_test: bool = False) -> list[Find]:
    """Return the finds in a module's source text, by line.

    Args:
        text: the source text.
        is_test: whether the module is a test, whose helpers need no long docstrings.
    """
    tree = ast.parse(text)
    finds = [*_check_phrases(_read_prose(tree, text)), *_check_names(tree)]
    return sorted([*finds, *(() if is_test else _check_docstrings(tree))])


def _read_prose(tree: ast.Module, text: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each docstring, attribute docstring and comment."""
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.lineno, value.value
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")


def _check_phrases(prose: Iterator[tuple[int, str]]) -> Iterator[Find]:
    for line, text in prose:
        plain = re.sub(r"`[^`]*`", "", text)  # code is quoted as it is
        for phrase in PHRASES:
            for match in re.finditer(phrase.pattern, plain, re.IGNORECASE | re.MULTILINE):
                offset = plain.count("\n", 0, match.start())
                yield Find(line + offset, f"{match.group().strip()!r}: {phrase.reason}")


def _check_names(tree: ast.Module) -> Iterator[Find]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        else:
            continue
        if name in VAGUE_NAMES:
            yield Find(node.lineno, f"the name {name!r} does not say what it holds")


def _check_docstrings(tree: ast.Module) -> Iterator[Find]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            docstring = ast.get_docstring(node)
            if docstring is not None and len(docstring.split()) < MIN_DOCSTRING_WORDS:
                yield Find(node.lineno, f"the docstring {docstring!r} says too little")


def main() -> None:
    """Check the Python files in the folders named on the command line."""
    count = 0
    for folder in sys.argv[1:]:
        for path in sorted(Path(folder).rglob("*.py")):
            if path.name == Path(__file__).name:
                continue  # quotes the phrases
            is_test = path.parts[0] == "tests"
            for find in check_text(path.read_text(encoding="utf-8"), is_test=is_test):
                print(f"{path}:{find.line}: {find.message}")
                count += 1
    if count:
        sys.exit(f"{count} phrases or names to mend; .ci/english.py gives the reasons")
    print("english: no phrase or name to mend")


if __name__ == "__main__":
    main()
