"""Engines for the tests of the protocol: one with a peer played by hand, or two that talk to each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from engine_pair import EnginePair
from scripted_peer import MakePeer, ScriptedPeer


@pytest.fixture
def server(certificate: Any) -> MakePeer:
    """Return a maker of server engines, each with a scripted client."""
    return lambda **options: ScriptedPeer(tuple(certificate), is_client=False, **options)


@pytest.fixture
def client() -> MakePeer:
    """Return a maker of client engines, each with a scripted server."""
    return lambda **options: ScriptedPeer(is_client=True, **options)


@pytest.fixture(params=["server", "client"])
def engine(request: pytest.FixtureRequest) -> MakePeer:
    """Return a maker of engines, in a test that runs for both roles."""
    maker: MakePeer = request.getfixturevalue(request.param)
    return maker


@pytest.fixture
def pair(certificate: Any) -> Callable[..., EnginePair]:
    """Return a maker of engine pairs, connected."""

    def make(**options: Any) -> EnginePair:
        ends = EnginePair(tuple(certificate), **options)
        ends.connect()
        return ends

    return make
