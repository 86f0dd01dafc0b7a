"""Classification of hosts, and the rules for hosts that may receive trace headers."""

import pytest

from lupis_instrument._llm.api.addresses import is_allowed_host, is_loopback, is_private

LOOPBACK = ("localhost", "app.localhost", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1")
PRIVATE = (
    "10.0.0.1",
    "172.16.0.9",
    "192.168.1.1",
    "169.254.169.254",
    "fd00::1",
    "fe80::1",
    "::ffff:10.0.0.1",
    "llm",
    "vllm-gateway",
    "printer.local",
    "db.internal",
    "api.team.svc",
    "api.team.svc.cluster.local",
)
PUBLIC = (
    "api.openai.com",
    "8.8.8.8",
    "172.32.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "134744072",
    "0x8080808",
    "internal.example.com",
    "notlocalhost.com",
)


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_host_is_recognised(host):
    """This machine is recognised by name and by every address of 127/8; it is private too."""
    assert is_loopback(host)
    assert is_private(host)


@pytest.mark.parametrize("host", PRIVATE)
def test_private_host_is_recognised(host):
    """Private addresses, single labels and private suffixes are private, but not loopback."""
    assert is_private(host)
    assert not is_loopback(host)


@pytest.mark.parametrize("host", PUBLIC)
def test_public_host_is_not_private(host):
    """A public host is not private, even if its address is written in an unusual form."""
    assert not is_private(host)


def test_empty_host_is_not_private():
    """A host that is not known counts as public."""
    assert not is_private("")


@pytest.mark.parametrize(
    ("host", "allowed", "expected"),
    [
        ("10.0.0.1", ("private",), True),
        ("api.openai.com", ("private",), False),
        ("api.openai.com", ("*",), True),
        ("api.openai.com", (), False),
        ("localhost", (), False),
        ("a.corp.example", ("*.corp.example",), True),
        ("corp.example", ("*.corp.example",), False),
        ("a.corp.example", ("private", "A.Corp.Example"), True),
    ],
)
def test_rules_allow_hosts(host, allowed, expected):
    """The word private and globs in any case allow hosts; an empty list allows none."""
    assert expected is is_allowed_host(host, allowed)
