"""A viewer over a store, in this process, and a client of it."""

import http.client
import json
import threading
from contextlib import contextmanager, suppress

from lupis_instrument._viewer.server import ViewerServer
from lupis_instrument._viewer.viewer import Viewer


class Answer:
    """A response that has been read."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Browser:
    """Sends requests to a viewer, with its cookie once the page is open."""

    def __init__(self, server):
        self.server = server
        self.host = f"127.0.0.1:{server.port}"
        self.cookie = None

    def request(self, method, path, body=None, **headers):
        """Sends a request; the names of headers have underscores for hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            fields = {"Host": self.host, **({"Cookie": self.cookie} if self.cookie else {})}
            fields.update((name.replace("_", "-"), value) for name, value in headers.items())
            connection.request(method, path, body, fields)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def open(self, token=None):
        """Opens the page with a token."""
        token = token or self.server.viewer.sessions.make_token()
        answer = self.get(f"/?token={token}")
        cookie = answer.headers.get("Set-Cookie")
        self.cookie = cookie.partition(";")[0] if cookie else self.cookie
        return answer

    def ask(self, path):
        """Returns the JSON of a question."""
        answer = self.get(path)
        assert 200 == answer.status, answer.body
        return answer.json

    def send_raw(self, data):
        """Sends bytes and returns all that comes back."""
        import socket

        with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as connection:
            connection.sendall(data)
            with suppress(OSError):  # the server has refused the request and closed already
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def serve(path, *, has_pages=True, **options):
    """Serves a store at a free port until the end of the block."""
    viewer = Viewer(path, **options)
    server = ViewerServer(viewer, 0, has_pages=has_pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Browser(server)
    finally:
        server.shutdown()
        thread.join()
        viewer.close()
        server.server_close()
