"""Where streams go whose session is not there, and what the router remembers of what is over."""

from __future__ import annotations

import pytest
from scripted_peer import MakePeer, datagram, with_flow_control

from wtransport.constants import ErrorCodes

MORE = with_flow_control(data=1 << 20, bidi=1 << 20, uni=1 << 20)
GONE = int(ErrorCodes.WT_SESSION_GONE)
REJECTED = int(ErrorCodes.WT_BUFFERED_STREAM_REJECTED)
REMEMBERED = 256


def test_ended_sessions_are_remembered_up_to_a_number(server: MakePeer) -> None:
    peer = server(settings=MORE, pending_event_ttl=5.0)
    ids = []
    for _ in range(REMEMBERED + 1):
        session = peer.open_session()
        peer.send_close(session.stream_id)
        ids.append(session.stream_id)
    forgotten = peer.open_stream(ids[0], b"late", unidirectional=True)
    remembered = peer.open_stream(ids[1], b"late", unidirectional=True)
    assert peer.ends(remembered) == (None, GONE)
    assert peer.ends(forgotten) == (None, None)
    peer.wait(6.0)
    assert peer.ends(forgotten) == (None, REJECTED)
    peer.answer_ends()
    peer.assert_nothing_left()


def test_a_stream_may_name_a_data_stream_and_waits_in_vain(server: MakePeer) -> None:
    """Whether an id is a CONNECT stream is known only when it is one; until then it is as good as unknown."""
    peer = server(pending_event_ttl=5.0)
    peer.open_session()
    data_stream = peer.open_stream(0, unidirectional=False)
    wrong = peer.open_stream(data_stream, b"x", unidirectional=True)
    assert peer.ends(wrong) == (None, None)
    peer.wait(6.0)
    assert peer.ends(wrong) == (None, REJECTED)
    assert peer.closed is None


def test_a_client_needs_to_remember_nothing(client: MakePeer) -> None:
    peer = client(settings=MORE)
    session = peer.open_session()
    peer.send_close(session.stream_id)
    peer.names()
    late = peer.open_stream(session.stream_id, b"late", unidirectional=False)
    peer.datagrams(datagram(session.stream_id, b"late"))
    assert peer.ends(late) == (GONE, GONE)
    assert peer.names() == []
    peer.answer_ends()
    peer.assert_nothing_left()


@pytest.mark.parametrize("end", ["fin", "reset", "discarded"])
def test_a_stream_that_was_turned_away_is_waited_for(server: MakePeer, end: str) -> None:
    peer = server()
    peer.open_session()
    peer.send_close(0)
    late = peer.next_id(unidirectional=False)
    peer.queue(late, b"\x40\x41\x00late")
    match end:
        case "fin":
            peer.queue(late, b"more", fin=True)
            peer.pump()
        case "reset":
            peer.pump()
            peer.reset(late, 0)
        case _:
            peer.pump()
            peer.send(late, b"more", fin=True)
    assert peer.ends(late)[0] == GONE
    peer.assert_nothing_left()


def test_bytes_that_were_on_their_way_when_a_session_ended(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    uni = peer.open_stream(0, b"a", unidirectional=True)
    bidi = peer.open_stream(0, b"a", unidirectional=False)
    peer.queue(uni, b"bcd")
    peer.queue(bidi, b"bcd", fin=True)
    session.close()
    peer.send(0, b"", fin=True)
    assert peer.port.held_credit == 0
    peer.answer_ends()
    peer.assert_nothing_left()


def test_nothing_is_kept_of_streams_of_ours_that_are_over(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    stream = session.open_stream(unidirectional=False)
    assert stream is not None
    stream.write(b"", end_stream=True)
    peer.send(stream.stream_id, b"", fin=True)
    assert stream.stream_id not in peer.engine._router.readers


def test_stopped_sessions_are_waited_for_each_in_its_time(server: MakePeer) -> None:
    peer = server(settings=MORE)
    first, second = peer.open_session(), peer.open_session()
    peer.stop(first.stream_id, GONE)
    peer.wait(0.1)
    peer.stop(second.stream_id, GONE)
    peer.stop(second.stream_id, GONE)
    peer.wait(0.21)
    assert (first.is_open, second.is_open) == (False, True)
    peer.wait(0.1)
    assert not second.is_open
    peer.answer_ends()
    peer.assert_nothing_left()
