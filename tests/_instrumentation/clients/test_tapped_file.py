"""The stand-in for the file of a response behaves like the file, and records the body."""

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
    """A connection that returns its bytes in pieces, and then closes or fails."""

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
    """Return a buffered file, like the one that a connection's `makefile` returns."""
    return io.BufferedReader(Source(data, **options))


@pytest.fixture
def tap(recorder):
    """Taps a file, whose body is recorded."""

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


@pytest.mark.parametrize("kind", READS)
@pytest.mark.parametrize("length", [None, len(BODY)])
def test_body_is_recorded_to_its_end(tap, recorder, kind, length):
    """Every kind of read records each byte once."""
    with tap(file_of(BODY), length=length) as file:
        assert BODY == READS[kind](file)
    assert (BODY, "complete") == recorder.recorded_body


def test_body_is_read_into_a_buffer(tap, recorder):
    """The buffer may have items of any size."""
    file = tap(file_of(BODY[:16]), length=16)
    buffer = memoryview(bytearray(16)).cast("I")
    assert (16, BODY[:16]) == (file.readinto(buffer), buffer.tobytes())
    file.close()
    assert (BODY[:16], "complete") == recorder.recorded_body


def test_bytes_after_the_body_are_not_recorded(tap, recorder):
    """They belong to the next response."""
    file = tap(file_of(BODY + b"HTTP/1.1"), length=len(BODY))
    assert BODY + b"HTTP/1.1" == file.read()
    assert (BODY, "complete") == recorder.recorded_body


@pytest.mark.parametrize("kind", READS)
def test_truncated_body_is_an_error(tap, recorder, kind):
    """Every kind of read notices the missing bytes."""
    READS[kind](tap(file_of(BODY), length=len(BODY) + 1))
    assert (BODY, "error") == recorder.recorded_body
    assert "IncompleteRead" == recorder.body.error_type


@pytest.mark.parametrize("kind", READS)
def test_read_of_no_bytes_does_not_end_the_body(tap, recorder, kind):
    """A read for zero bytes returns nothing before the end, too."""
    file = tap(file_of(BODY), length=len(BODY))
    assert (b"", b"", b"") == (file.read(0), file.read1(0), file.readline(0))
    assert 0 == file.readinto(bytearray())
    assert (b"", None) == recorder.recorded_body


@pytest.mark.parametrize("error", [TimeoutError("slow"), ConnectionResetError("gone")])
def test_error_of_the_connection_reaches_the_program(tap, recorder, error):
    """It is the same exception, and it ends the body."""
    file = tap(file_of(b"12345", error=error), length=99)
    with pytest.raises(type(error)) as raised:
        file.read()
    file.close()
    assert error is raised.value
    assert type(error).__name__ == recorder.body.error_type


def test_interrupted_read_can_be_continued(tap, recorder):
    """The interrupt is the program's, and the connection has not failed."""
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
def test_closing_before_the_end_closes_the_body(tap, recorder, close):
    """The file is closed as well."""
    file = file_of(BODY)
    tapped = tap(file, length=len(BODY))
    tapped.read(3)
    close(tapped)
    assert (BODY[:3], "closed", True) == (*recorder.recorded_body, file.closed)


def test_closing_after_the_end_leaves_the_body_complete(tap, recorder):
    """The outcome of a body is set once."""
    with tap(file_of(BODY)) as file:
        file.read()
    assert (BODY, "complete") == recorder.recorded_body


def test_unreferenced_file_is_dropped(tap, recorder):
    """The program has not read it."""
    tap(file_of(BODY))
    gc.collect()
    assert (b"", "dropped") == recorder.recorded_body


def test_peeked_bytes_are_not_recorded(tap, recorder):
    """The program has not read them yet."""
    with tap(file_of(BODY)) as file:
        assert BODY[:5] == file.peek(1)
    assert (b"", "closed") == recorder.recorded_body


@pytest.mark.parametrize("name", ["readable", "seekable", "isatty", "fileno"])
def test_methods_return_the_values_of_the_file(tap, name):
    """The program may call any of them."""
    with socket.socket() as connection, connection.makefile("rb") as file:
        expected = getattr(file, name)()
        assert expected == getattr(tap(file), name)()


@pytest.mark.parametrize("name", ["name", "mode", "_sock"])
def test_raw_has_the_attributes_of_the_connection(tap, name):
    """Some programs reach through the buffer for the socket."""
    with socket.socket() as connection, connection.makefile("rb") as file:
        expected = getattr(file.raw, name)
        assert expected == getattr(tap(file).raw, name)


@pytest.mark.parametrize("act", [pickle.dumps, copy.copy, copy.deepcopy])
def test_copying_fails_like_for_a_file(tap, act):
    """The error is the same."""
    file = file_of(BODY)
    with pytest.raises(TypeError) as expected:
        act(file)
    with pytest.raises(TypeError) as raised:
        act(tap(file))
    assert str(expected.value) == str(raised.value)


CHUNKED = b"6;name=value\r\n012345\r\nA\r\n0123456789\r\n0\r\nx-trailer: 1\r\n\r\n"


class Connection:
    """The part of a socket that a response needs."""

    def __init__(self, data):
        self.data = data

    def makefile(self, *_, **__):
        return file_of(self.data)


def responses(head, data, recorder):
    """Return a response that is tapped, and one that isn't."""
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


def run_step(response, name, size):
    """Return the result or the error of one step of a program."""
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
def test_any_sequence_of_reads_gives_the_same(recorder, framing, steps, cut):
    """Values, exceptions and the closing are the same with the tap and without."""
    data = (CHUNKED if framing == "chunked" else PLAIN)[:cut]
    tapped, bare = responses(HEADS[framing], data, recorder)
    for name, size in steps:
        assert run_step(bare, name, size) == run_step(tapped, name, size)
        assert bare.isclosed() == tapped.isclosed()
    assert run_step(bare, "read", None) == run_step(tapped, "read", None)


@pytest.mark.parametrize("framing", HEADS)
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_recorded_bytes_are_the_bytes_read(recorder, framing, steps):
    """Each byte is recorded once, and no framing."""
    data = CHUNKED if framing == "chunked" else PLAIN
    response, _ = responses(HEADS[framing], data, recorder)
    body = b""
    for name, size in steps:
        result = run_step(response, name, size)
        if name == "readinto":
            result = result[1][: result[0]]
        body += b"" if name == "peek" else result
    body += response.read()
    response.close()
    assert (body, "complete") == recorder.recorded_body


@pytest.mark.parametrize("size", [b"nonsense\r\n", b"", b"-5\r\n"])
def test_garbled_chunk_is_an_error(recorder, capsys, size):
    """The connection has failed, and nothing is reported on stderr."""
    data = b"2\r\n01\r\n" + size
    response, bare = responses(HEADS["chunked"], data, recorder)
    assert run_step(bare, "read", None) == run_step(response, "read", None)
    response.close()
    assert "error" == recorder.recorded_body[1]
    assert "" == capsys.readouterr().err


def test_collected_response_is_dropped(recorder):
    """`HTTPResponse` closes its file then; the program has not closed it."""
    response, _ = responses(HEADS["length"], PLAIN, recorder)
    response.read(4)
    del response
    gc.collect()
    assert (b"0123", "dropped") == recorder.recorded_body


def test_closed_response_closes_the_body(recorder):
    """The program has closed it."""
    response, _ = responses(HEADS["length"], PLAIN, recorder)
    response.close()
    assert (b"", "closed") == recorder.recorded_body


class Faulty:
    """A body whose attributes all fail."""

    def __getattr__(self, name):
        raise ZeroDivisionError


@pytest.mark.parametrize("length", [None, 5, len(BODY) + 1])
def test_fault_in_the_body_does_not_reach_the_program(length, capsys):
    """The program reads and closes the file, and two faults are reported."""
    diagnostics.reraise = False
    with TappedFile(file_of(BODY), Faulty(), length) as file:
        assert BODY == file.read()
    assert {"reading a body", "ending a body"} == {
        line.split(": ")[2].partition(" failed")[0] for line in capsys.readouterr().err.splitlines()
    }


def test_file_can_be_closed_after_its_connection(tap, recorder):
    """The garbage collector closes the members of a cycle in any order."""
    file = file_of(BODY)
    tapped = tap(file)
    file.raw.close()
    tapped.close()
    assert (True, "closed") == (tapped.closed, recorder.recorded_body[1])


def test_closing_during_a_read_fails_like_for_a_file(tap, recorder, capsys):
    """A signal handler may try to; the body does not end by that."""
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
    """An object of the program."""


@pytest.fixture
def collector_off():
    """Objects are freed only because nothing refers to them."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def respond(recorder, data):
    """Return a tapped response of http.client, the server's socket, and the body."""
    client_socket, server_socket = socket.socketpair()
    server_socket.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data) + 1, data)
    )
    response = HTTPResponse(client_socket)
    client_socket.close()
    response.begin()
    recorder.http_call.begin_attempt("POST", CHAT)
    body = recorder.http_call.begin_response(200, [], "1.1")
    response.fp = TappedFile(response.fp, body, response.length)
    return response, server_socket, body


@pytest.mark.usefixtures("collector_off")
def test_unreferenced_response_is_freed_at_once(recorder):
    """Its connection is closed by that, although the body was not read to its end."""
    response, server_socket, body = respond(recorder, BODY)
    wrapper = urllib3.HTTPResponse(response, preload_content=False)
    del response
    assert BODY[:3] == wrapper.read(3)
    gone = weakref.ref(wrapper)
    del wrapper
    server_socket.settimeout(5)
    assert (None, b"", "dropped") == (gone(), server_socket.recv(1), body.outcome)
    server_socket.close()


@pytest.mark.usefixtures("collector_off")
def test_closing_keeps_no_variable_of_the_program(recorder):
    """The function that closes the file may run for a long time."""
    response, server_socket, body = respond(recorder, BODY)
    held = Kept()
    gone = weakref.ref(held)
    response.close()
    del held
    assert (None, "closed") == (gone(), body.outcome)
    server_socket.close()
