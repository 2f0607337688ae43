"""What the adapter's tests share."""

import socket

import pytest
from listener_rig import ListenerRig


@pytest.fixture
def has_ipv6():
    """Leave out a test on a host without IPv6: there is nothing to test."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("this host has no IPv6")


@pytest.fixture
def make_rig():
    """Make listeners with settings of a test's own."""
    rigs = []

    def make(settings=None) -> ListenerRig:
        rigs.append(ListenerRig(settings))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.loop.close()
