"""What our client does on the wire when it meets a server of each kind, lenient and strict."""

from __future__ import annotations

import pytest
from draft_kinds import OURS, OURS_STRICT, REQUIREMENTS_NOT_MET, SERVERS, Kind
from draft_rules import expected
from scripted_peer import MakePeer, ScriptedPeer

from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError

KINDS = pytest.mark.parametrize("kind", SERVERS, ids=str)
STRICT = pytest.mark.parametrize("us", [OURS, OURS_STRICT], ids=str)


@STRICT
@KINDS
def test_the_request(our_client: MakePeer, kind: Kind, us: Kind) -> None:
    outcome = expected(us, kind)
    peer = our_client(kind, strict=us.is_strict)
    if outcome.closed_with is not None:
        assert peer.closed == REQUIREMENTS_NOT_MET
        assert peer.names() == ["ConnectionClosed"]
        with pytest.raises(SessionError):
            peer.open_session()
        return
    assert peer.engine.draft == outcome.client
    session = peer.engine.open_session(authority="localhost", path="/x", headers={}, protocols=["a"])
    fields = [
        (b":method", b"CONNECT"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", b"/x"),
        (b":protocol", outcome.token.encode()),
    ]
    if outcome.has_version:
        fields.append((b"sec-webtransport-http3-draft02", b"1"))
    fields.append((b"wt-available-protocols", b'"a"'))
    assert peer.fields(session.stream_id) == fields
    # A server of draft-02 should answer the version field; hardly any does.
    peer.send(session.stream_id, peer.response())
    assert session.is_open
    assert session.flow.send.enabled == outcome.flow_control


@pytest.mark.parametrize("number", [2, 7, 1 << 40])
@STRICT
def test_a_server_may_not_enable_draft_16_with_any_number(our_client: MakePeer, number: int, us: Kind) -> None:
    """Draft-15 allowed it; "a client MUST treat a value greater than 1 as H3_SETTINGS_ERROR" (3.1)."""
    kind = Kind(name="draft-15", server={0x08: 1, 0x33: 1, 0x2C7CF000: number})
    assert our_client(kind, strict=us.is_strict).closed == ErrorCodes.H3_SETTINGS_ERROR


def test_nothing_is_asked_before_the_settings() -> None:
    peer = ScriptedPeer(is_client=True, settings=None)
    with pytest.raises(SessionError, match="not ready"):
        peer.engine.open_session(authority="localhost", path="/", headers={})
    assert 0 not in peer.port.streams
