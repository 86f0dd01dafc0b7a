"""Writes the generated parts of documentation pages.

    python .ci/docs.py FOLDER

A generated part stands between two comments. The first one names the command whose output the
part is:

    <!-- settings: python -m lupis_instrument._config.settings -->
    <!-- settings end -->
"""

# A script, which starts others:
# ruff: noqa: INP001, S603

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PART = re.compile(r"(<!-- (\w+): python (.*?) -->\n).*?(<!-- \2 end -->)", re.DOTALL)


def generate_parts(text: str) -> str:
    """Return a page with the present output of the commands that it names."""
    return PART.sub(lambda match: f"{match[1]}{run_command(match[3])}{match[4]}", text)


def run_command(arguments: str) -> str:
    """Return the output of this interpreter with these arguments.

    Raises:
        CalledProcessError: the command failed.
    """
    command = [sys.executable, *shlex.split(arguments)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    return done.stdout


def main() -> None:
    """Write the pages in the folder that the command line names."""
    (folder,) = sys.argv[1:]
    for path in sorted(Path(folder).rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        generated = generate_parts(text)
        if generated != text:
            path.write_text(generated, encoding="utf-8")


if __name__ == "__main__":
    main()
