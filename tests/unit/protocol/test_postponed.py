"""Resets that wait for the end of their session: what else may happen to the stream meanwhile."""

from __future__ import annotations

import pytest
from memory_port import PROBE_TIMEOUT
from scripted_peer import MakePeer, with_flow_control

from wtransport._protocol.limits import CLOSE_PROBE_TIMEOUTS
from wtransport.constants import ErrorCodes
from wtransport.exceptions import StreamError

GONE = ErrorCodes.WT_SESSION_GONE
PATIENCE = CLOSE_PROBE_TIMEOUTS * PROBE_TIMEOUT


def test_the_reader_is_woken_once_when_the_time_is_over(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream = peer.stream(peer.open_stream(0, b"read me", unidirectional=True))
    stream.wants_readable = True
    peer.names()
    peer.reset(stream.stream_id, GONE)
    assert peer.names() == []
    assert stream.read() == b"read me"
    assert stream.read() is None
    peer.wait(PATIENCE / 2)
    assert peer.names() == []
    peer.wait(PATIENCE)
    assert peer.names() == ["StreamFinished", "StreamReadable"]
    with pytest.raises(StreamError, match="reset"):
        stream.read()
    peer.send_close(0)
    peer.assert_nothing_left()


def test_a_later_one_waits_as_long(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    first, second = (peer.open_stream(0, unidirectional=True) for _ in range(2))
    peer.names()
    peer.reset(first, GONE)
    peer.wait(PATIENCE / 2)
    peer.reset(second, ErrorCodes.H3_CONNECT_ERROR)
    peer.wait(PATIENCE * 0.6)
    assert peer.names() == ["StreamFinished"]
    peer.wait(PATIENCE * 0.5)
    assert peer.names() == ["StreamFinished"]


def test_other_codes_do_not_wait(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream = peer.stream(peer.open_stream(0, unidirectional=False))
    peer.reset(stream.stream_id, ErrorCodes.H3_REQUEST_CANCELLED)
    with pytest.raises(StreamError):
        stream.read()


def test_giving_up_reading_meanwhile(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream = peer.stream(peer.open_stream(0, b"unread", unidirectional=True))
    peer.reset(stream.stream_id, GONE)
    stream.stop(0)
    peer.wait(2 * PATIENCE)
    assert not peer.engine.streams
    peer.send_close(0)
    peer.assert_nothing_left()


def test_what_it_claims_to_have_sent_counts_when_it_counts(engine: MakePeer) -> None:
    peer = engine(settings=with_flow_control(data=100, bidi=9, uni=9), initial_max_data=100)
    session = peer.open_session()
    stream_id = peer.open_stream(0, b"x", unidirectional=True)
    peer.reset(stream_id, GONE, final_size=3 + 102)
    assert session.is_open
    peer.wait(2 * PATIENCE)
    assert session.end_error is not None
    assert session.end_error.error_code == ErrorCodes.WT_FLOW_CONTROL_ERROR
    assert peer.closed is None


def test_the_end_of_the_session_leaves_nothing_behind(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    for unidirectional in (False, True):
        stream_id = peer.open_stream(0, b"unread", unidirectional=unidirectional)
        peer.reset(stream_id, GONE)
    peer.send_close(session.stream_id)
    peer.answer_ends()
    peer.assert_nothing_left()
    peer.wait(2 * PATIENCE)
    assert peer.closed is None


def test_the_loss_of_the_connection_forgets_them(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    peer.reset(peer.open_stream(0, unidirectional=True), GONE)
    peer.close()
    peer.wait(2 * PATIENCE)
    assert peer.names()[-1] == "ConnectionClosed"
