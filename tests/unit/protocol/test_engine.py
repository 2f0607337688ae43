"""The engine as a whole: SETTINGS, GOAWAY, closing, losing the connection, and errors that take it along."""

from __future__ import annotations

import pytest
from memory_port import PROBE_TIMEOUT
from scripted_peer import (
    CHROMIUM,
    CLOSE,
    DRAFT07,
    DRAFT16,
    DRAIN,
    GOAWAY,
    SETTINGS,
    MakePeer,
    datagram,
    with_flow_control,
)

from wtransport._protocol.settings import encode_settings
from wtransport._quic import port as quic
from wtransport._speedups import encode_frame
from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError, StreamError
from wtransport.types import SessionState

MORE = with_flow_control(data=1 << 20, bidi=1 << 20, uni=1 << 20)
CLOSE_WAIT = 3 * PROBE_TIMEOUT


# Beginning.


def test_our_settings_open_the_control_stream(engine: MakePeer) -> None:
    peer = engine(settings=None)
    (frame,) = peer.control_frames()
    assert frame[0] == SETTINGS
    assert peer.port.flushes > 0
    assert peer.events == []
    assert not peer.engine.is_ready
    assert peer.engine.draft is None


@pytest.mark.parametrize(
    ("settings", "draft"), [(DRAFT16, 16), (MORE, 16), (DRAFT07, 7), ({0x33: 1, 0x08: 1, 0x2B603742: 1}, 2)]
)
def test_settings_decide_the_draft(engine: MakePeer, settings: dict[int, int], draft: int) -> None:
    peer = engine(settings=settings)
    assert [type(event).__name__ for event in peer.events] == ["ConnectionReady"]
    assert peer.engine.is_ready
    assert peer.engine.draft == draft


def test_chromium_is_served(server: MakePeer) -> None:
    peer = server(settings=CHROMIUM)
    assert peer.engine.draft == 2
    session = peer.open_session(token="webtransport", sec_webtransport_http3_draft02="1")
    assert session.is_open


@pytest.mark.parametrize("settings", [{}, {0x33: 1, 0x08: 1}, {0x2C7CF000: 1, 0x08: 1}])
def test_a_client_closes_when_there_is_no_webtransport(client: MakePeer, settings: dict[int, int]) -> None:
    peer = client(settings=settings)
    assert peer.closed == ErrorCodes.WT_REQUIREMENTS_NOT_MET
    assert peer.names() == ["ConnectionClosed"]


def test_no_session_before_the_settings(client: MakePeer) -> None:
    peer = client(settings=None)
    with pytest.raises(SessionError, match="not ready"):
        peer.engine.open_session(authority="localhost", path="/", headers={})


def test_a_server_opens_no_sessions(server: MakePeer) -> None:
    with pytest.raises(SessionError):
        server().engine.open_session(authority="localhost", path="/", headers={})


def test_figures_of_the_connection(engine: MakePeer) -> None:
    peer = engine(max_datagram_size=65535)
    assert peer.engine.max_datagram_size == 1199
    assert peer.engine.remote_max_datagram_frame_size == 65535
    assert peer.engine.remote_address == ("192.0.2.1", 4433)
    assert peer.engine.round_trip_time == 0.05
    peer.port.max_datagram_payload = 0
    assert peer.engine.max_datagram_size == 0


# The peer's control stream (RFC 9114, 7.2).


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (encode_frame(0x21, b""), ErrorCodes.H3_MISSING_SETTINGS),
        (encode_frame(GOAWAY, b"\x00"), ErrorCodes.H3_MISSING_SETTINGS),
        (encode_frame(0x00, b"x"), ErrorCodes.H3_MISSING_SETTINGS),
        (b"\x40\x41\x00", ErrorCodes.H3_FRAME_ERROR),
        (encode_frame(SETTINGS, b"\x08"), ErrorCodes.H3_FRAME_ERROR),
        (encode_frame(SETTINGS, b"\x08\x01\x08\x01"), ErrorCodes.H3_SETTINGS_ERROR),
        (encode_frame(SETTINGS, b"\x02\x00"), ErrorCodes.H3_SETTINGS_ERROR),
        (encode_frame(SETTINGS, b"\x33\x02"), ErrorCodes.H3_SETTINGS_ERROR),
        (encode_frame(SETTINGS, encode_settings({0x2B603742: 2})), ErrorCodes.H3_SETTINGS_ERROR),
    ],
)
def test_settings_that_are_wrong(engine: MakePeer, data: bytes, code: ErrorCodes) -> None:
    peer = engine(settings=None)
    peer.send(peer.control_id, b"\x00" + data)
    assert peer.closed == code
    assert peer.names() == ["ConnectionClosed"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (encode_frame(SETTINGS, b""), ErrorCodes.H3_FRAME_UNEXPECTED),
        (encode_frame(0x00, b"x"), ErrorCodes.H3_FRAME_UNEXPECTED),
        (encode_frame(0x01, b"\x00\x00"), ErrorCodes.H3_FRAME_UNEXPECTED),
        (encode_frame(0x05, b"\x00"), ErrorCodes.H3_FRAME_UNEXPECTED),
        (encode_frame(0x02, b""), ErrorCodes.H3_FRAME_UNEXPECTED),
        (encode_frame(0x06, b""), ErrorCodes.H3_FRAME_UNEXPECTED),
        (encode_frame(0x08, b""), ErrorCodes.H3_FRAME_UNEXPECTED),
        (encode_frame(0x09, b""), ErrorCodes.H3_FRAME_UNEXPECTED),
        (b"\x40\x41\x00", ErrorCodes.H3_FRAME_ERROR),
        (encode_frame(GOAWAY, b"\x00\x00"), ErrorCodes.H3_FRAME_ERROR),
        (encode_frame(GOAWAY, b"\x40"), ErrorCodes.H3_FRAME_ERROR),
        (encode_frame(0x03, b"\x00"), ErrorCodes.H3_ID_ERROR),
        (encode_frame(GOAWAY, b"\x00") + encode_frame(GOAWAY, b"\x04"), ErrorCodes.H3_ID_ERROR),
    ],
)
def test_control_frames_that_are_wrong(engine: MakePeer, data: bytes, code: ErrorCodes) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.send(peer.control_id, data)
    assert peer.closed == code
    assert peer.names()[-2:] == ["SessionEnded", "ConnectionClosed"]
    assert session.end_error is not None
    assert session.end_error.error_code == code


def test_control_frames_only_one_side_may_send(engine: MakePeer) -> None:
    peer = engine()
    peer.send(peer.control_id, encode_frame(0x0D, b"\x05"))
    assert peer.closed == (ErrorCodes.H3_FRAME_UNEXPECTED if peer.port.is_client else None)
    peer = engine()
    peer.send(peer.control_id, encode_frame(GOAWAY, b"\x05"))
    assert peer.closed == (ErrorCodes.H3_ID_ERROR if peer.port.is_client else None)


def test_unknown_frames_on_the_control_stream_are_skipped(engine: MakePeer) -> None:
    peer = engine()
    peer.send(peer.control_id, encode_frame(0x21, b"x" * 100) + encode_frame(0x1F * 5 + 0x21, b""))
    peer.send_goaway(0)
    assert peer.closed is None
    assert peer.names() == ["GoawayReceived"]


# Winding down.


def test_shutting_down_tells_the_peer_once(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.engine.shutdown()
    peer.engine.shutdown()
    goaway = b"\x00" if peer.port.is_client else b"\x04"
    assert peer.control_frames()[1:] == [(GOAWAY, goaway)]
    assert peer.capsules(0) == [(DRAIN, b"")]
    assert session.is_open
    assert session.open_stream(unidirectional=True) is not None
    assert peer.closed is None


def test_requests_after_goaway_are_rejected(server: MakePeer) -> None:
    peer = server(settings=MORE)
    peer.open_session()
    late_but_lower = peer.next_id(unidirectional=False)
    peer.open_session()
    peer.names()
    peer.engine.shutdown()
    assert peer.control_frames()[1:] == [(GOAWAY, b"\x0c")]
    second = peer.request()
    rejected = ErrorCodes.H3_REQUEST_REJECTED
    assert peer.ends(second) == (rejected, rejected)
    assert peer.names() == []
    peer.send(late_but_lower, peer.connect_frame())
    assert peer.names() == ["SessionRequested"]


def test_goaway_covers_requests_that_were_answered_without_a_session(server: MakePeer) -> None:
    peer = server()
    assert peer.status(peer.request(token="websocket")) == 501
    peer.engine.shutdown()
    assert peer.control_frames()[1:] == [(GOAWAY, b"\x04")]


def test_shutting_down_leaves_undecided_sessions_undecided(server: MakePeer) -> None:
    peer = server()
    peer.request()
    session = peer.take_event("SessionRequested").session
    peer.engine.shutdown()
    session.accept()
    assert session.is_open


def test_data_streams_go_on_after_goaway(server: MakePeer) -> None:
    peer = server()
    peer.open_session()
    peer.engine.shutdown()
    assert peer.stream(peer.open_stream(0, b"x", unidirectional=False)).read() == b"x"
    peer.datagrams(datagram(0, b"x"))
    assert "DatagramsReceived" in peer.names()


def test_goaway_of_the_peer_drains_every_session(engine: MakePeer) -> None:
    peer = engine(settings=MORE)
    sessions = [peer.open_session(), peer.open_session()]
    peer.names()
    peer.send_goaway(8)
    peer.send_goaway(4)
    assert peer.names() == ["GoawayReceived", "SessionDraining", "SessionDraining"]
    assert all(session.state is SessionState.DRAINING for session in sessions)
    if peer.port.is_client:
        with pytest.raises(SessionError, match="GOAWAY"):
            peer.open_session()


# Closing.


def test_closing_without_sessions_is_done_at_once(engine: MakePeer) -> None:
    peer = engine()
    peer.engine.close(0, "bye")
    peer.pump()
    assert peer.port.closes == [(ErrorCodes.H3_NO_ERROR, "bye")]
    assert peer.names() == ["ConnectionClosed"]
    assert peer.engine.is_closed
    assert not peer.engine.is_ready
    peer.engine.close()
    peer.engine.shutdown()
    assert len(peer.port.closes) == 1


def test_closing_before_the_settings(engine: MakePeer) -> None:
    peer = engine(settings=None)
    peer.engine.close(5)
    assert peer.port.closes == [(5, "")]


@pytest.mark.parametrize("code", [-1, 2**62])
def test_a_code_that_no_frame_can_carry_is_refused(engine: MakePeer, code: int) -> None:
    peer = engine()
    with pytest.raises(ValueError, match="error_code"):
        peer.engine.close(code)
    assert peer.closed is None


def test_closing_waits_for_the_connect_streams(engine: MakePeer) -> None:
    """CONNECTION_CLOSE would overtake the CLOSE capsules (draft-16, section 6)."""
    peer = engine(settings=MORE)
    peer.open_session()
    peer.open_session()
    peer.names()
    peer.engine.close(7, "bye")
    peer.pump()
    assert peer.names() == ["SessionEnded", "SessionEnded"]
    assert peer.capsules(0) == peer.capsules(4) == [(CLOSE, bytes(4))]
    assert peer.closed is None
    if peer.port.is_client:
        with pytest.raises(SessionError):
            peer.open_session()
    peer.send(0, b"", fin=True)
    assert peer.closed is None
    peer.reset(4, int(ErrorCodes.WT_SESSION_GONE))
    assert peer.port.closes == [(7, "bye")]
    assert peer.names() == ["ConnectionClosed"]


def test_closing_waits_no_longer_than_three_probe_timeouts(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    peer.engine.close(7)
    peer.wait(CLOSE_WAIT - 0.01)
    assert peer.closed is None
    peer.wait(0.02)
    assert peer.closed == 7
    assert peer.engine.next_deadline() is None
    assert peer.names()[-1] == "ConnectionClosed"


def test_closing_refuses_requests_that_are_undecided_or_come_later(server: MakePeer) -> None:
    peer = server(settings=MORE)
    peer.request()
    peer.engine.close()
    assert peer.status(0) == 403
    late = peer.request()
    assert peer.ends(late) == (ErrorCodes.H3_REQUEST_REJECTED, ErrorCodes.H3_REQUEST_REJECTED)
    peer.answer_ends()
    assert peer.closed == ErrorCodes.H3_NO_ERROR


def test_a_peer_that_closes_first_is_as_good(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    peer.engine.close(7)
    peer.close(9, "me too")
    ended = peer.take_event("ConnectionClosed")
    assert (ended.error_code, ended.reason, ended.by_peer) == (9, "me too", True)
    assert peer.closed is None
    assert peer.engine.next_deadline() is None


# Losing the connection.


@pytest.mark.parametrize("is_application", [False, True])
def test_everything_ends_before_the_connection_does(engine: MakePeer, is_application: bool) -> None:
    peer = engine(settings=with_flow_control(data=1, bidi=1))
    session = peer.open_session()
    stream = session.open_stream(unidirectional=False)
    assert stream is not None
    stream.write(b"waits for credit")
    stream.watch_writable(0)
    stream.wants_readable = True
    theirs = peer.stream(peer.open_stream(0, b"unread", unidirectional=True))
    assert session.open_stream(unidirectional=True) is None
    peer.names()
    peer.close(0x10C, "away", is_application=is_application)
    closed = peer.events[-1]
    assert (closed.error_code, closed.reason) == (0x10C, "away")
    assert (closed.by_peer, closed.is_application) == (True, is_application)
    names = peer.names()
    assert sorted(names[:-2]) == [
        "StreamCreditAvailable",
        "StreamFinished",
        "StreamFinished",
        "StreamReadable",
        "StreamWritable",
    ]
    assert names[-2:] == ["SessionEnded", "ConnectionClosed"]
    assert (session.close_code, session.ended_by_peer) == (None, True)
    assert session.end_error is not None
    assert session.end_error.error_code == 0x10C
    assert "away" in str(session.end_error)
    assert theirs.read() == b"unread"
    for attempt in (theirs.read, stream.read, lambda: stream.write(b"x")):
        with pytest.raises(StreamError):
            attempt()
    with pytest.raises(SessionError):
        session.send_datagram(b"x")
    assert peer.engine._router.readers == {}
    peer.assert_nothing_left()


def test_a_session_that_was_asked_for_is_rejected_by_the_loss(client: MakePeer) -> None:
    peer = client()
    peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.close(0x10C, "away")
    rejected = peer.take_event("SessionRejected")
    assert rejected.status is None
    assert "away" in rejected.reason
    assert peer.names() == ["SessionEnded", "ConnectionClosed"]


def test_after_a_violation_nothing_else_is_looked_at(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    peer.names()
    peer.queue(peer.control_id, encode_frame(SETTINGS, b""))
    stream_id = peer.next_id(unidirectional=True)
    peer.queue(stream_id, b"\x40\x54\x00late")
    peer.send(0, b"\x00\x01")
    assert peer.names() == ["SessionEnded", "ConnectionClosed"]
    assert len(peer.port.closes) == 1


def test_what_came_before_a_violation_counts(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    peer.names()
    peer.send_goaway(0)
    peer.send(peer.control_id, encode_frame(GOAWAY, b"\x00") + encode_frame(SETTINGS, b""))
    assert peer.names() == ["GoawayReceived", "SessionDraining", "SessionEnded", "ConnectionClosed"]


def test_events_of_no_interest_are_ignored(engine: MakePeer) -> None:
    peer = engine()
    peer.port.events.append(quic.HandshakeFinished())
    peer.port.events.append(quic.StreamDrained(400))
    peer.port.events.append(quic.StreamStopped(2, 0, 0) if not peer.port.is_client else quic.StreamStopped(3, 0, 0))
    peer.port.events.append(quic.StreamDiscarded(401, 5))
    peer.pump()
    assert peer.closed is None
    assert peer.names() == []


def test_what_comes_for_a_stream_of_ours_that_is_over_is_nobodys(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    stream = session.open_stream(unidirectional=False)
    assert stream is not None
    stream.write(b"", end_stream=True)
    peer.send(stream.stream_id, b"", fin=True)
    peer.port.streams[stream.stream_id].delivered += 4
    peer.port.events.append(quic.StreamBytes(stream.stream_id, b"late", True))
    peer.port.events.append(quic.StreamReset(stream.stream_id, 0, 4))
    peer.pump()
    assert peer.port.held_credit == 0
    assert stream.stream_id not in peer.engine._router.readers
    assert peer.closed is None


def test_the_earliest_deadline_counts(server: MakePeer) -> None:
    peer = server(pending_event_ttl=5.0)
    assert peer.engine.next_deadline() is None
    peer.wait(1.0)
    peer.datagrams(datagram(40, b"x"))
    assert peer.engine.next_deadline() == 6.0
    peer.open_session()
    peer.stop(0, int(ErrorCodes.WT_SESSION_GONE))
    assert peer.engine.next_deadline() == 1.0 + CLOSE_WAIT
    peer.port.next_deadline = lambda: 1.1  # type: ignore[method-assign]
    assert peer.engine.next_deadline() == 1.1
    peer.port.is_terminated = True
    assert peer.engine.next_deadline() is None
