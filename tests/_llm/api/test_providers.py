"""Providers of hosts."""

from __future__ import annotations

import pytest

from lupis_instrument._llm.api.operations import KNOWN, LIKELY
from lupis_instrument._llm.api.providers import (
    API_PROVIDERS,
    GATEWAYS,
    PROVIDER_ALIASES,
    PROVIDERS,
    SHARED_HOST_PROVIDERS,
    Provider,
    find_provider,
)

NAMES = {provider.name for provider in PROVIDERS.values()}


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", Provider("openai", KNOWN)),
        ("eu.api.openai.com", Provider("openai", KNOWN)),
        ("corp.openai.azure.com", Provider("azure.ai.openai", KNOWN)),
        ("us-east5-aiplatform.googleapis.com", Provider("gcp.vertex_ai", LIKELY)),
        ("generativelanguage.googleapis.com", Provider("gcp.gemini", KNOWN)),
        ("x.cognitiveservices.azure.com", Provider("azure.ai.openai", LIKELY)),
        ("bedrock-runtime.us-east-1.amazonaws.com", Provider("aws.bedrock", KNOWN)),
        ("vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com", Provider("aws.bedrock", KNOWN)),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", Provider("aws.bedrock", KNOWN)),
        ("bedrock-mantle.us-east-1.api.aws", Provider("aws.bedrock", KNOWN)),
        ("runtime.sagemaker.us-east-1.amazonaws.com", Provider("aws.sagemaker", KNOWN)),
    ],
)
def test_host_has_a_provider(host, provider):
    """A host belongs to a provider by its name, its domain or a label of Amazon's."""
    assert provider == find_provider(host)


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "openai.com",
        "api.openai.com.example.com",
        "notapi.openai.com",
        "s3.amazonaws.com",
        "bedrock-runtime.example.com",
        "localhost",
        "10.0.0.1",
        "::1",
        "",
        ".",
    ],
)
def test_other_host_has_no_provider(host):
    """A host that only resembles a provider's host has no provider."""
    assert find_provider(host) is None


def test_each_row_is_found():
    """Each row is found by its own host, or by a host below its domain."""
    names = {host: f"x{host}" if host.startswith(".") else host for host in PROVIDERS}
    expected = {name: PROVIDERS[host] for host, name in names.items() if "." in host}
    assert expected == {name: find_provider(name) for name in expected}


def test_hosts_are_in_lower_case():
    """All hosts of the table are in lower case, as lookups expect."""
    assert all(host == host.lower() for host in PROVIDERS)


@pytest.mark.parametrize(
    "names",
    [GATEWAYS, {provider for provider, _ in SHARED_HOST_PROVIDERS}],
    ids=["gateways", "shared hosts"],
)
def test_tables_name_known_providers(names):
    """Gateways and shared hosts are providers of the table of hosts."""
    assert names <= NAMES


def test_aliases_name_known_providers():
    """An alias leads to a provider's name that is no alias itself."""
    assert set(PROVIDER_ALIASES.values()) <= NAMES | set(API_PROVIDERS.values())
    assert not set(PROVIDER_ALIASES.values()) & set(PROVIDER_ALIASES)
