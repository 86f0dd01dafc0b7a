"""Tables: plain in pipes, laid out by rich in a terminal, within its width."""

import os
import re
import sys
from pathlib import Path

import pytest
from servers.program import Started

from lupis_instrument._cli.lupis import tables
from lupis_instrument._cli.lupis.tables import Column

COLOURS = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")
WITHOUT_RICH = "import sys; sys.modules['rich'] = None; sys.modules['rich.console'] = None; "
MAIN = "from lupis_instrument._cli.lupis import main; main()"

pty = pytest.importorskip("pty", reason="a terminal needs Unix")


@pytest.fixture
def terminal(tmp_path):
    """Runs the command on a terminal; returns what that would show."""

    def run(*arguments, columns=200, first="", **env):
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
        process = Started(
            [sys.executable, "-c", first + MAIN, *arguments], env=env, stdout=slave, stderr=slave
        )
        os.close(slave)
        shown = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # Linux says so that the other side has gone
                break
            if not piece:
                break
            shown += piece
        os.close(master)
        assert 0 == process.wait()
        return shown.decode().replace("\r\n", "\n")

    return run


def plain(text):
    """What is to be read of it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_plain_tables_line_up(capsys):
    """Numbers to the right, wide characters counted as the terminal does."""
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
    """Until the others have room; those of rank 0 stay."""
    columns = [
        Column("aaaaaaaa"),
        Column("b" * 8, rank=1),
        Column("c" * 8, rank=2),
        Column("d" * 8),
    ]
    cells = [["", "", "", ""]]
    fit = [tables._select_columns(columns, cells, room) for room in (None, 40, 39, 20, 5)]
    assert [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 3], [0, 3], [0, 3]] == fit


@pytest.mark.parametrize("first", ["", WITHOUT_RICH], ids=["rich", "plain"])
def test_a_terminal_shows_the_same_with_and_without_rich(first, store, terminal):
    """Which is an extra."""
    store.call("gpt-4o", cost=0.5, input_tokens=12_345, chat="c")
    shown = plain(terminal("report", first=first))
    assert "gpt-4o" in shown
    assert ["total", "1", "12.3k", "5", "$0.5000"] == shown.splitlines()[-1].split()[:5]
    assert store.call().context.trace_id
    assert "gpt-4o" in plain(terminal("traces", first=first))


@pytest.mark.parametrize("arguments", [["report"], ["traces"]])
@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("first", ["", WITHOUT_RICH], ids=["rich", "plain"])
def test_lines_are_not_wider_than_the_terminal(first, columns, arguments, store, terminal):
    """What there is no room for is left out, or follows below."""
    store.call("m", "p", first_chunk=0.5, chat="c" * 20, error="429", cached_tokens=1)
    shown = plain(terminal(*arguments, columns=columns, first=first)).splitlines()
    assert [] == [line for line in shown if len(line) > columns]


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_no_figure_is_left_out_of_a_report(columns, store, terminal):
    """Those without room follow in a table of their own."""
    store.call("gpt-4o", first_chunk=0.5, error="429", cached_tokens=1)
    shown = plain(terminal("report", columns=columns))
    for heading in ("time", "p50", "p95", "p99", "first p50", "first p95", "first p99"):
        assert 1 == len(re.findall(rf"(?<!first ){heading}\b", shown)), heading
    assert shown.count("gpt-4o") == shown.count("total")


def test_a_terminal_that_is_much_too_narrow_is_told(store, terminal):
    """Rather than asked for more and more tables."""
    store.call("a-model-with-a-long-name")
    shown = plain(terminal("report", columns=40))
    assert "no room for" in shown


def test_colours_are_for_those_who_want_them(store, terminal):
    """By https://no-color.org; and bold is no colour."""
    store.call(cost=0.5, error="429")
    trace = format(store.call(error="429").context.trace_id, "032x")
    for arguments in (["report"], ["traces"], ["show", trace]):
        assert COLOURS.search(terminal(*arguments))
        assert None is COLOURS.search(terminal(*arguments, NO_COLOR="1"))


def test_nothing_is_coloured_in_a_pipe(store, start_lupis):
    """Nor cut off."""
    store.call("m" * 150, cost=0.5, error="429")
    shown = start_lupis("report", env={"COLUMNS": "40"}).communicate()[0].decode()
    assert "\x1b" not in shown
    assert "m" * 150 in shown


@pytest.mark.parametrize("arguments", [["report", "--by", "chat"], ["traces"], ["export"]])
def test_a_pipe_that_closes_is_no_fault(arguments, store, start_lupis):
    """As with `| head`."""
    for number in range(300):
        store.call(chat=f"{number} {'x' * 500}")
    process = start_lupis(*arguments)
    process.stdout.read(10)
    process.stdout.close()
    assert b"" == process.stderr.read()
    process.stderr.close()
    process.wait()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_will_do(encoding, store, start_lupis):
    """What it lacks is spelled out."""
    trace = format(store.call("\u6a21\u578b", chat="\u00e9").context.trace_id, "032x")
    for arguments in (["report"], ["report", "--by", "chat"], ["traces"], ["show", "-v", trace]):
        process = start_lupis(*arguments, env={"PYTHONIOENCODING": encoding})
        shown, said = process.communicate()
        assert (0, b"") == (process.returncode, said)
        assert shown.decode(encoding)


def test_a_terminal_of_another_encoding_shows_tables(store, terminal):
    """With lines of its own characters."""
    store.call("\u6a21")
    assert r"\u6a21" in terminal("report", PYTHONIOENCODING="ascii")


def test_rich_is_an_extra():
    """Named in pyproject.toml, and not among what is always installed."""
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    always = text.partition("\ndependencies = [")[2].partition("]")[0]
    assert "rich" not in always
    assert '\nreport = ["rich' in text
