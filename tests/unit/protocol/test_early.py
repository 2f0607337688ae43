"""What overtook its session's CONNECT, or the answer to that: kept, delivered, given up (draft-16, 4.6)."""

from __future__ import annotations

import pytest
from scripted_peer import MakePeer, ScriptedPeer, datagram, stream_header, with_flow_control

from wtransport._protocol.early import EarlyArrivals, EarlyStream
from wtransport._protocol.error_codes import to_wire
from wtransport._protocol.session import SessionCore
from wtransport.constants import ErrorCodes
from wtransport.exceptions import StreamError
from wtransport.types import SessionState

BOTH = pytest.mark.parametrize("unidirectional", [False, True])
REJECTED = int(ErrorCodes.WT_BUFFERED_STREAM_REJECTED)
GONE = int(ErrorCodes.WT_SESSION_GONE)
TTL = 5.0


def arrivals(max_per_session: int = 2, max_total: int = 3) -> EarlyArrivals:
    return EarlyArrivals(max_per_session=max_per_session, max_total=max_total, ttl=TTL)


# The store.


def test_streams_and_datagrams_are_handed_out_once_and_in_order() -> None:
    early = arrivals()
    streams = [EarlyStream(2, 0, 3), EarlyStream(6, 0, 3)]
    for stream in streams:
        assert early.add_stream(stream, 1.0, is_known=False)
    early.add_datagram(0, b"x", 1.0)
    assert early.take(4) == ([], [])
    assert early.take(0) == (streams, [b"x"])
    assert early.take(0) == ([], [])
    assert early.next_deadline() is None


def test_no_session_keeps_more_than_its_share() -> None:
    early = arrivals(max_per_session=1, max_total=10)
    assert early.add_stream(EarlyStream(2, 0, 3), 0.0, is_known=False)
    assert not early.add_stream(EarlyStream(6, 0, 3), 0.0, is_known=False)
    assert early.add_stream(EarlyStream(10, 4, 3), 0.0, is_known=False)
    early.add_datagram(0, b"1", 0.0)
    early.add_datagram(0, b"2", 0.0)
    assert early.datagrams_dropped == 1


def test_all_sessions_share_the_total() -> None:
    early = arrivals(max_per_session=10, max_total=2)
    assert early.add_stream(EarlyStream(2, 0, 3), 0.0, is_known=False)
    early.add_datagram(4, b"1", 0.0)
    assert not early.add_stream(EarlyStream(6, 8, 3), 0.0, is_known=False)
    early.add_datagram(8, b"2", 0.0)
    assert early.datagrams_dropped == 1
    early.take(4)
    assert early.add_stream(EarlyStream(6, 8, 3), 0.0, is_known=False)


def test_streams_of_a_session_that_is_here_always_fit() -> None:
    early = arrivals(max_per_session=1, max_total=1)
    for number in range(5):
        assert early.add_stream(EarlyStream(number, 0, 3), 0.0, is_known=True)


def test_sessions_expire_one_by_one() -> None:
    early = arrivals()
    early.add_datagram(0, b"x", 1.0)
    early.add_datagram(4, b"y", 2.0)
    assert early.next_deadline() == 1.0 + TTL
    assert early.expired(1.0 + TTL - 0.001) == []
    assert early.expired(1.0 + TTL) == [0]
    early.postpone(0, 1.0 + TTL)
    assert early.next_deadline() == 2.0 + TTL
    assert early.expired(10.0) == [4]
    early.clear()
    assert early.next_deadline() is None
    assert early.take(0) == ([], [])


def test_what_arrives_later_does_not_wait_longer() -> None:
    early = arrivals()
    early.add_datagram(0, b"x", 1.0)
    early.add_datagram(0, b"y", 4.0)
    assert early.next_deadline() == 1.0 + TTL


# At a server: before the CONNECT, and before the program's answer.


@BOTH
@pytest.mark.parametrize("is_requested", [False, True])
def test_early_streams_come_with_the_session(server: MakePeer, unidirectional: bool, is_requested: bool) -> None:
    peer = server()
    session_id = peer.next_id(unidirectional=False)
    if is_requested:
        peer.send(session_id, peer.connect_frame())
    stream_id = peer.open_stream(session_id, b"early", unidirectional=unidirectional)
    peer.send(stream_id, b" bird", fin=True)
    peer.datagrams(datagram(session_id, b"one"), datagram(session_id, b"two"))
    if not is_requested:
        assert peer.names() == []
        peer.send(session_id, peer.connect_frame())
    session = peer.take_event("SessionRequested").session
    peer.wait(1.0)
    assert peer.names() == []
    assert peer.ends(stream_id) == (None, None)
    session.accept()
    peer.pump()
    stream = peer.take_event("StreamOpened").stream
    assert stream.session is session
    assert stream.read() == b"early bird"
    assert stream.read() == b""
    assert peer.take_event("DatagramsReceived").session is session
    assert session.datagrams.drain() == [b"one", b"two"]
    assert peer.port.held_credit == 0
    if not unidirectional:
        stream.write(b"worm", end_stream=True)
        assert peer.sent(stream_id) == b"worm"
    session.close()
    peer.send(0, b"", fin=True)
    peer.assert_nothing_left()


@BOTH
def test_an_early_stream_with_its_header_alone(server: MakePeer, unidirectional: bool) -> None:
    peer = server()
    peer.request()
    peer.open_stream(0, unidirectional=unidirectional)
    peer.open_stream(0, unidirectional=unidirectional, fin=True)
    peer.take_event("SessionRequested").session.accept()
    peer.pump()
    first, second = peer.take_event("StreamOpened").stream, peer.take_event("StreamOpened").stream
    assert (first.read(), second.read()) == (None, b"")


def test_an_early_stream_keeps_its_reset_and_stop(server: MakePeer) -> None:
    peer = server()
    peer.request()
    stream_id = peer.open_stream(0, b"part", unidirectional=False)
    peer.stop(stream_id, to_wire(1))
    peer.reset(stream_id, to_wire(2), final_size=100)
    session = peer.take_event("SessionRequested").session
    session.accept()
    peer.pump()
    stream = peer.take_event("StreamOpened").stream
    assert peer.names() == ["StreamFinished"]
    assert (stream.stop_code, stream.reset_code) == (1, 2)
    assert stream.read() == b"part"
    with pytest.raises(StreamError):
        stream.read()
    assert session.flow.peer_data_sent == 97
    assert peer.port.held_credit == 0


def test_early_bytes_keep_their_quic_credit(server: MakePeer) -> None:
    peer = server()
    peer.request()
    stream_id = peer.open_stream(0, bytes(1000), unidirectional=True)
    assert peer.port.held_credit == 1000
    peer.take_event("SessionRequested").session.reject(404)
    assert peer.port.held_credit == 0
    assert peer.ends(stream_id) == (None, GONE)


@BOTH
def test_streams_of_a_refused_session_are_reset(server: MakePeer, unidirectional: bool) -> None:
    peer = server()
    peer.request()
    open_id = peer.open_stream(0, b"early", unidirectional=unidirectional)
    ended = peer.open_stream(0, b"early", unidirectional=unidirectional, fin=True)
    peer.datagrams(datagram(0, b"x"))
    peer.take_event("SessionRequested").session.reject(404)
    reset = None if unidirectional else GONE
    assert peer.ends(open_id) == (reset, GONE)
    assert peer.ends(ended) == (reset, None)
    peer.answer_ends()
    peer.assert_nothing_left()


@pytest.mark.parametrize("how", ["404", "429", "reset", "incomplete"])
def test_streams_of_a_request_that_is_no_session_are_reset(server: MakePeer, how: str) -> None:
    peer = server(max_sessions=1, settings=with_flow_control(data=1))
    if how == "429":
        peer.open_session()
    session_id = peer.next_id(unidirectional=False)
    stream_id = peer.open_stream(session_id, b"early", unidirectional=True)
    match how:
        case "404":
            fields = [(":method", "GET"), (":scheme", "https"), (":authority", "x"), (":path", "/")]
            frame = peer.headers((name.encode(), value.encode()) for name, value in fields)
            peer.send(session_id, frame, fin=True)
            assert peer.status(session_id) == 404
        case "429":
            peer.send(session_id, peer.connect_frame(), fin=True)
            assert peer.status(session_id) == 429
        case "reset":
            peer.send(session_id, peer.connect_frame()[:5])
            peer.reset(session_id, 0x10C)
        case _:
            peer.send(session_id, b"\x21\x00", fin=True)
            assert peer.ends(session_id)[0] == ErrorCodes.H3_REQUEST_INCOMPLETE
    assert peer.ends(stream_id) == (None, GONE)
    assert peer.closed is None


@BOTH
def test_a_session_that_does_not_come_is_given_up(server: MakePeer, unidirectional: bool) -> None:
    peer = server(pending_event_ttl=TTL)
    stream_id = peer.open_stream(8, b"early", unidirectional=unidirectional)
    peer.datagrams(datagram(8, b"x"))
    peer.wait(TTL - 0.01)
    assert peer.ends(stream_id) == (None, None)
    peer.wait(0.02)
    assert peer.ends(stream_id) == (None if unidirectional else REJECTED, REJECTED)
    peer.answer_ends()
    peer.assert_nothing_left()
    assert peer.engine.next_deadline() is None


def test_an_undecided_session_is_waited_for(server: MakePeer) -> None:
    """The CONNECT is here; how long the answer takes is the program's business."""
    peer = server(pending_event_ttl=TTL)
    peer.request()
    stream_id = peer.open_stream(0, b"early", unidirectional=True)
    peer.wait(10 * TTL)
    assert peer.ends(stream_id) == (None, None)
    peer.take_event("SessionRequested").session.accept()
    assert peer.stream(stream_id).read() == b"early"


def test_too_many_streams_are_rejected(server: MakePeer) -> None:
    peer = server(max_pending_events_per_session=2, max_total_pending_events=3)
    kept = [peer.open_stream(session_id, b"x", unidirectional=True) for session_id in (0, 0, 4)]
    rejected = [peer.open_stream(session_id, b"x", unidirectional=False) for session_id in (0, 4, 8)]
    assert [peer.ends(stream_id) for stream_id in kept] == [(None, None)] * 3
    assert [peer.ends(stream_id) for stream_id in rejected] == [(REJECTED, REJECTED)] * 3
    assert peer.port.held_credit == 3
    assert peer.closed is None


def test_too_many_datagrams_are_dropped(server: MakePeer) -> None:
    peer = server(max_pending_events_per_session=2)
    peer.datagrams(*(datagram(0, str(number).encode()) for number in range(5)))
    session = peer.open_session()
    assert session.datagrams.drain() == [b"0", b"1"]
    assert peer.engine._early.datagrams_dropped == 3


def test_a_session_that_is_here_keeps_all_streams(server: MakePeer) -> None:
    peer = server(max_pending_events_per_session=2, max_total_pending_events=3)
    peer.request()
    for _ in range(10):
        peer.open_stream(0, b"x", unidirectional=True)
    peer.take_event("SessionRequested").session.accept()
    peer.pump()
    assert peer.names() == ["StreamOpened"] * 10


@pytest.mark.parametrize("kind", ["streams", "bytes", "reset"])
def test_early_arrivals_that_break_limits_end_the_session_with_its_answer(server: MakePeer, kind: str) -> None:
    peer = server(settings=with_flow_control(data=1), initial_max_data=100, initial_max_streams_uni=3)
    peer.request()
    match kind:
        case "streams":
            streams = [peer.open_stream(0, b"x", unidirectional=True, fin=number > 3) for number in range(6)]
        case "bytes":
            streams = [peer.open_stream(0, bytes(60), unidirectional=True, fin=True) for _ in range(3)]
        case _:
            streams = [peer.open_stream(0, bytes(60), unidirectional=True) for _ in range(3)]
            peer.reset(streams[1], 0, final_size=200)
    peer.datagrams(datagram(0, b"x"))
    session = peer.take_event("SessionRequested").session
    session.accept()
    peer.pump()
    code = ErrorCodes.WT_FLOW_CONTROL_ERROR
    assert session.state is SessionState.CLOSED
    assert peer.ends(0) == (code, code)
    assert peer.names()[-1] == "SessionEnded"
    assert peer.closed is None
    assert [stream_id for stream_id in streams if peer.ends(stream_id)[1] not in (None, GONE)] == []
    peer.answer_ends()
    peer.assert_nothing_left()


# At a client: before the response.


def _asking(peer: ScriptedPeer) -> SessionCore:
    return peer.engine.open_session(authority="localhost", path="/", headers={})


def test_a_server_may_begin_before_its_answer_arrives(client: MakePeer) -> None:
    peer = client()
    session = _asking(peer)
    uni = peer.open_stream(0, b"hello", unidirectional=True)
    peer.open_stream(0, b"hello", unidirectional=False)
    peer.datagrams(datagram(0, b"x"))
    assert peer.names() == []
    peer.send(0, peer.response())
    assert peer.names() == ["SessionOpened", "StreamOpened", "StreamOpened", "DatagramsReceived"]
    assert session.streams[uni].read() == b"hello"


def test_a_refusal_resets_what_came_before_it(client: MakePeer) -> None:
    peer = client()
    _asking(peer)
    stream_id = peer.open_stream(0, b"hello", unidirectional=False)
    peer.send(0, peer.response(404), fin=True)
    assert peer.ends(stream_id) == (GONE, GONE)
    peer.answer_ends()
    peer.assert_nothing_left()


def test_a_lost_connection_forgets_what_waited(server: MakePeer) -> None:
    peer = server()
    peer.request()
    peer.open_stream(0, b"x", unidirectional=True)
    peer.open_stream(40, b"x", unidirectional=True)
    peer.datagrams(datagram(80, b"x"))
    peer.close()
    assert peer.engine._early.next_deadline() is None
    assert peer.engine._router.readers == {}


def test_datagrams_of_no_session(engine: MakePeer) -> None:
    peer = engine()
    peer.port.local_max_streams_bidi = 10
    peer.datagrams(datagram(36, b"x"))
    assert peer.closed is None
    peer.datagrams(datagram(40, b"x"))
    assert peer.closed == (None if peer.port.is_client else ErrorCodes.H3_ID_ERROR)


@pytest.mark.parametrize("payload", [b"", b"\x40", b"\xd0" + bytes(7), b"\xff" * 8 + b"payload"])
def test_malformed_datagrams_close_the_connection(engine: MakePeer, payload: bytes) -> None:
    peer = engine()
    peer.open_session()
    peer.datagrams(payload)
    assert peer.closed == ErrorCodes.H3_DATAGRAM_ERROR


def test_the_header_size_of_an_early_stream_counts(server: MakePeer) -> None:
    peer = server()
    peer.request()
    stream_id = peer.next_id(unidirectional=True)
    long_header = bytes.fromhex("c000000000000054") + bytes.fromhex("c000000000000000")
    peer.send(stream_id, long_header + b"ab")
    assert len(long_header) > len(stream_header(0, unidirectional=True))
    peer.reset(stream_id, to_wire(0), final_size=len(long_header) + 10)
    session = peer.take_event("SessionRequested").session
    session.accept()
    assert session.flow.peer_data_sent == 10
