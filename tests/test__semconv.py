"""Attribute names are those of the conventions, each once."""

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


def test_each_name_is_there_once():
    """Two constants for one name would drift apart."""
    assert [] == [name for name, count in Counter(NAMES.values()).items() if count > 1]


@pytest.mark.parametrize("name", sorted(set(STABLE) & set(NAMES)))
def test_stable_names_are_the_conventions(name):
    """As the conventions' own package has them."""
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
def test_resource_names_are_the_sdks(name):
    """As the SDK has them."""
    assert getattr(resources, name) == NAMES[name]


def test_names_of_ours_say_so():
    """What no convention has stands in our own namespace."""
    ours = {value for name, value in NAMES.items() if name.startswith("LUPIS_")}
    assert {True} == {value.startswith("lupis.") for value in ours}
