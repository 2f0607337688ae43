"""An engine of ours on a port in memory, and a peer of some kind that a test plays by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from draft_kinds import SESSIONS, Kind
from scripted_peer import ScriptedPeer

MakePeer: TypeAlias = Callable[..., ScriptedPeer]


def meet(peer: ScriptedPeer, kind: Kind) -> ScriptedPeer:
    """Let the SETTINGS and the transport parameters of a kind arrive."""
    peer.port.remote_has_reset_stream_at = bool(kind.resets)  # we know both
    peer.port.remote_max_datagram_frame_size = 65535 if kind.has_datagrams else 0
    peer.send_settings((kind.server if peer.port.is_client else kind.client) or {})
    return peer


@pytest.fixture
def our_server(certificate: Any) -> MakePeer:
    """Return a maker of server engines, each with a scripted client of a kind."""

    def make(kind: Kind, *, strict: bool = False) -> ScriptedPeer:
        peer = ScriptedPeer(tuple(certificate), is_client=False, settings=None, strict=strict, max_sessions=SESSIONS)
        return meet(peer, kind)

    return make


@pytest.fixture
def our_client() -> MakePeer:
    """Return a maker of client engines, each with a scripted server of a kind."""
    return lambda kind, strict=False: meet(ScriptedPeer(is_client=True, settings=None, strict=strict), kind)
