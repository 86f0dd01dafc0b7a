"""The stand-in for a response's file does what the file does, and shows the body's bytes."""

import copy
import gc
import io
import pickle
import socket
import weakref
from http.client import HTTPResponse

import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._instrumentation.clients.tapped_file import TappedFile

BODY = b'{"usage": 1}\ndata: 2\n\n'
CHAT = "http://127.0.0.1/v1/chat/completions"


class Source(io.RawIOBase):
    """A connection that hands its bytes over in pieces, and then closes or fails."""

    def __init__(self, data, piece=5, error=None):
        self.data = data
        self.piece = piece
        self.error = error

    def readable(self):
        return True

    def readinto(self, buffer):
        part = self.data[: min(self.piece, len(buffer))]
        if not part and self.error is not None:
            raise self.error
        self.data = self.data[len(part) :]
        buffer[: len(part)] = part
        return len(part)


def file_of(data, **options):
    """A buffered file, as a connection's `makefile` gives it."""
    return io.BufferedReader(Source(data, **options))


@pytest.fixture
def tap(recorder):
    """Taps a file; the body is what is recorder."""

    def tap(file, length=None):
        recorder.http_call.begin_attempt("POST", CHAT)
        body = recorder.http_call.begin_response(200, [], "1.1")
        return TappedFile(file, body, length)

    return tap


READS = {
    "all": lambda file: file.read(),
    "all by None": lambda file: file.read(None),
    "pieces": lambda file: b"".join(iter(lambda: file.read(4), b"")),
    "read1": lambda file: b"".join(iter(lambda: file.read1(4), b"")),
    "lines": b"".join,
    "short lines": lambda file: b"".join(iter(lambda: file.readline(3), b"")),
}


@pytest.mark.parametrize("way", READS)
@pytest.mark.parametrize("length", [None, len(BODY)])
def test_a_body_is_seen_whole(tap, recorder, way, length):
    """Whichever way it is read; then it is complete."""
    with tap(file_of(BODY), length=length) as file:
        assert BODY == READS[way](file)
    assert (BODY, "complete") == recorder.recorded_body


def test_a_body_is_read_into_a_buffer(tap, recorder):
    """Of any item size."""
    file = tap(file_of(BODY[:16]), length=16)
    buffer = memoryview(bytearray(16)).cast("I")
    assert (16, BODY[:16]) == (file.readinto(buffer), buffer.tobytes())
    file.close()
    assert (BODY[:16], "complete") == recorder.recorded_body


def test_what_follows_a_body_is_not_seen(tap, recorder):
    """It is the next response's."""
    file = tap(file_of(BODY + b"HTTP/1.1"), length=len(BODY))
    assert BODY + b"HTTP/1.1" == file.read()
    assert (BODY, "complete") == recorder.recorded_body


@pytest.mark.parametrize("way", READS)
def test_a_body_that_is_cut_is_an_error(tap, recorder, way):
    """Whichever way it is read."""
    READS[way](tap(file_of(BODY), length=len(BODY) + 1))
    assert (BODY, "error") == recorder.recorded_body
    assert "IncompleteRead" == recorder.body.error_type


@pytest.mark.parametrize("way", READS)
def test_reading_nothing_ends_nothing(tap, recorder, way):
    """Nor does a read that was short because the connection was slow."""
    file = tap(file_of(BODY), length=len(BODY))
    assert (b"", b"", b"") == (file.read(0), file.read1(0), file.readline(0))
    assert 0 == file.readinto(bytearray())
    assert (b"", None) == recorder.recorded_body


@pytest.mark.parametrize("error", [TimeoutError("slow"), ConnectionResetError("gone")])
def test_an_error_reaches_the_reader(tap, recorder, error):
    """The same one; and ends the body."""
    file = tap(file_of(b"12345", error=error), length=99)
    with pytest.raises(type(error)) as raised:
        file.read()
    file.close()
    assert error is raised.value
    assert type(error).__name__ == recorder.body.error_type


def test_an_interrupted_read_may_go_on(tap, recorder):
    """It is the program's, not the connection's."""
    source = Source(BODY[:5], error=KeyboardInterrupt())
    file = tap(io.BufferedReader(source), length=len(BODY))
    assert BODY[:5] == file.read(5)
    with pytest.raises(KeyboardInterrupt):
        file.read(1)
    source.data, source.error = BODY[5:], None
    file.read()
    file.close()
    assert (BODY, "complete") == recorder.recorded_body


@pytest.mark.parametrize("close", [TappedFile.close, lambda file: file.__exit__(None, None, None)])
def test_closing_before_the_end_is_closing(tap, recorder, close):
    """And closes the file."""
    file = file_of(BODY)
    tapped = tap(file, length=len(BODY))
    tapped.read(3)
    close(tapped)
    assert (BODY[:3], "closed", True) == (*recorder.recorded_body, file.closed)


def test_closing_after_the_end_changes_nothing(tap, recorder):
    """It was complete."""
    with tap(file_of(BODY)) as file:
        file.read()
    assert (BODY, "complete") == recorder.recorded_body


def test_a_file_nobody_holds_is_dropped(tap, recorder):
    """Unread."""
    tap(file_of(BODY))
    gc.collect()
    assert (b"", "dropped") == recorder.recorded_body


def test_peeking_shows_nothing(tap, recorder):
    """The bytes were still to be read."""
    with tap(file_of(BODY)) as file:
        assert BODY[:5] == file.peek(1)
    assert (b"", "closed") == recorder.recorded_body


@pytest.mark.parametrize("name", ["readable", "seekable", "isatty", "fileno"])
def test_it_answers_as_the_file_does(tap, name):
    """Whatever the program asks it."""
    with socket.socket() as connection, connection.makefile("rb") as file:
        expected = getattr(file, name)()
        assert expected == getattr(tap(file), name)()


@pytest.mark.parametrize("name", ["name", "mode", "_sock"])
def test_attributes_of_the_connection_are_found_where_they_were(tap, name):
    """Some programs reach through the buffer for the socket."""
    with socket.socket() as connection, connection.makefile("rb") as file:
        expected = getattr(file.raw, name)
        assert expected == getattr(tap(file).raw, name)


@pytest.mark.parametrize("act", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_can_no_more_be_copied_than_a_file(tap, act):
    """The same error, and nothing on stderr."""
    file = file_of(BODY)
    with pytest.raises(TypeError) as expected:
        act(file)
    with pytest.raises(TypeError) as raised:
        act(tap(file))
    assert str(expected.value) == str(raised.value)


CHUNKED = b"6;name=value\r\n012345\r\nA\r\n0123456789\r\n0\r\nx-trailer: 1\r\n\r\n"


class Connection:
    """As much of a socket as a response needs."""

    def __init__(self, data):
        self.data = data

    def makefile(self, *_, **__):
        return file_of(self.data)


def responses(head, data, recorder):
    """A response that is tapped, and one that isn't."""
    both = []
    for tapped in (True, False):
        response = HTTPResponse(Connection(head + b"\r\n" + data), method="POST")
        response.begin()
        if tapped:
            recorder.http_call.begin_attempt("POST", CHAT)
            chunked = bool(response.chunked)
            body = recorder.http_call.begin_response(200, [], "1.1", chunked=chunked)
            response.fp = TappedFile(response.fp, body, response.length)
        both.append(response)
    return both


HEADS = {
    "chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n",
    "length": b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n",
    "until close": b"HTTP/1.1 200 OK\r\nconnection: close\r\n",
}
PLAIN = b"0123\n56789\n23456"
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["read", "read1", "readline", "readinto", "peek"]), st.integers(0, 20)
    ),
    max_size=12,
)


def step(response, name, size):
    """What one step of a program gives."""
    try:
        if name == "readinto":
            buffer = bytearray(size)
            return response.readinto(buffer), bytes(buffer)
        return getattr(response, name)(size)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("framing", HEADS)
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, cut=st.integers(0, 80))
def test_any_way_of_reading_gives_the_same(recorder, framing, steps, cut):
    """With the tap and without: values, exceptions, and whether it is closed."""
    data = (CHUNKED if framing == "chunked" else PLAIN)[:cut]
    tapped, bare = responses(HEADS[framing], data, recorder)
    for name, size in steps:
        assert step(bare, name, size) == step(tapped, name, size)
        assert bare.isclosed() == tapped.isclosed()
    assert step(bare, "read", None) == step(tapped, "read", None)


@pytest.mark.parametrize("framing", HEADS)
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_what_was_read_is_what_was_seen(recorder, framing, steps):
    """Each byte once, and no framing."""
    data = CHUNKED if framing == "chunked" else PLAIN
    response, _ = responses(HEADS[framing], data, recorder)
    found = b""
    for name, size in steps:
        result = step(response, name, size)
        if name == "readinto":
            result = result[1][: result[0]]
        found += b"" if name == "peek" else result
    found += response.read()
    response.close()
    assert (found, "complete") == recorder.recorded_body


@pytest.mark.parametrize("size", [b"nonsense\r\n", b"", b"-5\r\n"])
def test_a_garbled_chunk_is_an_error(recorder, capsys, size):
    """The connection's, not ours: nothing is said of it."""
    data = b"2\r\n01\r\n" + size
    response, bare = responses(HEADS["chunked"], data, recorder)
    assert step(bare, "read", None) == step(response, "read", None)
    response.close()
    assert "error" == recorder.recorded_body[1]
    assert "" == capsys.readouterr().err


def test_a_collected_response_is_dropped(recorder):
    """`HTTPResponse` closes its file then; that's not the program closing it."""
    response, _ = responses(HEADS["length"], PLAIN, recorder)
    response.read(4)
    del response
    gc.collect()
    assert (b"0123", "dropped") == recorder.recorded_body


def test_a_closed_response_is_closed(recorder):
    """By the program."""
    response, _ = responses(HEADS["length"], PLAIN, recorder)
    response.close()
    assert (b"", "closed") == recorder.recorded_body


class Faulty:
    """A body that fails in all it has."""

    def __getattr__(self, name):
        raise ZeroDivisionError


@pytest.mark.parametrize("length", [None, 5, len(BODY) + 1])
def test_a_fault_of_ours_stays_ours(length, capsys):
    """The program reads and closes as it would; two lines are said."""
    diagnostics.reraise = False
    with TappedFile(file_of(BODY), Faulty(), length) as file:
        assert BODY == file.read()
    assert {"reading a body", "ending a body"} == {
        line.split(": ")[2].partition(" failed")[0] for line in capsys.readouterr().err.splitlines()
    }


def test_a_connection_that_was_closed_below_is_closed(tap, recorder):
    """As the collector does with a cycle, in any order."""
    file = file_of(BODY)
    tapped = tap(file)
    file.raw.close()
    tapped.close()
    assert (True, "closed") == (tapped.closed, recorder.recorded_body[1])


def test_closing_what_is_being_read_fails_as_ever(tap, recorder, capsys):
    """A signal's handler may try; the body has not ended then."""
    raised = []

    class Interrupted(Source):
        def readinto(self, buffer):
            with pytest.raises(RuntimeError) as error:
                file.close()
            raised.append(str(error.value))
            return super().readinto(buffer)

    for wrap in (lambda source: source, lambda source: tap(source, length=len(BODY))):
        file = wrap(io.BufferedReader(Interrupted(BODY)))
        assert BODY[:2] == file.read(2)
    assert raised[0].partition(" <")[0] == raised[1].partition(" <")[0]
    assert (None, "") == (recorder.body.outcome, capsys.readouterr().err)


class Kept:
    """Something that a program holds."""


@pytest.fixture
def collector_off():
    """What is freed is freed because nobody holds it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def respond(recorder, data):
    """A response whose file is tapped, as http.client makes it; and what says when its file goes."""
    ours, theirs = socket.socketpair()
    theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data) + 1, data))
    response = HTTPResponse(ours)
    ours.close()
    response.begin()
    recorder.http_call.begin_attempt("POST", CHAT)
    body = recorder.http_call.begin_response(200, [], "1.1")
    response.fp = TappedFile(response.fp, body, response.length)
    return response, theirs, body


@pytest.mark.usefixtures("collector_off")
def test_a_response_that_nobody_holds_goes_at_once(recorder):
    """Its connection is closed by that, though it was not read to its end."""
    response, theirs, body = respond(recorder, BODY)
    wrapper = urllib3.HTTPResponse(response, preload_content=False)
    del response
    assert BODY[:3] == wrapper.read(3)
    gone = weakref.ref(wrapper)
    del wrapper
    theirs.settimeout(5)
    assert (None, b"", "dropped") == (gone(), theirs.recv(1), body.outcome)
    theirs.close()


@pytest.mark.usefixtures("collector_off")
def test_closing_keeps_nothing_of_the_programs(recorder):
    """Its function may go on for long."""
    response, theirs, body = respond(recorder, BODY)
    held = Kept()
    gone = weakref.ref(held)
    response.close()
    del held
    assert (None, "closed") == (gone(), body.outcome)
    theirs.close()
