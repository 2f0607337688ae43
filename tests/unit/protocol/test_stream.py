"""One data stream: how it opens, what is written and read, and who is woken when."""

from __future__ import annotations

import pytest
from scripted_peer import MakePeer, body, our_stream, stream_header

from wtransport._protocol.error_codes import to_wire
from wtransport.exceptions import StreamError
from wtransport.types import StreamDirection, StreamState

BOTH = pytest.mark.parametrize("unidirectional", [False, True])


# Opening.


@BOTH
def test_the_header_goes_out_with_the_opening(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine()
    peer.open_session()
    stream = our_stream(peer, unidirectional=unidirectional)
    assert peer.sent(stream.stream_id) == stream_header(0, unidirectional=unidirectional)
    assert peer.engine.streams[stream.stream_id] is stream
    assert (stream.is_local, stream.is_unidirectional, stream.can_send) == (True, unidirectional, True)
    assert stream.can_receive is not unidirectional
    assert stream.direction is (StreamDirection.SEND_ONLY if unidirectional else StreamDirection.BIDIRECTIONAL)
    assert stream.state is StreamState.OPEN


@BOTH
def test_a_stream_of_the_peer_is_told_of_with_its_header_alone(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    stream_id = peer.open_stream(0, unidirectional=unidirectional)
    stream = peer.take_event("StreamOpened").stream
    assert peer.names() == []
    assert (stream.stream_id, stream.session, stream.is_local) == (stream_id, session, False)
    assert stream.can_receive
    assert stream.can_send is not unidirectional
    assert stream.direction is (StreamDirection.RECEIVE_ONLY if unidirectional else StreamDirection.BIDIRECTIONAL)
    assert stream.read() is None
    assert not stream.at_eof


@BOTH
def test_an_empty_stream_of_the_peer(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine()
    peer.open_session()
    peer.names()
    peer.open_stream(0, unidirectional=unidirectional, fin=True)
    stream = peer.take_event("StreamOpened").stream
    assert peer.names() == (["StreamFinished"] if unidirectional else [])
    assert stream.read() == b""
    assert stream.read() == b""
    assert stream.at_eof
    assert stream.state is (StreamState.CLOSED if unidirectional else StreamState.HALF_CLOSED_REMOTE)


# Writing.


@BOTH
def test_bytes_and_fin_go_out(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine()
    peer.open_session()
    stream = our_stream(peer, unidirectional=unidirectional)
    peer.names()
    stream.write(b"one")
    stream.write(b"")
    stream.write(b"two", end_stream=True)
    peer.pump()
    assert body(peer, stream) == b"onetwo"
    assert peer.port.streams[stream.stream_id].fin
    assert (stream.bytes_sent, stream.unsent, stream.can_send) == (6, 0, False)
    assert stream.state is (StreamState.CLOSED if unidirectional else StreamState.HALF_CLOSED_LOCAL)
    assert peer.names() == (["StreamFinished"] if unidirectional else [])
    with pytest.raises(StreamError, match="closed for writing"):
        stream.write(b"more")


def test_the_reply_has_no_header(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream = peer.stream(peer.open_stream(0, b"ask", unidirectional=False, fin=True))
    stream.write(b"answer", end_stream=True)
    assert peer.sent(stream.stream_id) == b"answer"


def test_only_the_sender_writes(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream = peer.stream(peer.open_stream(0, unidirectional=True))
    with pytest.raises(StreamError):
        stream.write(b"x")
    with pytest.raises(StreamError, match="receive-only"):
        stream.reset(0)
    with pytest.raises(StreamError, match="send-only"):
        our_stream(peer, unidirectional=True).stop(0)


def test_a_writer_is_woken_at_the_mark_and_once(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream = our_stream(peer)
    peer.port.hold = True
    stream.write(bytes(100))
    assert stream.unsent == 100
    stream.watch_writable(40)
    peer.names()
    peer.port.let_go(stream.stream_id, 50)
    peer.pump()
    assert peer.names() == []
    peer.port.let_go(stream.stream_id, 10)
    peer.pump()
    assert peer.names() == ["StreamWritable"]
    assert not stream.wants_writable
    peer.port.let_go(stream.stream_id)
    peer.pump()
    assert peer.names() == []


def test_a_writer_with_room_is_woken_at_once(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream = our_stream(peer)
    peer.names()
    stream.watch_writable(0)
    peer.pump()
    assert peer.names() == ["StreamWritable"]


@BOTH
def test_a_writer_is_woken_when_the_sending_side_ends(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine()
    peer.open_session()
    for end in ("fin", "reset", "stop"):
        peer.port.hold = False
        stream = our_stream(peer, unidirectional=unidirectional)
        peer.port.hold = True
        stream.write(bytes(100))
        stream.watch_writable(0)
        peer.pump()
        peer.names()
        match end:
            case "fin":
                stream.write(b"", end_stream=True)
            case "reset":
                stream.reset(1)
            case _:
                peer.stop(stream.stream_id, to_wire(1))
        peer.pump()
        assert peer.names()[0] == "StreamWritable", end


def test_a_writer_that_watches_a_stream_with_fin_learns_of_stop_sending(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream = our_stream(peer)
    peer.port.hold = True
    stream.write(bytes(100), end_stream=True)
    stream.watch_writable(0)
    peer.names()
    peer.stop(stream.stream_id, to_wire(5))
    assert "StreamWritable" in peer.names()
    assert stream.stop_code == 5
    assert stream.send_error is not None


# Reading.


@BOTH
def test_bytes_come_in_order_and_give_credit_when_read(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine()
    peer.open_session()
    stream_id = peer.open_stream(0, b"hello", unidirectional=unidirectional)
    stream = peer.stream(stream_id)
    state = peer.port.streams[stream_id]
    peer.send(stream_id, b" world")
    assert stream.buffered == 11
    assert state.delivered - state.consumed == 11
    assert stream.read(4) == b"hell"
    assert state.delivered - state.consumed == 7
    assert stream.find(b"world") == 2
    assert stream.find(b"nope") == -1
    assert stream.find(b"o", 1) == 3
    assert stream.read() == b"o world"
    assert state.delivered == state.consumed
    assert stream.read() is None
    peer.send(stream_id, b"", fin=True)
    assert stream.read() == b""
    assert stream.at_eof
    assert stream.bytes_received == 11


def test_peeking_takes_nothing(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream = peer.stream(peer.open_stream(0, b"hello", unidirectional=True))
    held = peer.port.held_credit
    assert stream.peek() == stream.peek() == b"hello"
    assert peer.port.held_credit == held
    assert stream.read() == b"hello"


def test_a_reader_is_told_when_it_asked_and_once(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream_id = peer.open_stream(0, unidirectional=True)
    stream = peer.stream(stream_id)
    peer.names()
    peer.send(stream_id, b"a")
    assert peer.names() == []
    stream.wants_readable = True
    peer.send(stream_id, b"b")
    assert peer.names() == ["StreamReadable"]
    assert not stream.wants_readable
    peer.send(stream_id, b"c")
    assert peer.names() == []
    stream.wants_readable = True
    peer.send(stream_id, b"", fin=True)
    assert sorted(peer.names()) == ["StreamFinished", "StreamReadable"]


def test_bytes_after_the_end_of_both_sides_can_be_read(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream_id = peer.open_stream(0, b"the end", unidirectional=True, fin=True)
    stream = peer.take_event("StreamOpened").stream
    assert peer.take_event("StreamFinished").stream is stream
    assert stream_id not in peer.engine.streams
    assert stream.can_receive
    assert stream.read() == b"the end"
    assert not stream.can_receive
    assert peer.port.held_credit == 0


def test_expecting_more_than_the_window_extends_credit(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream_id = peer.open_stream(0, b"1234", unidirectional=True)
    stream = peer.stream(stream_id)
    stream.expect(10)
    assert peer.port.held_credit == 0, "what is held would keep the rest away"
    peer.send(stream_id, b"5678")
    assert peer.port.held_credit == 0
    peer.send(stream_id, b"90")
    assert peer.port.held_credit == 2, "enough is there"
    stream.expect(0)
    assert stream.read(10) == b"1234567890"
    assert peer.port.held_credit == 0
    peer.send(stream_id, b"abc")
    assert peer.port.held_credit == 3
    assert stream.read(2) == b"ab"
    assert peer.port.held_credit == 1


def test_credit_given_ahead_is_not_given_again(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    stream_id = peer.open_stream(0, b"1234", unidirectional=True)
    stream = peer.stream(stream_id)
    stream.expect(10)
    assert stream.read(2) == b"12"
    stream.expect(0)
    peer.send(stream_id, b"56")
    assert peer.port.held_credit == 2
    assert stream.read(3) == b"345"
    assert peer.port.held_credit == 1
    assert stream.read() == b"6"
    assert peer.port.held_credit == 0
    stream.expect(10)
    peer.send(stream_id, b"78")
    stream.stop(0)
    assert peer.port.held_credit == 0
    assert session.flow.receive.data_consumed == session.flow.receive.data_received == 8
