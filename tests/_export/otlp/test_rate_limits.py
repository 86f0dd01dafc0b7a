"""The rate limits in the headers of a response."""

import pytest

from lupis_instrument._export.otlp.rate_limits import read_limits


def headers(**values):
    """Return headers as the attributes of a span have them."""
    names = (name.replace("_", "-") for name in values)
    return {f"http.response.header.{name}": (text,) for name, text in zip(names, values.values())}


def test_limits_of_openai():
    """The part of the name comes before the kind."""
    attributes = headers(
        x_ratelimit_limit_requests="60",
        x_ratelimit_remaining_requests="59",
        x_ratelimit_reset_requests="1s",
        x_ratelimit_limit_tokens="1000",
        x_ratelimit_remaining_tokens="900",
    )
    assert "requests=59/60 tokens=900/1000" == read_limits(attributes)


def test_limits_of_anthropic():
    """The part of the name comes after the kind."""
    attributes = headers(
        anthropic_ratelimit_input_tokens_limit="1000",
        anthropic_ratelimit_input_tokens_remaining="20",
        anthropic_ratelimit_input_tokens_reset="2026-12-01T00:00:00Z",
    )
    assert "input-tokens=20/1000" == read_limits(attributes)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        headers(x_ratelimit_limit_requests="60"),
        headers(x_ratelimit_limit_requests="many", x_ratelimit_remaining_requests="few"),
        headers(x_ratelimit_limit="60", x_ratelimit_remaining="5"),
        {"http.response.header.x-ratelimit-limit-requests": 5},
    ],
)
def test_other_headers_report_no_limits(attributes):
    """A server may send anything."""
    assert read_limits(attributes) is None
