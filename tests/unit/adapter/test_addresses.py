"""Socket addresses as programs see them, and resolving."""

import asyncio
import socket

import pytest

from wtransport._adapter.addresses import is_wildcard, resolve, source_towards, to_address


@pytest.mark.parametrize(
    ("sockaddr", "expected"),
    [
        (("127.0.0.1", 443), ("127.0.0.1", 443)),
        (("::1", 443, 0, 0), ("::1", 443)),
        (("::ffff:192.0.2.7", 5000, 0, 0), ("192.0.2.7", 5000)),
        (("::ffff:0:0", 5000, 0, 0), ("::ffff:0:0", 5000)),
        (("fe80::1%eth0", 5000, 7, 2), ("fe80::1", 5000)),
        (None, None),
        ("", None),
        ("/run/socket", None),
        ((), None),
    ],
)
def test_programs_see_host_and_port(sockaddr, expected):
    assert to_address(sockaddr) == expected


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_wildcards(host):
    assert is_wildcard((host, 1))
    assert not is_wildcard(("127.0.0.1", 1))


async def no_lookup(*args, **kwargs):
    raise AssertionError("a numeric address was looked up")


@pytest.mark.parametrize(
    ("host", "family", "sockaddr"),
    [
        ("127.0.0.1", socket.AF_INET, ("127.0.0.1", 4433)),
        ("::1", socket.AF_INET6, ("::1", 4433, 0, 0)),
        ("[::1]", socket.AF_INET6, ("::1", 4433, 0, 0)),
    ],
)
async def test_a_numeric_address_needs_no_thread(monkeypatch, host, family, sockaddr):
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_lookup)
    assert await resolve(host=host, port=4433) == [(family, sockaddr)]


async def test_a_name_gives_each_address_once():
    found = await resolve(host="localhost", port=4433)
    assert found
    assert len(found) == len(set(found))
    assert {endpoint.sockaddr[0] for endpoint in found} <= {"127.0.0.1", "::1"}


async def test_no_host_is_every_interface_for_a_server():
    hosts = {endpoint.sockaddr[0] for endpoint in await resolve(host="", port=0, passive=True)}
    assert hosts
    assert hosts <= {"0.0.0.0", "::"}


async def test_an_unknown_host_is_an_os_error():
    with pytest.raises(OSError):
        await resolve(host="no-such-host.invalid", port=1)


@pytest.mark.parametrize("port", [-1, 65536])
async def test_a_port_out_of_range_is_refused(port):
    with pytest.raises(OverflowError, match="0-65535"):
        await resolve(host="127.0.0.1", port=port)


def test_the_source_towards_loopback_is_loopback():
    assert source_towards(("127.0.0.1", 9), 4433) == ("127.0.0.1", 4433)


def test_the_source_towards_an_ipv4_peer_of_a_dual_stack_socket(has_ipv6):
    assert source_towards(("::ffff:127.0.0.1", 9, 0, 0), 4433) == ("127.0.0.1", 4433)


def test_without_a_route_the_source_is_not_known():
    assert source_towards(("255.255.255.255", 9), 4433) is None
