"""`lupis prices --update`: fetches, checks and stores newer prices."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner

from lupis_instrument._cli.lupis import price_update
from lupis_instrument._cli.lupis.commands import lupis

SOURCE = json.dumps(
    [
        {
            "id": "house",
            "name": "House",
            "api_pattern": "https://house",
            "models": [
                {"id": "house-1", "match": {"equals": "house-1"}, "prices": {"input_mtok": 7}}
            ],
        }
    ]
).encode()
DIGEST = base64.b64encode(hashlib.sha256(SOURCE).digest()).decode()


@pytest.fixture
def update(tmp_path):
    """Runs `lupis prices --update`; returns exit code and output."""

    def run(*arguments):
        environ = {"LUPIS_DATA_DIR": str(tmp_path / "data"), "LUPIS_PRICES_FILE": None}
        done = CliRunner().invoke(lupis, ["prices", *arguments], env=environ)
        return done.exit_code, done.output

    return run


@pytest.fixture
def serve():
    """Starts a server that answers with these headers and the source; returns its URL."""
    servers = []

    def start(**headers):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("content-length", str(len(SOURCE)))
                self.end_headers()
                self.wfile.write(SOURCE)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/data.json"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_file_is_stored_and_used(update, tmp_path):
    """The next command shows the newer prices."""
    source = tmp_path / "data.json"
    source.write_bytes(SOURCE)
    code, output = update("--update", "--from", str(source))
    assert (0, True) == (code, "models, stored in" in output)
    code, output = update("house-1")
    assert 0 == code
    assert "house-1" in output


def test_url_is_fetched(update, serve):
    """The digest that the server sends is checked."""
    code, output = update("--update", "--from", serve(content_digest=f"sha-256=:{DIGEST}:"))
    assert 0 == code, output


def test_other_digest_is_refused(update, serve, tmp_path):
    """Nothing is stored."""
    url = serve(content_digest="sha-256=:AAAA:")
    code, output = update("--update", "--from", url)
    assert 1 == code
    assert "the prices remain as they are" in output
    assert "the checksum differs" in output
    assert not (tmp_path / "data").exists()


def test_plain_http_is_refused(update):
    """Prices come by https only, but from this machine."""
    code, output = update("--update", "--from", "http://example.com/data.json")
    assert (1, True) == (code, "only https is allowed" in output)


def test_refused_data_leaves_the_prices(update, tmp_path):
    """The catalog that was stored before is still there."""
    source = tmp_path / "data.json"
    source.write_bytes(SOURCE)
    assert 0 == update("--update", "--from", str(source))[0]
    source.write_bytes(b"[]x")
    assert 1 == update("--update", "--from", str(source))[0]
    assert 0 == update("house-1")[0]


def test_long_data_is_refused(update, tmp_path, monkeypatch):
    """The limit is far above the size of the data."""
    monkeypatch.setattr(price_update, "_MAX_BYTES", 10)
    source = tmp_path / "data.json"
    source.write_bytes(SOURCE)
    code, output = update("--update", "--from", str(source))
    assert (1, True) == (code, "more than 0 MiB" in output)


def test_source_needs_the_update(update):
    """The option alone would do nothing."""
    code, output = update("--from", "x")
    assert (2, True) == (code, "--from needs --update" in output)
