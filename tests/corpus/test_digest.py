"""Recorded exchanges are read exactly: whole and in pieces, plain and compressed."""

from __future__ import annotations

import gzip
import operator
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import exchanges

from lupis_instrument._llm.api.endpoints import identify_endpoint
from lupis_instrument._llm.body.body_reader import BodyReader
from lupis_instrument._llm.body.digest import digest_call, parse_request_body
from lupis_instrument._llm.usage.facts import Facts
from lupis_instrument._llm.usage.usage import Usage

CORPUS = exchanges.find_recordings()
pytestmark = pytest.mark.skipif(
    CORPUS is None, reason=f"{exchanges.VARIABLE} does not name a file of recorded exchanges"
)
EXACT = 0.995


@pytest.fixture(scope="module")
def recordings():
    return exchanges.load_recordings(CORPUS)


def read_facts(exchange, cut, encoding):
    headers = {
        name: value for name, value in exchange.headers.items() if name != "content-encoding"
    }
    body = exchange.body
    if encoding == "gzip":
        body = gzip.compress(body)
        headers["content-encoding"] = "gzip"
    elif encoding == "decoded":  # clients decode the body and keep the header
        headers["content-encoding"] = "gzip"
    endpoint = identify_endpoint(exchange.method, exchange.host, exchange.port, exchange.path)
    if endpoint is None:
        return Facts()
    reader = BodyReader(endpoint, headers.get("content-type"), headers.get("content-encoding"))
    for start in range(0, len(body), cut or len(body) or 1):
        reader.feed(body[start : start + (cut or len(body))])
    reader.finish()
    return digest_call(
        endpoint,
        path=exchange.path,
        request=parse_request_body(exchange.request_body),
        status=exchange.status,
        headers=headers,
        body=reader,
    )


def describe_facts(facts):
    usage = facts.usage or Usage()
    return {
        "model": facts.response_model,
        "input_tokens_total": usage.input_tokens,
        **{name: getattr(usage, name) for name in exchanges.TOKENS if name != "input_tokens_total"},
    }


@pytest.mark.parametrize("encoding", ["identity", "gzip", "decoded"])
@pytest.mark.parametrize("cut", [0, 1, 17])
def test_usage_and_model_are_exact(recordings, cut, encoding, capsys):
    """The result is the reported usage, however the body arrives."""
    differences = [
        exchanges.find_differences(exchange, describe_facts(read_facts(exchange, cut, encoding)))
        for exchange in recordings
    ]
    table = exchanges.format_table(zip(recordings, map(operator.not_, differences)))
    with capsys.disabled():
        whole = (cut, encoding) == (0, "identity")
        print(f"\n{encoding}, cut at {cut}", table if whole else table.splitlines()[-1], sep="\n")
        for exchange, difference in zip(recordings, differences):
            if difference:
                print(exchange.id, exchange.provider, exchange.api_flavor, difference)
    assert EXACT <= differences.count({}) / len(differences)


def test_requested_model_is_read(recordings):
    """It is in the body or in the path of the request."""
    wrong = {
        exchange.id: (exchange.request_model, model)
        for exchange in recordings
        for model in [read_facts(exchange, 0, "identity").request_model]
        if exchange.request_model
        and model != exchange.request_model
        and identify_endpoint(exchange.method, exchange.host, exchange.port, exchange.path)
        and len(exchange.request_body) < 3900  # recordings cut longer bodies
    }
    assert {} == wrong


def test_failed_calls_use_no_tokens(recordings):
    """A response with an error status reports no usage."""
    used = [
        exchange.id
        for exchange in recordings
        if exchange.status >= 400 and read_facts(exchange, 0, "identity").usage
    ]
    assert [] == used


def test_no_message_text_is_read(recordings):
    """Facts have only short words and numbers."""
    for exchange in recordings:
        facts = read_facts(exchange, 0, "identity")
        words = (*facts.finish_reasons, facts.error_type or "", facts.service_tier or "")
        assert all(len(word) <= 64 and " " not in word for word in words), exchange.id
