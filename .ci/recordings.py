"""Records the output of `lupis` in a terminal of 80 columns.

    python .ci/recordings.py docs/recordings.md

Runs examples/agent.py twice under lupis-run, offline, and writes a page with the output of each
command. Ids, times and durations differ with each run, so that no test compares the page.
"""

# A script:
# ruff: noqa: INP001

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import tempfile
import termios
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, LINES = 80, 40
AGENT = "lupis-run --exporter local python examples/agent.py"
COMMANDS = {
    "Totals at the end of a program": AGENT,
    "Runs": "lupis runs",
    "Totals of a run": "lupis report --last",
    "Totals by provider and operation": "lupis report --last --by provider --by operation",
    "Calls": "lupis calls --last",
    "Failed calls": "lupis calls --errors",
    "Traces": "lupis traces --last",
    "The spans of a run": "lupis show --last",
    "Two runs side by side": "lupis diff --last",
    "Limits for CI": "lupis check --last --max-cost 0.001 --max-errors 0",
}
"""By heading: the command."""
HEAD = """# Recordings

The output of `lupis` in a terminal of 80 columns, after two runs of `examples/agent.py`.
`.ci/recordings.py` makes this page. A wider terminal shows more columns.
[Reading results](reading-results.md) explains the commands.
"""


def run_in_terminal(command: str, data_folder: str) -> str:
    """Return the text that a command writes to a terminal, without colours.

    Args:
        command: the command, as the recording shows it.
        data_folder: the folder of the store.
    """
    words = command.split()
    folder = Path(sys.executable).parent
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("LUPIS_")},
        "LUPIS_DATA_DIR": data_folder,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "TERM": "xterm",
        "COLUMNS": str(COLUMNS),
    }
    child, terminal = pty.fork()
    if not child:
        os.chdir(ROOT)
        os.execvpe(words[0], words, environment)  # noqa: S606 - the commands above
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    written = b""
    try:
        while piece := os.read(terminal, 65536):
            written += piece
    except OSError:  # Linux says so that the other side is closed
        pass
    os.waitpid(child, 0)
    text = re.sub(r"\x1b\[[0-9;]*m", "", written.decode()).replace("\r\n", "\n")
    return text.replace(data_folder, "~/.local/share/lupis-instrument")


def main() -> None:
    """Write the page, and fail if a line is wider than the terminal."""
    page = [HEAD]
    with tempfile.TemporaryDirectory() as folder:
        run_in_terminal(AGENT, folder)
        for heading, command in COMMANDS.items():
            text = run_in_terminal(command, folder)
            if command == AGENT:  # without the output of the program itself
                text = text[text.index("lupis:") :]
            widest = max(map(len, text.splitlines()))
            if widest > COLUMNS:
                sys.exit(f"{command}: {widest} columns\n{text}")
            page.append(f"## {heading}\n\n```text\n$ {command}\n{text.rstrip()}\n```\n")
    Path(sys.argv[1]).write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    main()
