"""Tables: plain text in pipes, coloured on a terminal, never wider than the terminal."""

import os
import re
import sys

import pytest
from servers.program import ManagedProcess
from servers.recorded import trace_id

from lupis_instrument._cli.lupis import tables
from lupis_instrument._cli.lupis.tables import Column

COLOURS = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")
MAIN = "from lupis_instrument._cli.lupis import main; main()"
MAIN_FOR_ALL = """
import sys
from lupis_instrument._cli.lupis.commands import lupis

for command in sys.argv[1:]:
    lupis([command], standalone_mode=False)
    print("==")
"""

pty = pytest.importorskip("pty", reason="a terminal needs Unix")


@pytest.fixture
def terminal(tmp_path):
    """Runs the command on a terminal; returns the text on its screen."""

    def run(*arguments, columns=200, main=MAIN, **env):
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
            [sys.executable, "-c", main, *arguments], env=env, stdout=slave, stderr=slave
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
    columns = [Column("a"), Column("b", rank=1), Column("c", rank=2), Column("d")]
    fit = [tables.fit_columns(columns, [8] * 4, room) for room in (None, 38, 37, 20, 5)]
    assert [[8, 8, 8, 8], [8, 8, 8, 8], [8, 8, 0, 8], [8, 0, 0, 8], [8, 0, 0, 8]] == fit


def test_long_names_are_cut_before_columns_go():
    """Names keep 20 columns as long as other columns can go, and get the rest of the width."""
    columns = [Column("id"), Column("name", cut=True), Column("extra", rank=1)]
    fit = [tables.fit_columns(columns, [10, 90, 10], room) for room in (120, 60, 44, 43, 30, 9)]
    assert [[10, 90, 10], [10, 36, 10], [10, 20, 10], [10, 31, 0], [10, 18, 0], [10, 6, 0]] == fit


def test_names_share_the_width():
    """The widest one is cut first."""
    columns = [Column("a", cut=True), Column("b", cut=True)]
    assert [10, 18] == tables.fit_columns(columns, [10, 90], 30)
    assert [14, 14] == tables.fit_columns(columns, [90, 90], 30)


@pytest.mark.parametrize("name", ["m", "text-embedding-3-small"])
def test_traces_of_long_names_fit(name, store, terminal):
    """A line of 80 columns shows the time and the cost."""
    store.call(name, cost=0.000012)
    lines = strip_styles(terminal("traces", columns=80)).splitlines()
    assert [] == [line for line in lines if len(line) > 80]
    assert "cost" in lines[0]


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("command", ["show", "diff"])
def test_two_runs_of_long_names_and_errors_fit(command, columns, store, other_store, terminal):
    """The errors and the cost are there."""
    for recorder in (store, other_store):
        name = f"ft:gpt-4o-mini-2024-07-18:my-organization:{recorder.folder}"
        recorder.call(name, "azure.ai.inference", error="openai.APIConnectionError", cost=0.0012345)
        recorder.call(name, "a-provider", cost=0.0054321, input_tokens=12345, output_tokens=9876)
        recorder.call("m", "a-provider", cost=None, chat="c" * 90)
    lines = strip_styles(terminal(command, "--last", columns=columns)).splitlines()
    assert [] == [line for line in lines if len(line) > columns]
    assert "error" in "".join(lines)
    assert "$0.005432" in "".join(lines)


@pytest.mark.parametrize(
    ("columns", "environment"),
    [(60, {}), (80, {}), (120, {}), (200, {}), (80, {"NO_COLOR": "1"}), (80, {"TERM": "dumb"})],
)
def test_tables_fit_and_keep_their_most_important_columns(columns, environment, store, terminal):
    """The id, errors and cost are there, and so are both ends of long names."""
    name = "ft:gpt-4o-mini-2024-07-18:my-organization:customer-support-v12:AbCdEfGh1234567890"
    trace = trace_id(store.call(name, "provider", error="429", cost=0.5, chat="c" * 40))
    store.call(first_chunk=0.5, cached_tokens=1, **{"user.id": "u" * 30})
    kept = {
        "report": {"1", "$0.5000"},
        "traces": {trace[:12], "1", "$0.5000"},
        "calls": {trace[:8], "429", "$0.5000"},
        "runs": {"aaaaaaaa", "2", "1", "$0.5000"},
    }
    shown = terminal(*kept, columns=columns, main=MAIN_FOR_ALL, **environment)
    assert ("\x1b" in shown) is not bool(environment)
    shown = strip_styles(shown)
    assert columns >= max(map(len, shown.splitlines()))
    tables_by_command = dict(zip(kept, shown.split("==\n")))
    assert {} == {
        command: cells - {*tables_by_command[command].split()}
        for command, cells in kept.items()
        if cells - {*tables_by_command[command].split()}
    }


def test_columns_that_do_not_fit_are_named(store, terminal):
    """The note fits too."""
    store.call("gpt-4o", first_chunk=0.5, error="429", cached_tokens=1)
    note = strip_styles(terminal("report", columns=80)).splitlines()[-1]
    assert note.startswith("more in a wider terminal or with --format csv: ")
    assert "first token p50" in strip_styles(terminal("report", columns=240))


def test_zeros_are_dim(store, terminal):
    """Errors that did not happen catch no eye."""
    store.call("m", cost=0.5)
    store.call("n", error="429")
    lines = terminal("report", columns=200).splitlines()
    assert any("\x1b[2m" in line and "\x1b[31m" not in line for line in lines)
    assert any("\x1b[31m     1" in line for line in lines)


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
    """Characters that it lacks are escaped."""
    store.call("\u6a21")
    assert r"\u6a21" in terminal("report", PYTHONIOENCODING="ascii")
