"""Session flow control (draft-16, section 5): limits of both ends, who is told, and what breaking them costs."""

from __future__ import annotations

import pytest
from scripted_peer import (
    DATA_BLOCKED,
    DRAFT16,
    MAX_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    STREAMS_BLOCKED_BIDI,
    STREAMS_BLOCKED_UNI,
    MakePeer,
    ScriptedPeer,
    body,
    stream_header,
    with_flow_control,
)

from wtransport._protocol.session import SessionCore
from wtransport._protocol.stream import StreamCore
from wtransport.constants import ErrorCodes
from wtransport.types import SessionState

BOTH = pytest.mark.parametrize("unidirectional", [False, True])
VIOLATED = int(ErrorCodes.WT_FLOW_CONTROL_ERROR)
HEADER = 3


def opened(session: SessionCore, *, unidirectional: bool = True) -> StreamCore:
    stream = session.open_stream(unidirectional=unidirectional)
    assert stream is not None
    return stream


# What we may send.


def test_no_byte_goes_out_over_the_limit(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=10, uni=4, bidi=4))
    session = peer.open_session()
    first, second = opened(session), opened(session, unidirectional=False)
    first.write(b"123456")
    second.write(b"abcdef", end_stream=True)
    assert (body(peer, first), body(peer, second)) == (b"123456", b"abcd")
    assert not peer.port.streams[second.stream_id].fin
    assert (second.unsent, second.can_send) == (2, False)
    assert session.flow.local_data_sent == 10
    assert peer.limits(0, DATA_BLOCKED) == [10]
    first.write(b"7")
    assert peer.limits(0, DATA_BLOCKED) == [10], "once for each limit"
    peer.names()
    peer.send_limit(0, MAX_DATA, 12)
    assert peer.names() == ["SessionCreditRaised"]
    assert body(peer, second) == b"abcdef"
    assert peer.port.streams[second.stream_id].fin
    assert peer.limits(0, DATA_BLOCKED) == [10, 12]
    peer.send_limit(0, MAX_DATA, 13)
    assert body(peer, first) == b"1234567"
    assert session.flow.local_data_sent == 13


def test_a_fin_needs_no_credit(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=3, uni=4))
    session = peer.open_session()
    stream, other = opened(session), opened(session)
    stream.write(b"123")
    stream.write(b"", end_stream=True)
    other.write(b"", end_stream=True)
    assert peer.port.streams[stream.stream_id].fin
    assert peer.port.streams[other.stream_id].fin
    assert peer.limits(0, DATA_BLOCKED) == []


def test_headers_need_no_data_credit(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(uni=1))
    session = peer.open_session()
    stream = opened(session)
    assert peer.sent(stream.stream_id) == stream_header(0, unidirectional=True)
    stream.write(b"x")
    assert body(peer, stream) == b""
    assert peer.limits(0, DATA_BLOCKED) == [0]


def test_a_writer_waits_for_the_credit_of_the_session_too(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=5, uni=1))
    session = peer.open_session()
    stream = opened(session)
    stream.write(bytes(20))
    stream.watch_writable(4)
    peer.names()
    peer.send_limit(0, MAX_DATA, 15)
    assert peer.names() == ["SessionCreditRaised"]
    assert stream.wants_writable
    peer.port.hold = True
    peer.send_limit(0, MAX_DATA, 17)
    assert peer.names() == ["SessionCreditRaised"]
    peer.port.let_go(stream.stream_id, 1)
    peer.pump()
    assert peer.names() == ["StreamWritable"]
    assert stream.unsent == 4


@BOTH
def test_no_stream_is_opened_over_the_limit(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine(settings=with_flow_control(bidi=1, uni=1))
    session = peer.open_session()
    opened(session, unidirectional=unidirectional)
    assert session.open_stream(unidirectional=unidirectional) is None
    assert session.open_stream(unidirectional=unidirectional) is None
    blocked = STREAMS_BLOCKED_UNI if unidirectional else STREAMS_BLOCKED_BIDI
    assert peer.limits(0, blocked) == [1]
    assert len(peer.capsules(0)) == 1
    peer.names()
    kind = MAX_STREAMS_UNI if unidirectional else MAX_STREAMS_BIDI
    peer.send_limit(0, kind, 2)
    assert peer.names() == ["SessionCreditRaised", "StreamCreditAvailable"]
    opened(session, unidirectional=unidirectional)
    peer.send_limit(0, kind, 3)
    assert peer.names() == ["SessionCreditRaised"], "nobody waits"


def test_streams_of_the_other_direction_are_not_held_back(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(bidi=1))
    session = peer.open_session()
    assert session.open_stream(unidirectional=True) is None
    opened(session, unidirectional=False)
    peer.names()
    peer.send_limit(0, MAX_STREAMS_BIDI, 5)
    assert peer.names() == ["SessionCreditRaised"]


def test_streams_that_are_over_still_count(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(uni=1))
    session = peer.open_session()
    opened(session).write(b"", end_stream=True)
    assert session.open_stream(unidirectional=True) is None


@BOTH
def test_quic_may_hold_streams_back_too(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine(settings=with_flow_control(bidi=10, uni=10))
    session = peer.open_session()
    peer.port.max_streams = [0, 0]
    assert session.open_stream(unidirectional=unidirectional) is None
    assert peer.capsules(0) == []
    peer.names()
    peer.raise_streams(unidirectional=not unidirectional, limit=5)
    assert peer.names() == []
    peer.raise_streams(unidirectional=unidirectional, limit=5)
    assert peer.names() == ["StreamCreditAvailable"]
    opened(session, unidirectional=unidirectional)
    assert session.flow.send.streams_opened[unidirectional] == 1


def test_credit_is_each_sessions_own(client: MakePeer) -> None:
    peer = client(settings=with_flow_control(data=5, uni=1))
    first, second = peer.open_session(), peer.open_session()
    opened(first).write(b"12345678")
    other = opened(second)
    other.write(b"abcde")
    assert body(peer, other) == b"abcde"
    peer.send_limit(second.stream_id, MAX_DATA, 100)
    assert first.flow.local_data_sent == first.flow.local_max_data == 5


# Bytes that were never sent.


def test_unsent_bytes_of_a_reset_stream_do_not_count(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=10, uni=4))
    session = peer.open_session()
    stream, other = opened(session), opened(session)
    peer.port.hold = True
    stream.write(b"12345678")
    other.write(b"abcdef")
    peer.port.let_go(stream.stream_id, 3)
    assert peer.port.unsent_bytes(other.stream_id) == 2
    stream.reset(0)
    assert session.flow.local_data_sent == 3 + 6
    assert peer.port.unsent_bytes(other.stream_id) == 6, "what waited for the credit goes on with it"


def test_the_header_of_a_reset_stream_was_never_counted(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=10, uni=4))
    session = peer.open_session()
    peer.port.hold = True
    stream = opened(session)
    stream.write(b"12345")
    stream.reset(0)
    assert session.flow.local_data_sent == 0
    stream.reset(0)
    assert session.flow.local_data_sent == 0
    peer.port.hold = False
    opened(session).write(bytes(20))
    assert session.flow.local_data_sent == 10


def test_unsent_bytes_of_a_stopped_stream_do_not_count(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=10, uni=4))
    session = peer.open_session()
    stream, other = opened(session), opened(session)
    peer.port.hold = True
    stream.write(b"12345678")
    other.write(b"abcdef")
    peer.port.let_go(stream.stream_id, 3)
    peer.stop(stream.stream_id, 0)
    assert session.flow.local_data_sent == 3 + 6
    assert peer.port.unsent_bytes(other.stream_id) == 6


def test_bytes_that_waited_for_credit_are_forgotten_with_their_stream(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=4, uni=4))
    session = peer.open_session()
    for end in ("reset", "stop"):
        stream = opened(session)
        stream.write(b"12345678")
        if end == "reset":
            stream.reset(0)
        else:
            peer.stop(stream.stream_id, 0)
        assert stream.unsent == 0
        assert session.flow.local_data_sent == 4
    peer.send_limit(0, MAX_DATA, 100)
    assert session.flow.local_data_sent == 4


# What the peer may send.


LIMITED = {"initial_max_data": 100, "initial_max_streams_bidi": 2, "initial_max_streams_uni": 2}


def test_configured_limits_are_announced(engine: MakePeer) -> None:
    peer = engine(**LIMITED)
    settings = peer.control_frames()[0][1]
    for announced in (b"\x6b\x61\x40\x64", b"\x6b\x64\x02", b"\x6b\x65\x02"):
        assert announced in settings


def test_credit_follows_reading(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=1), **LIMITED)
    session = peer.open_session()
    stream = peer.stream(peer.open_stream(0, bytes(100), unidirectional=True))
    assert peer.capsules(0) == []
    stream.read(49)
    assert peer.capsules(0) == []
    stream.read(1)
    assert peer.limits(0, MAX_DATA) == [150]
    stream.read()
    assert peer.limits(0, MAX_DATA) == [150, 200]
    assert session.flow.peer_max_data == 200
    peer.send(stream.stream_id, bytes(100), fin=True)
    assert session.is_open


@BOTH
def test_stream_credit_follows_streams_that_end(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine(settings=with_flow_control(data=1), **LIMITED)
    session = peer.open_session()
    kind = MAX_STREAMS_UNI if unidirectional else MAX_STREAMS_BIDI
    first = peer.open_stream(0, unidirectional=unidirectional)
    peer.open_stream(0, unidirectional=unidirectional)
    stream = peer.stream(first)
    peer.send(first, b"", fin=True)
    if not unidirectional:
        assert peer.capsules(0) == []
        stream.write(b"", end_stream=True)
    assert peer.capsules(0) == []
    stream.take()
    assert peer.limits(0, kind) == [3]
    assert len(peer.capsules(0)) == 1
    peer.open_stream(0, unidirectional=unidirectional)
    assert session.is_open


def test_reading_ahead_extends_the_session(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=1), **LIMITED)
    peer.open_session()
    stream_id = peer.open_stream(0, bytes(100), unidirectional=True)
    stream = peer.stream(stream_id)
    stream.expect(250)
    assert peer.limits(0, MAX_DATA) == [200]
    peer.send(stream_id, bytes(100))
    assert peer.limits(0, MAX_DATA) == [200, 300]
    peer.send(stream_id, bytes(50))
    assert stream.read() == bytes(250)
    assert peer.limits(0, MAX_DATA)[-1] == 350


def test_without_auto_scale_only_grants_extend(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=1), flow_control_window_auto_scale=False, **LIMITED)
    session = peer.open_session()
    stream_id = peer.open_stream(0, bytes(100), unidirectional=True, fin=True)
    stream = peer.take_event("StreamOpened").stream
    assert stream.read() == bytes(100)
    assert peer.capsules(0) == []
    session.grant_data(100)
    session.grant_streams(2, unidirectional=True)
    assert peer.capsules(0) == [], "no raise"
    session.grant_data(150)
    session.grant_streams(5, unidirectional=True)
    session.grant_streams(6, unidirectional=False)
    assert peer.limits(0, MAX_DATA) == [150]
    assert peer.limits(0, MAX_STREAMS_UNI) == [5]
    assert peer.limits(0, MAX_STREAMS_BIDI) == [6]
    assert stream_id not in peer.engine.streams


def test_a_grant_of_streams_reaches_quic_too(server: MakePeer) -> None:
    """What sessions allow, QUIC's own limit, which both must be kept to, does not hold back."""
    peer = server(settings=with_flow_control(data=1), **LIMITED)
    first, second = peer.open_session(), peer.open_session()
    peer.open_stream(0, unidirectional=True, fin=True)
    peer.take_event("StreamOpened").stream.take()
    first.grant_streams(3, unidirectional=True)
    assert peer.port.allowed_streams == [0, 0], "no raise"
    first.grant_streams(21, unidirectional=True)
    assert second.flow.peer_max_streams_uni == 2
    assert peer.port.allowed_streams[True] >= 20 + 2 + 3
    assert peer.port.allowed_streams[False] == 0


def test_a_grant_that_no_capsule_can_say_is_refused(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=1))
    session = peer.open_session()
    before = session.flow.peer_max_data
    with pytest.raises(ValueError, match="max_data"):
        session.grant_data(2**62)
    assert session.flow.peer_max_data == before


@BOTH
def test_a_peer_that_is_blocked_is_heard(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine(settings=with_flow_control(data=1))
    peer.open_session()
    peer.names()
    peer.send_limit(0, STREAMS_BLOCKED_UNI if unidirectional else STREAMS_BLOCKED_BIDI, 5)
    assert peer.take_event("SessionBlocked").kind == ("uni" if unidirectional else "bidi")
    peer.send_limit(0, DATA_BLOCKED, 5)
    assert peer.take_event("SessionBlocked").kind == "data"


# Violations.


def assert_aborted(peer: ScriptedPeer, session: SessionCore, code: int = VIOLATED) -> None:
    """Fail unless the session, and nothing else, was ended with a code, and nothing is left of it."""
    assert session.state is SessionState.CLOSED
    assert session.close_code is None
    assert session.end_error is not None
    assert session.end_error.error_code == code
    assert peer.ends(session.stream_id) == (code, code)
    assert peer.closed is None
    assert peer.names()[-1] == "SessionEnded"
    peer.answer_ends()
    peer.assert_nothing_left()


@BOTH
def test_too_many_streams_end_the_session(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine(settings=with_flow_control(data=1), **LIMITED)
    session = peer.open_session()
    for _ in range(2):
        peer.open_stream(0, unidirectional=unidirectional)
    assert session.is_open
    peer.open_stream(0, b"one too many", unidirectional=unidirectional, fin=True)
    assert_aborted(peer, session)


def test_too_many_bytes_end_the_session(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=1), **LIMITED)
    session = peer.open_session()
    first = peer.open_stream(0, bytes(60), unidirectional=True)
    second = peer.open_stream(0, bytes(40), unidirectional=False)
    assert session.is_open
    peer.send(second, b"x")
    assert peer.ends(first)[1] == ErrorCodes.WT_SESSION_GONE
    assert_aborted(peer, session)


@pytest.mark.parametrize("fin", [False, True])
def test_a_violation_in_the_last_bytes_of_a_stream(engine: MakePeer, fin: bool) -> None:
    peer = engine(settings=with_flow_control(data=1), **LIMITED)
    session = peer.open_session()
    peer.open_stream(0, bytes(101), unidirectional=True, fin=fin)
    assert_aborted(peer, session)


def test_bytes_that_a_reset_claims_count(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=1), **LIMITED)
    session = peer.open_session()
    stream_id = peer.open_stream(0, bytes(10), unidirectional=True)
    peer.reset(stream_id, 0, final_size=HEADER + 100)
    assert session.is_open
    assert session.flow.peer_data_sent == 100
    assert session.flow.receive.data_consumed == 100
    assert peer.limits(0, MAX_DATA) == [190]  # what was missing counted first, then what was unread


def test_a_reset_that_claims_too_much_ends_the_session(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=1), **LIMITED)
    session = peer.open_session()
    stream_id = peer.open_stream(0, bytes(10), unidirectional=True)
    stream = peer.stream(stream_id)
    peer.reset(stream_id, 0, final_size=HEADER + 101)
    assert_aborted(peer, session)
    assert not stream.at_eof


def test_a_stream_given_up_counts_with_its_final_size(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=1), **LIMITED)
    session = peer.open_session()
    stream_id = peer.open_stream(0, bytes(10), unidirectional=True)
    peer.stream(stream_id).stop(0)
    peer.send(stream_id, bytes(100), fin=True)
    assert_aborted(peer, session)


def test_bytes_of_our_own_streams_replies_count_without_a_header(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=1, bidi=1), **LIMITED)
    session = peer.open_session()
    stream = opened(session, unidirectional=False)
    peer.send(stream.stream_id, bytes(100))
    assert session.flow.peer_data_sent == 100
    assert session.is_open
    peer.reset(stream.stream_id, 0, final_size=100)
    assert session.is_open
    assert session.flow.peer_data_sent == 100


@pytest.mark.parametrize("kind", [MAX_DATA, MAX_STREAMS_BIDI, MAX_STREAMS_UNI])
def test_limits_of_capsules_must_go_up(engine: MakePeer, kind: int) -> None:
    peer = engine(settings=with_flow_control(data=100, bidi=100, uni=100))
    session = peer.open_session()
    peer.send_limit(0, kind, 50)  # lower than the settings, but the first
    assert session.is_open
    peer.send_limit(0, kind, 50)
    assert_aborted(peer, session)


@pytest.mark.parametrize("kind", [MAX_STREAMS_BIDI, MAX_STREAMS_UNI, STREAMS_BLOCKED_BIDI, STREAMS_BLOCKED_UNI])
def test_stream_limits_end_at_2_to_the_60(engine: MakePeer, kind: int) -> None:
    peer = engine(settings=with_flow_control(data=1))
    session = peer.open_session()
    peer.send_limit(0, kind, 2**60)
    assert session.is_open
    peer.send_limit(0, kind, 2**60 + 1)
    assert_aborted(peer, session)


@pytest.mark.parametrize("kind", [0x190B4D3E, 0x190B4D42])
def test_capsules_that_http3_forbids(engine: MakePeer, kind: int) -> None:
    peer = engine(settings=with_flow_control(data=1))
    session = peer.open_session()
    peer.send_capsule(0, kind, b"\x00\x00")
    assert_aborted(peer, session)


# Switched off.


def test_switched_off_there_are_no_limits_and_no_capsules(engine: MakePeer) -> None:
    peer = engine(settings=DRAFT16, **LIMITED)
    session = peer.open_session()
    streams = [opened(session) for _ in range(5)]
    streams[0].write(bytes(1000))
    assert body(peer, streams[0]) == bytes(1000)
    for _ in range(5):
        peer.open_stream(0, bytes(50), unidirectional=True, fin=True)
    for event in [event for event in peer.events if type(event).__name__ == "StreamOpened"]:
        event.stream.read()
    session.grant_data(1 << 30)
    session.grant_streams(1 << 30, unidirectional=True)
    assert peer.capsules(0) == []
    peer.names()
    peer.send_limit(0, MAX_DATA, 5)
    peer.send_limit(0, MAX_DATA, 5)
    assert peer.names() == []
    assert session.is_open
    flow = session.flow
    assert (flow.local_data_sent, flow.peer_data_sent) == (1000, 250)
    assert (flow.local_streams_uni_opened, flow.peer_streams_uni_opened) == (5, 5)
