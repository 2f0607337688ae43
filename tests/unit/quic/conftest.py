"""What the QUIC tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from port_pair import PortPair


@pytest.fixture
def make_pair(certificate) -> Callable[..., PortPair]:
    """Return a maker of pairs of ports; what it makes is not connected yet."""
    return lambda **kwargs: PortPair(tuple(certificate), **kwargs)


@pytest.fixture
def pair(make_pair) -> PortPair:
    """Return a connected pair over a network without faults."""
    return make_pair().connect()
