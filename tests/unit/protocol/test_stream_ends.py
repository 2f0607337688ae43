"""How the two sides of a data stream end: FIN, reset, reading given up; and the codes that go with it."""

from __future__ import annotations

import pytest
from scripted_peer import MakePeer, body, our_stream, stream_header

from wtransport._protocol.error_codes import to_wire
from wtransport.constants import ErrorCodes
from wtransport.exceptions import StreamError
from wtransport.types import StreamState

BOTH = pytest.mark.parametrize("unidirectional", [False, True])


# Resets.


@BOTH
def test_resetting_drops_what_was_not_sent(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine()
    peer.open_session()
    stream = our_stream(peer, unidirectional=unidirectional)
    stream.write(b"sent")
    peer.port.hold = True
    stream.write(b"unsent")
    peer.names()
    stream.reset(30)
    peer.pump()
    assert peer.ends(stream.stream_id) == (0x52E4A40FA8FA, None)
    assert body(peer, stream) == b"sent"
    assert (stream.unsent, stream.can_send, stream.state) == (0, False, StreamState.RESET_SENT)
    assert peer.names() == (["StreamFinished"] if unidirectional else [])
    with pytest.raises(StreamError):
        stream.write(b"x")
    stream.reset(31)
    assert peer.ends(stream.stream_id)[0] == 0x52E4A40FA8FA


def test_resetting_after_the_fin_takes_back_what_is_under_way(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    stream = our_stream(peer, unidirectional=True)
    peer.port.hold = True
    stream.write(b"12345", end_stream=True)
    peer.port.let_go(stream.stream_id, 2)
    stream.reset(0)
    assert peer.ends(stream.stream_id)[0] == to_wire(0)
    assert session.flow.local_data_sent == 2


@pytest.mark.parametrize("code", [-1, 2**32])
def test_codes_have_32_bits(engine: MakePeer, code: int) -> None:
    peer = engine()
    peer.open_session()
    stream = our_stream(peer)
    for abort in (stream.reset, stream.stop):
        with pytest.raises(ValueError, match="application_code"):
            abort(code)
    assert peer.ends(stream.stream_id) == (None, None)
    assert stream.state is StreamState.OPEN


@pytest.mark.parametrize("code", [0, 1, 29, 30, 255, 0xFFFFFFFF])
def test_codes_are_mapped_both_ways(engine: MakePeer, code: int) -> None:
    peer = engine()
    peer.open_session()
    stream = our_stream(peer)
    stream.reset(code)
    stream.stop(code)
    assert peer.ends(stream.stream_id) == (to_wire(code), to_wire(code))
    stream_id = peer.open_stream(0, unidirectional=False)
    theirs = peer.stream(stream_id)
    peer.stop(stream_id, to_wire(code))
    peer.reset(stream_id, to_wire(code))
    assert (theirs.stop_code, theirs.reset_code) == (code, code)
    for error in (theirs.send_error, theirs.receive_error):
        assert error is not None
        assert (error.error_code, error.application_code, error.stream_id) == (code, code, stream_id)


@pytest.mark.parametrize("wire", [0x10C, int(ErrorCodes.WT_SESSION_GONE), 0x52E4A40FA8F9, 0x52E5AC983163, 0])
def test_codes_that_are_no_applications(engine: MakePeer, wire: int) -> None:
    """draft-16, 4.4: still a reset, with no application code."""
    peer = engine()
    session = peer.open_session()
    stream_id = peer.open_stream(0, unidirectional=False)
    stream = peer.stream(stream_id)
    peer.stop(stream_id, wire)
    peer.reset(stream_id, wire)
    peer.wait(1.0)  # WT_SESSION_GONE may have overtaken the end of the session, which does not come
    assert (stream.stop_code, stream.reset_code) == (None, None)
    for error in (stream.send_error, stream.receive_error):
        assert error is not None
        assert (error.error_code, error.application_code) == (wire, None)
    assert session.is_open
    assert peer.closed is None


def test_what_came_before_a_reset_can_be_read(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream_id = peer.open_stream(0, b"before", unidirectional=True)
    stream = peer.stream(stream_id)
    stream.wants_readable = True
    peer.names()
    peer.reset(stream_id, to_wire(7))
    assert sorted(peer.names()) == ["StreamFinished", "StreamReadable"]
    assert peer.port.held_credit == 0, "credit does not wait for a program that may drop the stream"
    assert stream.state is StreamState.RESET_RECEIVED
    assert stream.read(3) == b"bef"
    assert stream.read() == b"ore"
    for _ in range(2):
        with pytest.raises(StreamError) as caught:
            stream.read()
        assert caught.value.application_code == 7
    assert not stream.at_eof
    assert peer.port.held_credit == 0


def test_a_reset_leaves_the_other_side_open(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream_id = peer.open_stream(0, b"x", unidirectional=False)
    stream = peer.stream(stream_id)
    peer.names()
    peer.reset(stream_id, to_wire(7))
    assert peer.names() == []
    stream.write(b"still", end_stream=True)
    peer.pump()
    assert peer.names() == ["StreamFinished"]
    assert body(peer, stream) == b"still"


def test_stop_sending_ends_the_sending_side(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream = our_stream(peer)
    peer.names()
    peer.stop(stream.stream_id, to_wire(3))
    assert not stream.can_send
    assert stream.state is StreamState.RESET_SENT
    with pytest.raises(StreamError) as caught:
        stream.write(b"x")
    assert caught.value.application_code == 3
    peer.send(stream.stream_id, b"other side", fin=True)
    assert stream.read() == b"other side"
    assert peer.names() == ["StreamFinished"]


def test_stop_sending_of_a_unidirectional_stream_finishes_it(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream = our_stream(peer, unidirectional=True)
    peer.names()
    peer.stop(stream.stream_id, to_wire(3))
    assert peer.names() == ["StreamFinished"]


# Giving up reading.


def test_stopping_discards_and_asks_the_peer_to_stop(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    stream_id = peer.open_stream(0, b"unread", unidirectional=True)
    stream = peer.stream(stream_id)
    stream.wants_readable = True
    peer.names()
    stream.stop(9)
    peer.pump()
    assert peer.ends(stream_id) == (None, to_wire(9))
    assert peer.names() == ["StreamReadable"]
    assert peer.port.held_credit == 0
    assert stream.buffered == 0
    with pytest.raises(StreamError, match="stopped here"):
        stream.read()
    stream.stop(10)
    assert peer.ends(stream_id)[1] == to_wire(9)
    peer.send(stream_id, b"on its way")
    assert peer.names() == []
    peer.reset(stream_id, to_wire(9), final_size=100)
    assert peer.names() == ["StreamFinished"]
    assert session.flow.peer_data_sent == 100 - len(stream_header(0, unidirectional=True))
    assert stream_id not in peer.engine._router.readers


def test_stopping_waits_for_the_fin(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    stream_id = peer.open_stream(0, b"unread", unidirectional=True)
    peer.stream(stream_id).stop(9)
    peer.names()
    peer.send(stream_id, b"and the rest", fin=True)
    assert peer.names() == ["StreamFinished"]
    assert session.flow.peer_data_sent == 18
    assert peer.port.held_credit == 0


def test_bytes_that_arrive_while_stopping_are_credited(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream_id = peer.open_stream(0, b"a", unidirectional=True)
    stream = peer.stream(stream_id)
    peer.queue(stream_id, b"bcd")
    stream.stop(0)
    peer.pump()
    assert peer.port.held_credit == 0
    assert stream.buffered == 0


def test_stopping_after_the_fin_only_discards(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream_id = peer.open_stream(0, b"all", unidirectional=False, fin=True)
    stream = peer.stream(stream_id)
    stream.stop(1)
    assert peer.ends(stream_id) == (None, None)
    assert stream.read() == b""
    assert peer.port.held_credit == 0


# The end.


def test_a_stream_finishes_once_when_both_sides_are_over(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    for order in ("send first", "receive first"):
        stream_id = peer.open_stream(0, unidirectional=False)
        stream = peer.stream(stream_id)
        peer.names()
        if order == "send first":
            stream.write(b"", end_stream=True)
        peer.send(stream_id, b"", fin=True)
        if order == "receive first":
            assert peer.names() == []
            stream.write(b"", end_stream=True)
        peer.pump()
        assert peer.names() == ["StreamFinished"]
        assert stream.state is StreamState.CLOSED
        assert stream_id not in session.streams
        assert stream_id not in peer.engine.streams
        stream.reset(1)
        stream.stop(1)
        peer.pump()
        assert peer.names() == []


def test_states_as_the_sides_end(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream = our_stream(peer)
    states = [stream.state]
    stream.write(b"", end_stream=True)
    states.append(stream.state)
    peer.send(stream.stream_id, b"x", fin=True)
    states.append(stream.state)
    assert states == [StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL, StreamState.CLOSED]
    stream = peer.stream(peer.open_stream(0, unidirectional=False, fin=True))
    assert stream.state is StreamState.HALF_CLOSED_REMOTE
