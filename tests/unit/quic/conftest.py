"""What the QUIC tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from port_pair import PortPair
from quic_twins import TWINS, use


@pytest.fixture
def make_pair(certificate) -> Callable[..., PortPair]:
    """Return a maker of pairs of ports; what it makes is not connected yet."""
    return lambda **kwargs: PortPair(tuple(certificate), **kwargs)


@pytest.fixture
def pair(make_pair) -> PortPair:
    """Return a connected pair over a network without faults."""
    return make_pair().connect()


@pytest.fixture(params=TWINS, scope="module")
def quic_twin(request: pytest.FixtureRequest) -> str:
    """Let the tests that use this run on both twins of the streams; `quic_twins.current` is the one at hand."""
    use(request.param)
    return request.param
