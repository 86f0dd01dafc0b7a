"""Recorded exchanges, sent by real clients over TLS, are recorded once and change nothing."""

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

CORPUS = exchanges.find()
pytestmark = pytest.mark.skipif(
    CORPUS is None, reason=f"{exchanges.VARIABLE} doesn't say where recorded exchanges are"
)
EXACT = 0.99
MODULES = {name: name.replace("-async", "") for name in drive.CLIENTS}
EVERY_WAY = "LUPIS_TEST_CORPUS_WAYS"
"""Set to `all`, this variable asks for the whole matrix, which takes an hour."""
WAYS = (
    list(itertools.product((0, 17, 1), ("identity", *replay.ENCODERS)))
    if os.environ.get(EVERY_WAY) == "all"
    else [(17, "gzip"), (0, "identity"), (1024, "deflate")]
)
LONGEST = 1800  # seconds for one client to read all; one byte a chunk takes it minutes


@pytest.fixture(scope="module")
def recordings():
    return exchanges.load(CORPUS)


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: f"{way[1]}-{way[0] or 'whole'}")
def proxy(recordings, request, tmp_path_factory):
    chunk, encoding = request.param
    folder = tmp_path_factory.mktemp("replay")
    by_id = {exchange.id: exchange for exchange in recordings}
    with replay.replaying(by_id, folder, chunk=chunk, encoding=encoding) as place:
        yield {
            "HTTPS_PROXY": place.url,
            "SSL_CERT_FILE": place.ca_file,
            "REQUESTS_CA_BUNDLE": place.ca_file,
            "DRIVE_ENCODING": encoding,
            "DRIVE_CHUNK": str(chunk or ""),
            "LUPIS_CAPTURE_HEADERS": "x-replay-id",
            "OTEL_BSP_MAX_QUEUE_SIZE": "10000",
        }


def plan(recordings, file):
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


@pytest.mark.parametrize("client", drive.CLIENTS)
def test_each_exchange_is_one_exact_span_and_the_program_reads_the_same(
    client, recordings, proxy, run, tmp_path, capsys
):
    """One span an exchange, every body as recorded, and usage as the provider reported it."""
    if importlib.util.find_spec(MODULES[client]) is None:
        pytest.skip(f"{MODULES[client]} is not installed")
    sent = plan(recordings, tmp_path / "plan.jsonl")
    done = run(Path(drive.__file__), client, sent, env=proxy, timeout=LONGEST)

    seen = [json.loads(line) for line in done.stdout.splitlines()]
    bodies = {each["id"]: each.get("sha", each.get("error")) for each in seen}
    assert {each.id: hashlib.sha256(each.body).hexdigest() for each in recordings} == bodies

    spans = {span["attributes"]["http.request.header.x-replay-id"][0]: span for span in done.spans}
    assert Counter(each.id for each in recordings) == Counter(
        span["attributes"]["http.request.header.x-replay-id"][0] for span in done.spans
    )

    differences = [
        exchanges.find_differences(each, exchanges.read_span(spans[each.id]["attributes"]))
        for each in recordings
    ]
    results = list(zip(recordings, map(operator.not_, differences)))
    with capsys.disabled():
        way = f"{client}, {proxy['DRIVE_ENCODING']}, chunks of {proxy['DRIVE_CHUNK'] or 'any'}"
        print(f"\n{way}\n{exchanges.format_table(results)}")
    assert EXACT <= sum(exact for _, exact in results) / len(results)
