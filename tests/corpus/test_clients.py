"""Recorded exchanges, sent by real clients over TLS, have one span each and do not change."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import operator
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import drive
import exchanges
from servers import replay
from servers.slow import slow_except

CORPUS = exchanges.find_recordings()
pytestmark = pytest.mark.skipif(
    CORPUS is None, reason=f"{exchanges.VARIABLE} does not name a file of recorded exchanges"
)
EXACT = 0.99
MODULES = {name: name.replace("-async", "") for name in drive.CLIENTS}
MODES_VARIABLE = "LUPIS_TEST_CORPUS_WAYS"
"""The value `all` selects the whole matrix, which takes an hour."""
MODES = (
    list(itertools.product((0, 17, 1), ("identity", *replay.ENCODERS)))
    if os.environ.get(MODES_VARIABLE) == "all"
    else [(17, "gzip"), (0, "identity"), (1024, "deflate")]
)
MAX_SECONDS = 1800  # for one client to read all; chunks of one byte take minutes


@pytest.fixture(scope="module")
def recordings():
    return exchanges.load_recordings(CORPUS)


@pytest.fixture(scope="module")
def proxy(recordings, request, tmp_path_factory):
    chunk, encoding = request.param
    folder = tmp_path_factory.mktemp("replay")
    by_id = {exchange.id: exchange for exchange in recordings}
    with replay.replaying(by_id, folder, chunk=chunk, encoding=encoding) as server:
        yield {
            "HTTPS_PROXY": server.url,
            "SSL_CERT_FILE": server.ca_file,
            "REQUESTS_CA_BUNDLE": server.ca_file,
            "DRIVE_ENCODING": encoding,
            "DRIVE_CHUNK": str(chunk or ""),
            "LUPIS_CAPTURE_HEADERS": "x-replay-id",
            "OTEL_BSP_MAX_QUEUE_SIZE": "10000",
        }


def write_plan(recordings, file):
    lines = [
        {
            "id": exchange.id,
            "method": exchange.method,
            "url": f"https://{exchange.host}:{exchange.port}{exchange.path}",
            "headers": {"x-replay-id": exchange.id, "content-type": "application/json"},
            "body": exchange.request_body.decode(),
        }
        for exchange in recordings
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(file)


def name_mode(value):
    """Returns the id of a mode; a client is its own id."""
    return None if isinstance(value, str) else f"{value[1]}-{value[0] or 'whole'}"


def list_pairs():
    """Returns pairs of mode and client; a fast one for each client, and all modes among them."""
    fast = {(MODES[n % len(MODES)], client) for n, client in enumerate(drive.CLIENTS)}
    return slow_except(fast, itertools.product(MODES, drive.CLIENTS))


@pytest.mark.parametrize(("proxy", "client"), list_pairs(), indirect=["proxy"], ids=name_mode)
def test_each_exchange_is_one_exact_span_and_the_program_reads_the_same(
    client, recordings, proxy, run, tmp_path, capsys
):
    """Each exchange has one span with the reported usage, and the program reads the same body."""
    if importlib.util.find_spec(MODULES[client]) is None:
        pytest.skip(f"{MODULES[client]} is not installed")
    plan = write_plan(recordings, tmp_path / "plan.jsonl")
    done = run(Path(drive.__file__), client, plan, env=proxy, timeout=MAX_SECONDS)

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    bodies = {row["id"]: row.get("sha", row.get("error")) for row in rows}
    assert {
        exchange.id: hashlib.sha256(exchange.body).hexdigest() for exchange in recordings
    } == bodies

    spans = {span["attributes"]["http.request.header.x-replay-id"][0]: span for span in done.spans}
    assert Counter(exchange.id for exchange in recordings) == Counter(
        span["attributes"]["http.request.header.x-replay-id"][0] for span in done.spans
    )

    differences = [
        exchanges.find_differences(exchange, exchanges.read_span(spans[exchange.id]["attributes"]))
        for exchange in recordings
    ]
    results = list(zip(recordings, map(operator.not_, differences)))
    with capsys.disabled():
        mode = f"{client}, {proxy['DRIVE_ENCODING']}, chunks of {proxy['DRIVE_CHUNK'] or 'any'}"
        print(f"\n{mode}\n{exchanges.format_table(results)}")
    assert EXACT <= sum(exact for _, exact in results) / len(results)
