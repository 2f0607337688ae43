"""What a session has: datagrams, and streams and credit that go with it."""

from __future__ import annotations

import pytest
from scripted_peer import MakePeer, datagram, with_flow_control

from wtransport.constants import ErrorCodes
from wtransport.exceptions import DatagramError, StreamError

FLOW = with_flow_control(data=1000, bidi=4, uni=4)
GONE = int(ErrorCodes.WT_SESSION_GONE)


# What goes with a session.


def test_the_end_resets_and_stops_what_is_open(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    ours = session.open_stream(unidirectional=False)
    out = session.open_stream(unidirectional=True)
    assert ours is not None
    assert out is not None
    theirs = peer.open_stream(0, b"hello", unidirectional=False)
    incoming = peer.open_stream(0, b"hello", unidirectional=True)
    session.close(1)
    peer.pump()
    assert peer.ends(ours.stream_id) == (GONE, GONE)
    assert peer.ends(out.stream_id) == (GONE, None)
    assert peer.ends(theirs) == (GONE, GONE)
    assert peer.ends(incoming) == (None, GONE)
    names = peer.names()
    assert names.count("StreamFinished") == 4
    assert names[-1] == "SessionEnded"
    assert peer.engine.streams == {}
    assert session.streams == {}
    peer.answer_ends()
    peer.send(0, b"", fin=True)
    peer.assert_nothing_left()


def test_the_end_leaves_alone_what_is_over(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    sent = session.open_stream(unidirectional=False)
    assert sent is not None
    sent.write(b"all", end_stream=True)
    peer.port.hold = True
    slow = session.open_stream(unidirectional=True)
    assert slow is not None
    slow.write(b"on its way", end_stream=True)
    heard = peer.open_stream(0, b"all", unidirectional=False, fin=True)
    peer.reset(peer.open_stream(0, b"x", unidirectional=True), 0)
    session.close()
    assert peer.ends(sent.stream_id) == (None, GONE)
    assert peer.ends(slow.stream_id) == (None, None), "what was written with its FIN still arrives"
    assert peer.ends(heard) == (GONE, None)
    assert all(stop != GONE for reset, stop in [peer.ends(3 if peer.port.is_client else 2)])


def test_streams_of_an_ended_session_say_so(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    stream_id = peer.open_stream(0, b"hello", unidirectional=False)
    stream = peer.stream(stream_id)
    session.close(77)
    assert stream.read() == b"hello"
    for attempt in (stream.read, lambda: stream.write(b"x")):
        with pytest.raises(StreamError, match="session is closed") as caught:
            attempt()
        assert caught.value.error_code == 77
        assert caught.value.application_code is None


def test_waiters_are_woken_by_the_end(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=0, bidi=1, uni=0))
    session = peer.open_session()
    stream = session.open_stream(unidirectional=False)
    assert stream is not None
    assert session.open_stream(unidirectional=False) is None
    peer.port.datagram_room = 0
    assert not session.send_datagram(b"x")
    stream.write(b"blocked")
    stream.watch_writable(0)
    stream.wants_readable = True
    peer.names()
    peer.send_close(0, 1)
    names = peer.names()
    assert names[-1] == "SessionEnded"
    assert sorted(names[:-1]) == [
        "DatagramsWritable",
        "StreamCreditAvailable",
        "StreamFinished",
        "StreamReadable",
        "StreamWritable",
    ]


def test_credit_of_unread_bytes_comes_back_with_the_end(engine: MakePeer) -> None:
    """Otherwise the connection, which goes on, would have lost it."""
    peer = engine()
    session = peer.open_session()
    peer.open_stream(0, b"never read, still open", unidirectional=True)
    peer.open_stream(0, b"never read, ended", unidirectional=True, fin=True)
    peer.open_stream(0, b"never read, ended, we are not", unidirectional=False, fin=True)
    half = peer.stream(peer.open_stream(0, b"read in part", unidirectional=True))
    assert half.read(4) == b"read"
    late = peer.open_stream(0, b"read after the end", unidirectional=True, fin=True)
    stream = session.streams.get(late)
    assert peer.port.held_credit > 0
    peer.send_close(0)
    assert peer.port.held_credit == 0
    assert stream is None
    assert half.read() == b" in part"
    assert peer.port.held_credit == 0
    peer.answer_ends()
    peer.assert_nothing_left()


def test_bytes_read_after_the_end_are_credited_once(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.open_stream(0, b"ended before", unidirectional=True, fin=True)
    stream = peer.take_event("StreamOpened").stream
    session.close()
    assert peer.port.held_credit == 0
    assert stream.read() == b"ended before"
    assert stream.read() == b""
    assert peer.port.held_credit == 0


def test_late_streams_and_datagrams_of_an_ended_session(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    session.close()
    peer.send(0, b"", fin=True)
    peer.names()
    uni = peer.open_stream(0, b"late", unidirectional=True)
    bidi = peer.open_stream(0, b"late", unidirectional=False)
    peer.datagrams(datagram(0, b"late"))
    assert peer.ends(uni) == (None, GONE)
    assert peer.ends(bidi) == (GONE, GONE)
    assert peer.names() == []
    peer.answer_ends()
    peer.assert_nothing_left()


def test_one_session_ends_without_the_others(server: MakePeer) -> None:
    peer = server(settings=FLOW)
    first, second = peer.open_session(), peer.open_session()
    peer.open_stream(first.stream_id, unidirectional=True)
    kept = peer.open_stream(second.stream_id, unidirectional=True)
    peer.send_close(first.stream_id, 1)
    assert not first.is_open
    assert second.is_open
    assert peer.ends(kept) == (None, None)
    assert second.streams.keys() == {kept}


# Datagrams.


def test_datagrams_go_both_ways(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.datagrams(datagram(0, b"one"), datagram(0, b""))
    assert peer.names() == ["DatagramsReceived"]
    peer.datagrams(datagram(0, b"three"))
    assert peer.names() == []
    assert session.datagrams.drain() == [b"one", b"", b"three"]
    peer.datagrams(datagram(0, b"four"))
    assert peer.names() == ["DatagramsReceived"]
    assert (session.datagrams_received, session.datagram_bytes_received) == (4, 12)
    assert session.send_datagram(b"out")
    assert peer.port.datagrams == [datagram(0, b"out")]
    assert (session.datagrams_sent, session.datagram_bytes_sent) == (1, 3)


def test_a_datagram_in_a_capsule_is_a_datagram(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.send_capsule(0, 0x00, b"hello")
    assert session.datagrams.drain() == [b"hello"]


def test_the_largest_datagram(engine: MakePeer) -> None:
    peer = engine(max_datagram_size=65535)
    session = peer.open_session()
    assert session.max_datagram_size == 1199
    assert session.send_datagram(bytes(1199))
    with pytest.raises(DatagramError) as caught:
        session.send_datagram(bytes(1200))
    assert isinstance(caught.value, ValueError)
    assert (caught.value.datagram_size, caught.value.max_size) == (1200, 1199)
    peer.port.max_datagram_payload = 1300
    assert session.send_datagram(bytes(1299))
    peer.port.max_datagram_payload = 1180  # the peer changed to its longest connection id
    with pytest.raises(DatagramError):
        session.send_datagram(bytes(1180))
    assert session.send_datagram(bytes(1179))


def test_the_configured_limit_on_datagrams(engine: MakePeer) -> None:
    peer = engine(max_datagram_size=100)
    session = peer.open_session()
    assert session.max_datagram_size == peer.engine.max_datagram_size == 100
    with pytest.raises(DatagramError):
        session.send_datagram(bytes(101))
    assert session.send_datagram(bytes(100))


def test_no_datagram_at_all_fits(engine: MakePeer) -> None:
    peer = engine()
    peer.port.max_datagram_payload = 0
    session = peer.open_session()
    assert session.max_datagram_size == 0
    with pytest.raises(DatagramError):
        session.send_datagram(b"")


def test_a_full_queue_says_so_and_then_when_it_has_room(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.port.datagram_room = 1
    assert session.send_datagram(b"1")
    assert not session.send_datagram(b"2")
    assert (session.datagrams_sent, len(peer.port.datagrams)) == (1, 1)
    peer.port.make_datagram_room(2)
    peer.pump()
    assert peer.names() == ["DatagramsWritable"]
    assert session.send_datagram(b"2")
    peer.port.make_datagram_room(3)
    peer.pump()
    assert peer.names() == []


def test_unread_datagrams_give_way_to_newer_ones(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.datagrams(*(datagram(0, str(number).encode()) for number in range(4097)))
    assert len(session.datagrams) == 4096
    assert session.datagrams.pop() == b"1"
    assert session.datagrams.dropped_full == 1
