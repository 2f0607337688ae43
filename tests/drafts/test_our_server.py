"""What our server does on the wire when it meets a client of each kind, lenient and strict."""

from __future__ import annotations

import pytest
from draft_kinds import CLIENTS, OURS, OURS_STRICT, SESSIONS, Kind
from draft_rules import expected
from scripted_peer import MAX_DATA, MAX_STREAMS_UNI, MakePeer, ScriptedPeer, datagram

from wtransport.constants import ErrorCodes

KINDS = pytest.mark.parametrize("kind", CLIENTS, ids=str)
STRICT = pytest.mark.parametrize("us", [OURS, OURS_STRICT], ids=str)
VERSION = {"sec_webtransport_http3_draft02": "1"}


def ask(peer: ScriptedPeer, kind: Kind, us: Kind) -> int:
    """Send the request of a kind that takes the outcome for a session; return its stream's id."""
    outcome = expected(kind, us)
    token = outcome.token or ("webtransport-h3" if 0x2C7CF000 in (kind.client or {}) else "webtransport")
    return peer.request(token=token, **(VERSION if outcome.has_version else {}))


@STRICT
@KINDS
def test_the_answer(our_server: MakePeer, kind: Kind, us: Kind) -> None:
    outcome = expected(kind, us)
    peer = our_server(kind, strict=us.is_strict)
    stream_id = ask(peer, kind, us)
    if not outcome.opens:
        # Some of these clients would not have asked; who asks nevertheless is refused each time (3.1).
        for each in (stream_id, ask(peer, kind, us)):
            assert peer.ends(each) == (ErrorCodes.H3_MESSAGE_ERROR, ErrorCodes.H3_MESSAGE_ERROR)
        assert peer.names() == []
        assert peer.closed is None
        return
    session = peer.take_event("SessionRequested").session
    session.accept()
    fields = [(b":status", b"200")]
    if outcome.has_version:
        fields.append((b"sec-webtransport-http3-draft", b"draft02"))
    assert peer.fields(stream_id) == fields
    assert peer.engine.draft == outcome.server
    assert session.flow.send.enabled == outcome.flow_control


@STRICT
@KINDS
def test_one_session_too_many(our_server: MakePeer, kind: Kind, us: Kind) -> None:
    outcome = expected(kind, us)
    if not outcome.opens:
        return
    peer = our_server(kind, strict=us.is_strict)
    is_single = outcome.sessions == 1 and outcome.server is not None and outcome.server >= 13
    for _ in range(1 if is_single else SESSIONS):
        ask(peer, kind, us)
        peer.take_event("SessionRequested").session.accept()
    excess = ask(peer, kind, us)
    if is_single:
        assert peer.ends(excess) == (ErrorCodes.H3_REQUEST_REJECTED, ErrorCodes.H3_REQUEST_REJECTED)
    else:
        assert peer.status(excess) == 429
    assert peer.names() == []
    assert peer.closed is None


@STRICT
@KINDS
def test_the_other_token(our_server: MakePeer, kind: Kind, us: Kind) -> None:
    outcome = expected(kind, us)
    if not outcome.opens:
        return
    peer = our_server(kind, strict=us.is_strict)
    other = peer.request(token={"webtransport": "webtransport-h3"}.get(outcome.token, "webtransport"))
    if us.is_strict:
        assert peer.status(other) == 501
        assert peer.names() == []
    else:
        assert peer.take_event("SessionRequested").session.stream_id == other
    assert peer.status(peer.request(token="websocket")) == 501


@KINDS
def test_a_refusal_answers_the_version_field_too(our_server: MakePeer, kind: Kind) -> None:
    if not expected(kind, OURS).opens:
        return
    peer = our_server(kind)
    stream_id = peer.request(token=expected(kind, OURS).token, **VERSION)
    peer.take_event("SessionRequested").session.reject(404)
    assert peer.fields(stream_id) == [(b":status", b"404"), (b"sec-webtransport-http3-draft", b"draft02")]


@KINDS
def test_without_flow_control_there_are_no_limits(our_server: MakePeer, kind: Kind) -> None:
    """Capsules of flow control are ignored, and none are sent (5.1)."""
    outcome = expected(kind, OURS)
    if not outcome.opens or outcome.flow_control:
        return
    peer = our_server(kind)
    session = peer.engine.sessions[ask(peer, kind, OURS)]
    session.accept()
    for capsule_type in (MAX_DATA, MAX_STREAMS_UNI):
        for limit in (10, 10, 3):
            peer.send_limit(session.stream_id, capsule_type, limit)
    for _ in range(300):
        stream_id = peer.open_stream(session.stream_id, bytes(100), unidirectional=True, fin=True)
        peer.take_event("StreamOpened").stream.read()
        assert session.open_stream(unidirectional=True) is not None
    peer.datagrams(datagram(session.stream_id, b"x"))
    assert stream_id >> 2 >= 300
    assert peer.capsules(session.stream_id) == []
    assert session.is_open


@KINDS
def test_with_flow_control_the_limits_of_the_settings_hold(our_server: MakePeer, kind: Kind) -> None:
    outcome = expected(kind, OURS)
    if not outcome.flow_control:
        return
    peer = our_server(kind)
    session = peer.engine.sessions[ask(peer, kind, OURS)]
    session.accept()
    granted = (kind.client or {}).get(0x2B64, 0)
    for _ in range(granted):
        assert session.open_stream(unidirectional=True) is not None
    assert session.open_stream(unidirectional=True) is None
    # D14 takes a limit that was not raised, D16 does not (5.6.2).
    peer.send_limit(session.stream_id, MAX_STREAMS_UNI, granted + 5)
    peer.send_limit(session.stream_id, MAX_STREAMS_UNI, granted + 5)
    assert session.is_open == (outcome.server == 14)


def test_a_draft_15_client_may_enable_with_any_number(our_server: MakePeer) -> None:
    kind = Kind(name="draft-15", client={0x33: 1, 0x2C7CF000: 7})
    assert our_server(kind, strict=True).engine.draft == 16
