"""What the adapter's tests share."""

import socket

import pytest


@pytest.fixture
def has_ipv6():
    """Leave out a test on a host without IPv6: there is nothing to test."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("this host has no IPv6")
