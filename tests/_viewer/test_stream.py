"""Open pages hear of changes by server-sent events."""

import json
from http.client import HTTPConnection

import pytest
from servers.recorded import StoreFiller
from servers.viewer import serve

from lupis_instrument._viewer import stream


@pytest.fixture
def events(tmp_path):
    """A function that returns the data of the next event of an open stream."""
    with serve(tmp_path / "store.db") as browser:
        browser.open()
        connection = HTTPConnection("127.0.0.1", browser.server.port, timeout=60)
        connection.request("GET", "/api/stream", headers={"Cookie": browser.cookie})
        response = connection.getresponse()
        assert "text/event-stream" == response.getheader("Content-Type")

        def read_event():
            while True:
                line = response.readline()
                assert line, "the stream has ended"
                if line.startswith(b"data: "):
                    return json.loads(line[len(b"data: ") :])

        yield read_event
        connection.close()


def test_stream_tells_each_change_of_the_store(events, tmp_path):
    """The first event comes at once, the next one within a second after a call has ended."""
    assert stream._POLL_SECONDS <= 1
    assert {"last_change": 0} == events()
    filler = StoreFiller(tmp_path)
    for number in (1, 2):
        filler.call()
        while events()["last_change"] < number:
            pass
