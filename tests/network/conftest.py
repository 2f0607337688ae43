"""What the tests of bad networks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from engine_pair import EnginePair
from port_pair import PortPair


@pytest.fixture
def make_pair(certificate: Any) -> Callable[..., EnginePair]:
    """Return a maker of pairs of engines, in virtual time; what it makes is not connected yet."""
    return lambda **options: EnginePair(tuple(certificate), **options)


@pytest.fixture
def make_ports(certificate: Any) -> Callable[..., PortPair]:
    """Return a maker of pairs of QUIC ports, in virtual time; what it makes is not connected yet."""
    return lambda **options: PortPair(tuple(certificate), **options)
