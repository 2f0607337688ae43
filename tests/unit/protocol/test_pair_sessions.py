"""Sessions between two engines of ours, over QUIC in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from engine_pair import EnginePair
from network import Network

from wtransport._protocol import events
from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError, StreamError
from wtransport.types import SessionState

MakePair: TypeAlias = Callable[..., EnginePair]
ENDS = pytest.mark.parametrize("closer", ["client", "server"])


def names(ends: EnginePair, side: str) -> list[str]:
    log = ends.client_events if side == "client" else ends.server_events
    return [type(event).__name__ for event in log]


def sessions(ends: EnginePair, closer: str) -> tuple[Any, Any]:
    """Open a session; return the end that closes it, and the other."""
    ours, theirs = ends.open_session()
    return (ours, theirs) if closer == "client" else (theirs, ours)


def assert_nothing_left(ends: EnginePair) -> None:
    """Fail unless both ends, QUIC included, keep nothing but the control streams."""
    for engine in (ends.client, ends.server):
        assert engine.sessions == {}
        assert engine.streams == {}
        assert engine._router.connects == {}
        assert {stream_id for stream_id in engine._router.readers if stream_id > 3} == set()
        assert engine._early._total == 0
        table = engine.port._table  # type: ignore[attr-defined]
        assert {stream_id for stream_id in table.streams if stream_id > 3} == set()
        assert table.receive_window.received == table.receive_window.consumed


# Opening.


def test_two_ends_of_ours_speak_the_newest_draft_with_flow_control(pair: MakePair) -> None:
    ends = pair()
    assert (ends.client.draft, ends.server.draft) == (16, 16)
    ours, theirs = ends.open_session("/chat")
    assert theirs.path == "/chat"
    assert ours.flow.send.enabled
    assert theirs.flow.send.enabled
    assert ends.open_session()[0].is_open, "a second one"


def test_a_session_is_refused(pair: MakePair) -> None:
    ends = pair()
    session = ends.client.open_session(authority="localhost", path="/nowhere", headers={})
    ends.pump()
    ends.take("server", events.SessionRequested).session.reject(404, {"x-why": "nothing here"})
    ends.pump()
    assert ends.take("client", events.SessionRejected).status == 404
    assert session.response_headers["x-why"] == "nothing here"
    assert_nothing_left(ends)


def test_a_subprotocol_is_agreed_on(pair: MakePair) -> None:
    ends = pair()
    session = ends.client.open_session(authority="localhost", path="/", headers={}, protocols=["a", "b"])
    ends.pump()
    request = ends.take("server", events.SessionRequested).session
    assert request.available_protocols == ["a", "b"]
    request.accept(protocol="b")
    ends.pump()
    assert session.protocol == "b"


def test_too_many_sessions_are_refused(pair: MakePair) -> None:
    ends = pair(server={"max_sessions": 1})
    ends.open_session()
    ends.client.open_session(authority="localhost", path="/", headers={})
    ends.pump()
    assert ends.take("client", events.SessionRejected).status == 429


# Ending.


@ENDS
def test_code_and_reason_arrive(pair: MakePair, closer: str) -> None:
    ends = pair()
    first, other = sessions(ends, closer)
    first.close(42, "bye")
    ends.pump()
    for session, by_peer in ((first, False), (other, True)):
        assert (session.close_code, session.close_reason, session.ended_by_peer) == (42, "bye", by_peer)
        assert session.end_error is None
    assert "SessionEnded" in names(ends, "client")
    assert "SessionEnded" in names(ends, "server")
    assert_nothing_left(ends)
    assert ends.open_session()[0].is_open


@ENDS
@pytest.mark.parametrize("seed", range(12))
def test_code_and_reason_arrive_whatever_the_network_does(pair: MakePair, closer: str, seed: int) -> None:
    ends = pair(network=Network(seed=seed, loss=0.2, jitter=0.02))
    ends.pump(5)
    client = ends.client.open_session(authority="localhost", path="/", headers={})
    ends.pump(5)
    server = ends.take("server", events.SessionRequested).session
    server.accept()
    ends.pump(5)
    first: Any = client if closer == "client" else server
    other: Any = server if closer == "client" else client
    stream = first.open_stream(unidirectional=False)
    stream.write(bytes(5000))
    other.open_stream(unidirectional=True).write(bytes(5000))
    ends.pump(0.01)
    first.close(42, "bye")
    ends.pump(10)
    assert (other.close_code, other.close_reason, other.end_error) == (42, "bye", None)
    assert_nothing_left(ends)


@ENDS
def test_streams_end_with_their_session(pair: MakePair, closer: str) -> None:
    ends = pair()
    first, other = sessions(ends, closer)
    bidi, uni = first.open_stream(unidirectional=False), first.open_stream(unidirectional=True)
    bidi.write(b"hello")
    uni.write(b"hello")
    back = other.open_stream(unidirectional=False)
    back.write(b"hello")
    ends.pump()
    theirs = [*other.streams.values()]
    assert len(theirs) == 3
    first.close()
    ends.pump()
    for stream in (bidi, uni, back, *theirs):
        if stream.is_local or not stream.is_unidirectional:
            with pytest.raises(StreamError):
                stream.write(b"x")
    assert_nothing_left(ends)


@ENDS
def test_a_connection_that_closes_tells_the_sessions_first(pair: MakePair, closer: str) -> None:
    ends = pair()
    first, other = sessions(ends, closer)
    engine = ends.client if closer == "client" else ends.server
    first.close(42, "bye")
    engine.close(0x10C, "over")
    ends.pump(1.0)
    other_side = "server" if closer == "client" else "client"
    assert (other.close_code, other.close_reason) == (42, "bye")
    assert names(ends, other_side)[-1] == "ConnectionClosed"
    assert names(ends, closer)[-1] == "ConnectionClosed"
    log = ends.server_events if closer == "client" else ends.client_events
    assert (log[-1].error_code, log[-1].reason, log[-1].by_peer) == (0x10C, "over", True)


@ENDS
def test_closing_the_connection_closes_the_sessions(pair: MakePair, closer: str) -> None:
    ends = pair()
    first, other = sessions(ends, closer)
    (ends.client if closer == "client" else ends.server).close()
    ends.pump(1.0)
    assert (first.close_code, first.ended_by_peer) == (0, False)
    assert (other.close_code, other.end_error, other.ended_by_peer) == (0, None, True)


def test_a_peer_that_is_gone_does_not_keep_the_connection_open(pair: MakePair) -> None:
    ends = pair()
    ends.open_session()
    ends.network.cut()
    ends.client.close()
    started = ends.now
    ends.advance(5.0)
    assert ends.client.is_closed
    assert ends.take("client", events.ConnectionClosed).by_peer is False
    assert ends.now - started <= 5.0


@ENDS
def test_a_long_reason_does_not_keep_the_connection_open(pair: MakePair, closer: str) -> None:
    ends = pair()
    engine = ends.client if closer == "client" else ends.server
    engine.close(5, "é" * 10_000 + "\ud800")
    ends.pump(1.0)
    log = ends.server_events if closer == "client" else ends.client_events
    assert type(log[-1]).__name__ == "ConnectionClosed"
    assert (log[-1].error_code, log[-1].reason) == (5, "é" * 128)


def test_shutting_down(pair: MakePair) -> None:
    ends = pair()
    ours, theirs = ends.open_session()
    ends.server.shutdown()
    ends.pump()
    assert ends.take("client", events.GoawayReceived)
    assert ends.take("client", events.SessionDraining).session is ours
    assert ours.state is theirs.state is SessionState.DRAINING
    with pytest.raises(SessionError, match="GOAWAY"):
        ends.client.open_session(authority="localhost", path="/", headers={})
    stream = ours.open_stream(unidirectional=False)
    stream.write(b"still", end_stream=True)
    ends.pump()
    assert theirs.streams[stream.stream_id].read() == b"still"


def test_a_session_that_a_client_gives_up_before_its_answer(pair: MakePair) -> None:
    ends = pair()
    session = ends.client.open_session(authority="localhost", path="/", headers={})
    ends.pump()
    request = ends.take("server", events.SessionRequested).session
    session.close()
    ends.pump()
    assert request.state is SessionState.CLOSED
    assert request.end_error.error_code == ErrorCodes.H3_REQUEST_CANCELLED
    assert_nothing_left(ends)


# On and on.


def test_a_connection_outlives_sessions_whose_data_nobody_read(pair: MakePair) -> None:
    """Each session takes half a connection window along, if its end does not give it back."""
    ends = pair(server={"flow_control_window_size": 16 * 1024}, client={"flow_control_window_size": 16 * 1024})
    for number in range(12):
        ours, theirs = ends.open_session()
        for _ in range(4):
            for session in (ours, theirs):
                stream = session.open_stream(unidirectional=True)
                stream.write(bytes(8 * 1024), end_stream=True)
        ends.pump()
        assert theirs.flow.peer_data_sent == ours.flow.peer_data_sent == 32 * 1024, number
        ours.close()
        ends.pump()
    assert_nothing_left(ends)


def test_hundreds_of_sessions_and_thousands_of_streams_leave_nothing(pair: MakePair) -> None:
    ends = pair()
    for number in range(100):
        ours, theirs = ends.open_session()
        for kind in range(20):
            stream = (ours if kind & 2 else theirs).open_stream(unidirectional=bool(kind & 1))
            stream.write(b"x" * 10, end_stream=kind < 10)
            if kind % 7 == 0:
                stream.reset(kind)
        ends.pump()
        for session in (ours, theirs):
            for stream in list(session.streams.values()):
                if stream.can_receive and number & 1:
                    stream.read()
        (ours if number & 2 else theirs).close(number)
        ends.pump()
        ends.client_events.clear()
        ends.server_events.clear()
        assert ours.close_code == theirs.close_code == number
    assert_nothing_left(ends)


@pytest.mark.parametrize("opener", ["client", "server"])
@pytest.mark.parametrize("unidirectional", [False, True])
def test_a_stream_reset_in_the_turn_that_opened_it_is_seen_by_the_other_end(
    pair: MakePair, opener: str, unidirectional: bool
) -> None:
    ends = pair()
    ours, theirs = ends.open_session()
    if opener == "server":
        ours, theirs = theirs, ours
    stream = ours.open_stream(unidirectional=unidirectional)
    stream.write(bytes(1000))
    stream.reset(7)
    ends.pump()
    other = "server" if opener == "client" else "client"
    opened = ends.take(other, events.StreamOpened).stream
    assert opened.stream_id == stream.stream_id
    assert opened.reset_code == 7
    assert theirs.flow.receive.streams_opened[unidirectional] == 1
    assert theirs.flow.peer_data_sent == ours.flow.local_data_sent == 0


def test_streams_that_a_session_opened_and_left_behind_are_seen_by_the_other_end(pair: MakePair) -> None:
    ends = pair()
    ours, theirs = ends.open_session()
    opened = [ours.open_stream(unidirectional=True) for _ in range(3)]
    ours.close(5, "gone")
    ends.pump()
    assert theirs.close_code == 5
    assert not ends.server.streams
    assert not any(ends.client.port._table.streams.get(stream.stream_id) for stream in opened)
