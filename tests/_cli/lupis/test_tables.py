"""Tables: plain text in pipes, drawn by rich on a terminal, never wider than the terminal."""

import os
import re
import sys
from pathlib import Path

import pytest
from servers.program import ManagedProcess

from lupis_instrument._cli.lupis import tables
from lupis_instrument._cli.lupis.tables import Column

COLOURS = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")
WITHOUT_RICH = "import sys; sys.modules['rich'] = None; sys.modules['rich.console'] = None; "
MAIN = "from lupis_instrument._cli.lupis import main; main()"

pty = pytest.importorskip("pty", reason="a terminal needs Unix")


@pytest.fixture
def terminal(tmp_path):
    """Runs the command on a terminal; returns the text on its screen."""

    def run(*arguments, columns=200, prelude="", **env):
        master, slave = pty.openpty()
        foreign = ("LUPIS_", "PYTHON", "NO_COLOR", "TERM", "COLUMNS", "FORCE_COLOR", "COLORTERM")
        own = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        env = {
            **own,
            "TERM": "xterm-256color",
            "COLUMNS": str(columns),
            "LUPIS_DATA_DIR": str(tmp_path / "data"),
            **env,
        }
        process = ManagedProcess(
            [sys.executable, "-c", prelude + MAIN, *arguments], env=env, stdout=slave, stderr=slave
        )
        os.close(slave)
        shown = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # Linux raises EIO when the other end is closed
                break
            if not chunk:
                break
            shown += chunk
        os.close(master)
        assert 0 == process.wait()
        return shown.decode().replace("\r\n", "\n")

    return run


def strip_styles(text):
    """Return a text without its escape sequences."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_plain_columns_are_aligned(capsys):
    """Numbers are aligned to the right, and wide characters count as two columns."""
    columns = [Column("name", right=False), Column("n")]
    tables.show_table(columns, [["\u6a21", "7"], ["longer", "123"]], ["total", "130"])
    lines = [
        "name      n",
        "------  ---",
        "\u6a21        7",
        "longer  123",
        "------  ---",
        "total   130",
    ]
    assert lines == capsys.readouterr().out.splitlines()


def test_columns_of_the_highest_rank_go_first():
    """They give way until the others fit; columns of rank 0 stay."""
    columns = [
        Column("aaaaaaaa"),
        Column("b" * 8, rank=1),
        Column("c" * 8, rank=2),
        Column("d" * 8),
    ]
    cells = [["", "", "", ""]]
    fit = [tables._select_columns(columns, cells, room) for room in (None, 40, 39, 20, 5)]
    assert [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 3], [0, 3], [0, 3]] == fit


def test_long_names_are_cut_off_on_a_narrow_terminal():
    """The other columns that stay keep their whole text."""
    columns = [Column("id"), Column("name", cut=True)]
    row = ["1234567890", "a-name-that-is-long"]
    cut = [tables._cut_cells(columns, [row], width)[0][1] for width in (None, 33, 28, 5)]
    assert ["a-name-that-is-long"] * 2 + ["a-name-that...", "a-name-th..."] == cut


@pytest.mark.parametrize("name", ["m", "text-embedding-3-small"])
def test_traces_of_long_names_fit(name, store, terminal):
    """A line of 80 columns shows the time and the cost."""
    store.call(name, cost=0.000012)
    lines = strip_styles(terminal("traces", columns=80, prelude=WITHOUT_RICH)).splitlines()
    assert [] == [line for line in lines if len(line) > 80]
    assert "cost" in lines[0]


@pytest.mark.parametrize("prelude", ["", WITHOUT_RICH], ids=["rich", "plain"])
def test_terminal_shows_the_same_without_rich(prelude, store, terminal):
    """Rich is an optional dependency."""
    store.call("gpt-4o", cost=0.5, input_tokens=12_345, chat="c")
    shown = strip_styles(terminal("report", prelude=prelude))
    assert "gpt-4o" in shown
    assert ["total", "1", "12.3k", "5", "$0.5000"] == shown.splitlines()[-1].split()[:5]
    assert store.call().context.trace_id
    assert "gpt-4o" in strip_styles(terminal("traces", prelude=prelude))


@pytest.mark.parametrize("arguments", [["report"], ["traces"]])
@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("prelude", ["", WITHOUT_RICH], ids=["rich", "plain"])
def test_lines_are_not_wider_than_the_terminal(prelude, columns, arguments, store, terminal):
    """Columns that do not fit are left out or follow below."""
    store.call("m", "p", first_chunk=0.5, chat="c" * 20, error="429", cached_tokens=1)
    shown = strip_styles(terminal(*arguments, columns=columns, prelude=prelude)).splitlines()
    assert [] == [line for line in shown if len(line) > columns]


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_no_figure_is_left_out_of_a_report(columns, store, terminal):
    """Columns that do not fit follow in a table of their own."""
    store.call("gpt-4o", first_chunk=0.5, error="429", cached_tokens=1)
    shown = strip_styles(terminal("report", columns=columns))
    for heading in ("time", "p50", "p95", "p99", "first p50", "first p95", "first p99"):
        assert 1 == len(re.findall(rf"(?<!first ){heading}\b", shown)), heading
    assert shown.count("gpt-4o") == shown.count("total")


def test_much_too_narrow_terminal_is_reported(store, terminal):
    """A note lists the missing columns."""
    store.call("a-model-with-a-long-name")
    shown = strip_styles(terminal("report", columns=40))
    assert "no room for" in shown


def test_user_can_switch_colours_off(store, terminal):
    """NO_COLOR works as https://no-color.org says; bold text is no colour."""
    store.call(cost=0.5, error="429")
    trace = format(store.call(error="429").context.trace_id, "032x")
    for arguments in (["report"], ["traces"], ["show", trace]):
        assert COLOURS.search(terminal(*arguments))
        assert None is COLOURS.search(terminal(*arguments, NO_COLOR="1"))


def test_pipe_gets_plain_text(store, start_lupis):
    """Nothing is cut off there either."""
    store.call("m" * 150, cost=0.5, error="429")
    shown = start_lupis("report", env={"COLUMNS": "40"}).communicate()[0].decode()
    assert "\x1b" not in shown
    assert "m" * 150 in shown


@pytest.mark.parametrize("arguments", [["report", "--by", "chat"], ["traces"], ["export"]])
def test_closed_pipe_is_no_error(arguments, store, start_lupis):
    """The reader may be `head`."""
    for number in range(300):
        store.call(chat=f"{number} {'x' * 500}")
    process = start_lupis(*arguments)
    process.stdout.read(10)
    process.stdout.close()
    assert b"" == process.stderr.read()
    process.stderr.close()
    process.wait()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_is_valid(encoding, store, start_lupis):
    """Characters outside the encoding are escaped."""
    trace = format(store.call("\u6a21\u578b", chat="\u00e9").context.trace_id, "032x")
    for arguments in (["report"], ["report", "--by", "chat"], ["traces"], ["show", "-v", trace]):
        process = start_lupis(*arguments, env={"PYTHONIOENCODING": encoding})
        shown, errors = process.communicate()
        assert (0, b"") == (process.returncode, errors)
        assert shown.decode(encoding)


def test_terminal_with_another_encoding_shows_tables(store, terminal):
    """Rich then draws with ASCII characters."""
    store.call("\u6a21")
    assert r"\u6a21" in terminal("report", PYTHONIOENCODING="ascii")


def test_rich_is_an_optional_dependency():
    """It is not among the packages that are always installed."""
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    required = text.partition("\ndependencies = [")[2].partition("]")[0]
    assert "rich" not in required
    assert '\nreport = ["rich' in text
