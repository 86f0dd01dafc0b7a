"""Attribute names follow the conventions, and each has one constant and a description."""

import re
from collections import Counter

import pytest
from opentelemetry.sdk import resources
from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    url_attributes,
)

from lupis_instrument import _semconv

NAMES = {
    name: value
    for name, value in vars(_semconv).items()
    if name.isupper() and isinstance(value, str)
}
STABLE = {
    name: value
    for module in (
        error_attributes,
        http_attributes,
        network_attributes,
        server_attributes,
        url_attributes,
    )
    for name, value in vars(module).items()
    if isinstance(value, str) and name.isupper()
}


def test_no_name_has_two_constants():
    """Two constants for one name could drift apart."""
    assert [] == [name for name, count in Counter(NAMES.values()).items() if count > 1]


@pytest.mark.parametrize("name", sorted(set(STABLE) & set(NAMES)))
def test_stable_names_follow_the_conventions(name):
    """OpenTelemetry's package of conventions has the same values."""
    assert STABLE[name] == NAMES[name]


@pytest.mark.parametrize(
    "name",
    [
        "PROCESS_PID",
        "SERVICE_NAME",
        "SERVICE_VERSION",
        "TELEMETRY_SDK_LANGUAGE",
        "TELEMETRY_SDK_NAME",
        "TELEMETRY_SDK_VERSION",
    ],
)
def test_resource_names_follow_the_sdk(name):
    """OpenTelemetry's SDK has the same values."""
    assert getattr(resources, name) == NAMES[name]


def test_own_names_have_the_prefix():
    """Each attribute that no convention defines begins with `lupis.`."""
    own_names = [value for name, value in NAMES.items() if name.startswith("LUPIS_")]
    assert [] == [value for value in own_names if not value.startswith("lupis.")]


def test_table_has_every_attribute():
    """Each attribute has one line with a description; headers and variables have none."""
    lines = _semconv.format_attributes_table().splitlines()[2:]
    keys = [re.match(r"\| `([^`]+?)…?` \| \S.* \|$", line)[1] for line in lines]
    no_attributes = {"lupis.attempt", "openinference.span.kind"}
    assert {value for value in NAMES.values() if "." in value} - no_attributes == set(keys)
    assert len(set(keys)) == len(keys)
