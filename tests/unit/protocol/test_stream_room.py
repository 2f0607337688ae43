"""A stream that its own window holds back does not use up the session's credit, which other streams can use."""

from __future__ import annotations

from scripted_peer import DATA_BLOCKED, MAX_DATA, MakePeer, ScriptedPeer, body, with_flow_control

from wtransport._protocol.session import SessionCore
from wtransport._protocol.stream import StreamCore


def opened(peer: ScriptedPeer, session: SessionCore, *, room: int = 1 << 20) -> StreamCore:
    stream = session.open_stream(unidirectional=True)
    assert stream is not None
    peer.port.streams[stream.stream_id].room = room
    return stream


def test_a_stream_without_room_leaves_the_sessions_credit_to_others(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=100, uni=4, bidi=4))
    session = peer.open_session()
    stuck, other = opened(peer, session, room=10), opened(peer, session)
    stuck.write(bytes(200), end_stream=True)
    assert session.flow.local_data_sent == 10
    assert stuck.unsent == 190
    other.write(bytes(90))
    assert len(body(peer, other)) == 90
    assert peer.limits(0, DATA_BLOCKED) == []


def test_room_that_comes_later_is_used(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=100, uni=4, bidi=4))
    stream = opened(peer, peer.open_session(), room=10)
    stream.write(b"x" * 30, end_stream=True)
    assert body(peer, stream) == b"x" * 10
    for _ in range(2):
        peer.port.raise_room(stream.stream_id, 10)
        peer.pump()
    assert body(peer, stream) == b"x" * 30
    assert peer.port.streams[stream.stream_id].fin


def test_both_kinds_of_credit_are_waited_for_in_any_order(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=20, uni=4, bidi=4))
    stream = opened(peer, peer.open_session(), room=10)
    stream.write(b"x" * 50, end_stream=True)
    assert len(body(peer, stream)) == 10
    peer.port.raise_room(stream.stream_id, 30)
    peer.pump()
    assert len(body(peer, stream)) == 20
    assert peer.limits(0, DATA_BLOCKED) == [20]
    peer.send_limit(0, MAX_DATA, 60)
    assert len(body(peer, stream)) == 40
    peer.port.raise_room(stream.stream_id, 30)
    peer.pump()
    assert len(body(peer, stream)) == 50


def test_room_for_a_stream_that_is_over_changes_nothing(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=100, uni=4, bidi=4))
    session = peer.open_session()
    stream = opened(peer, session, room=10)
    stream.write(bytes(30))
    stream.reset(1)
    sent = session.flow.local_data_sent
    peer.port.raise_room(stream.stream_id, 30)
    peer.pump()
    assert session.flow.local_data_sent == sent
