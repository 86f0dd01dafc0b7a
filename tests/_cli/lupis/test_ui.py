"""`lupis ui`."""

import re
import signal
import sys
import urllib.request

import pytest

from lupis_instrument._cli.lupis import ui
from lupis_instrument._viewer.viewer import Viewer

LINK = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=\S+")


@pytest.fixture
def viewer(tmp_path):
    """The parts of a viewer that only reads."""
    return Viewer(tmp_path / "store.db")


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_command_prints_the_line_that_opens_the_page(start_lupis):
    """Ctrl-C ends it quietly."""
    with start_lupis("ui", "--no-browser", "--port", "0") as process:
        link = LINK.search(process.stdout.readline().decode())[0]
        with urllib.request.urlopen(f"{link.partition('?')[0]}api/health") as answer:
            assert b'"lupis"' in answer.read()
        process.send_signal(signal.SIGINT)
        assert (0, b"") == (process.wait(), process.stderr.read())


def test_other_machines_need_a_token(lupis):
    """The message says why."""
    result = lupis("ui", "--host", "0.0.0.0")
    assert 2 == result.exit_code
    assert "needs --token" in result.stderr
    assert "other machines can reach" in " ".join(result.stderr.split())


def test_token_must_be_long(lupis):
    """A short one can be guessed."""
    result = lupis("ui", "--host", "0.0.0.0", "--token", "short")
    assert 2 == result.exit_code
    assert "16 characters" in result.stderr


def test_next_port_is_taken(viewer, monkeypatch):
    """Two viewers may run at once."""
    with ui._listen(viewer, 0) as first:
        monkeypatch.setattr(ui, "_PORT", first.port)
        with ui._listen(viewer, None) as second:
            assert first.port < second.port < first.port + ui._TRIED_PORTS


def test_port_that_is_in_use_is_an_error(viewer):
    """The user has asked for this one."""
    with ui._listen(viewer, 0) as server, pytest.raises(
        ui.click.ClickException, match="cannot listen"
    ):
        ui._listen(viewer, server.port)


def describe(viewer):
    with ui._listen(viewer, 0) as server:
        return " ".join(ui._describe(viewer, server, []))


def test_lines_say_how_to_reach_the_page_over_ssh(viewer, monkeypatch):
    """The browser runs on another machine."""
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 5000 10.0.0.2 22")
    assert re.search(r"ssh -N -L (\d+):127.0.0.1:\1 \S+@10.0.0.2", describe(viewer))


def test_lines_say_how_to_send_to_another_port(viewer, monkeypatch):
    """Programs look for port 9009 by themselves."""
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    viewer.receiver = object()
    text = describe(viewer)
    assert re.search(r"LUPIS_OTLP_ENDPOINT=http://127.0.0.1:\d+/api/traces", text)
    assert "ssh" not in text
