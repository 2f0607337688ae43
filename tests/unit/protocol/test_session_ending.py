"""How a session ends, from either side, cleanly or not; and draining before that."""

from __future__ import annotations

import pytest
from scripted_peer import CLOSE, DRAIN, MakePeer, ScriptedPeer

from wtransport._protocol.session import SessionCore
from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError
from wtransport.types import SessionState

GONE = int(ErrorCodes.WT_SESSION_GONE)
CANCELLED = int(ErrorCodes.H3_REQUEST_CANCELLED)


# Draining.


def test_draining_is_asked_for_once_and_changes_little(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    session.drain()
    session.drain()
    assert peer.capsules(0) == [(DRAIN, b"")]
    assert session.state is SessionState.DRAINING
    assert session.is_open
    assert session.open_stream(unidirectional=True) is not None
    assert session.send_datagram(b"x")


def test_the_peer_asks_to_drain(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.send_capsule(0, DRAIN)
    peer.send_capsule(0, DRAIN)
    assert peer.names() == ["SessionDraining"]
    assert session.state is SessionState.DRAINING
    assert session.open_stream(unidirectional=False) is not None


# Ending.


def watch_sending(peer: ScriptedPeer, session: SessionCore) -> list[tuple[bool, bool]]:
    """Return what was so each time that the engine had packets sent at once: the session open, its FIN there."""
    seen: list[tuple[bool, bool]] = []
    peer.engine.send_now = lambda: seen.append((session.is_open, peer.has_fin(session.stream_id)))
    return seen


def test_the_last_bytes_leave_before_anything_is_settled(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    seen = watch_sending(peer, session)
    session.close(7, "done")
    assert seen == [(True, True)]
    peer.pump()
    assert peer.take_event("SessionEnded").session.is_told


def test_the_answer_to_an_end_leaves_before_anything_is_settled(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    seen = watch_sending(peer, session)
    peer.send_close(0, code=3)
    assert seen == [(True, True)]
    peer.pump()
    assert peer.take_event("SessionEnded").session.is_told


def test_an_end_waits_for_the_resets_of_its_streams(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    assert session.open_stream(unidirectional=True) is not None
    seen = watch_sending(peer, session)
    session.close()
    assert seen == []
    peer.pump()
    assert not peer.take_event("SessionEnded").session.is_told


def test_a_connection_lost_while_the_peer_is_told_ends_a_session_once(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.engine.send_now = peer.close
    session.close(7)
    peer.pump()
    assert session.end_error is not None
    assert peer.names() == ["SessionEnded", "ConnectionClosed"]
    peer.assert_nothing_left()


def test_closing_sends_code_and_reason_and_the_fin(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    session.close(7, "done")
    peer.pump()
    assert peer.capsules(0) == [(CLOSE, b"\x00\x00\x00\x07done")]
    assert peer.port.streams[0].fin
    assert peer.names() == ["SessionEnded"]
    assert (session.close_code, session.close_reason, session.ended_by_peer) == (7, "done", False)
    assert session.end_error is None
    session.close(8)
    assert len(peer.capsules(0)) == 1
    peer.send(0, b"", fin=True)
    assert peer.names() == []
    assert peer.closed is None
    peer.assert_nothing_left()


@pytest.mark.parametrize("code", [-1, 2**32])
def test_a_code_that_does_not_fit_is_refused(engine: MakePeer, code: int) -> None:
    session = engine().open_session()
    with pytest.raises(ValueError, match="error_code"):
        session.close(code)
    assert session.is_open


def test_a_long_reason_is_cut_at_a_character(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session().close(0, "é" * 1000)
    assert peer.capsules(0) == [(CLOSE, bytes(4) + "é".encode() * 512)]


def test_the_peer_closes_with_code_and_reason(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.send_close(0, 0xFFFFFFFF, b"bye")
    assert peer.names() == ["SessionEnded"]
    assert (session.close_code, session.close_reason, session.ended_by_peer) == (0xFFFFFFFF, "bye", True)
    assert session.end_error is None
    assert peer.port.streams[0].fin
    assert peer.capsules(0) == []
    peer.assert_nothing_left()


def test_a_close_is_answered_before_the_fin_arrives(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.send_close(0, 3, fin=False)
    assert (session.state, session.close_code) == (SessionState.CLOSED, 3)
    assert peer.port.streams[0].fin
    peer.send(0, b"", fin=True)
    peer.assert_nothing_left()


def test_a_clean_fin_is_a_close_with_0(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.send(0, b"", fin=True)
    assert peer.names() == ["SessionEnded"]
    assert (session.close_code, session.close_reason, session.ended_by_peer) == (0, "", True)
    assert peer.port.streams[0].fin
    peer.assert_nothing_left()


def test_a_fin_inside_a_capsule_is_malformed(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.send(0, b"\x00\x03\x68\x43\x04", fin=True)
    assert session.state is SessionState.CLOSED
    assert session.close_code is None
    assert session.end_error is not None
    assert session.end_error.error_code == ErrorCodes.H3_MESSAGE_ERROR
    assert peer.ends(0)[0] == ErrorCodes.H3_MESSAGE_ERROR
    assert peer.closed is None
    peer.assert_nothing_left()


def test_what_follows_a_close_is_malformed(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.send_close(0, 5, b"first", fin=False)
    peer.send_capsule(0, DRAIN)
    assert (session.close_code, session.close_reason) == (5, "first")
    assert peer.ends(0) == (ErrorCodes.H3_MESSAGE_ERROR, ErrorCodes.H3_MESSAGE_ERROR)
    assert peer.closed is None
    peer.answer_ends()
    peer.assert_nothing_left()


@pytest.mark.parametrize("value", [b"\x00\x00\x00", b"\x00\x00\x00\x00\xff", bytes(4) + b"x" * 1025])
def test_a_malformed_close_resets_the_stream(engine: MakePeer, value: bytes) -> None:
    peer = engine()
    session = peer.open_session()
    peer.send_capsule(0, CLOSE, value)
    assert peer.ends(0) == (ErrorCodes.H3_MESSAGE_ERROR, ErrorCodes.H3_MESSAGE_ERROR)
    assert session.close_code is None
    assert session.end_error is not None
    assert peer.closed is None
    peer.answer_ends()
    peer.assert_nothing_left()


def test_both_close_at_once(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    session.close(1, "mine")
    peer.send_close(0, 2, b"theirs")
    assert peer.names() == ["SessionEnded"]
    assert (session.close_code, session.close_reason, session.ended_by_peer) == (1, "mine", False)
    assert peer.ends(0) == (None, None)
    peer.assert_nothing_left()


@pytest.mark.parametrize("code", [ErrorCodes.H3_REQUEST_CANCELLED, ErrorCodes.H3_NO_ERROR, 0x1234])
def test_a_reset_of_the_connect_stream_is_an_abnormal_end(engine: MakePeer, code: int) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.reset(0, int(code))
    assert peer.names() == ["SessionEnded"]
    assert (session.close_code, session.ended_by_peer) == (None, True)
    assert session.end_error is not None
    assert session.end_error.error_code == code
    assert peer.ends(0)[0] == CANCELLED
    assert peer.closed is None
    peer.assert_nothing_left()


def test_stop_sending_of_the_connect_stream_is_an_abnormal_end(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.stop(0, 0x10C)
    assert peer.names() == ["SessionEnded"]
    assert (session.close_code, session.ended_by_peer) == (None, True)
    assert peer.ends(0)[1] == CANCELLED
    peer.answer_ends()
    peer.assert_nothing_left()


def test_stop_sending_that_overtakes_a_close_does_not_hide_it(engine: MakePeer) -> None:
    """A peer that closes may stop the other direction at once (draft-16, section 6); QUIC keeps no order there."""
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.stop(0, GONE)
    peer.send_close(0, 42, b"bye")
    assert peer.names() == ["SessionEnded"]
    assert (session.close_code, session.close_reason, session.end_error) == (42, "bye", None)
    peer.assert_nothing_left()


def test_stop_sending_that_no_close_follows_ends_the_session_after_a_while(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.names()
    peer.stop(0, GONE)
    peer.wait(0.2)
    assert session.is_open
    peer.wait(0.2)
    assert peer.names() == ["SessionEnded"]
    assert session.end_error is not None
    assert session.end_error.error_code == GONE
    peer.answer_ends()
    peer.assert_nothing_left()


def test_stop_sending_and_a_fin_is_a_clean_end(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.stop(0, GONE)
    peer.send(0, b"", fin=True)
    assert (session.close_code, session.end_error) == (0, None)
    peer.wait(10)
    assert session.end_error is None
    peer.assert_nothing_left()


def test_a_peer_that_stops_us_after_our_close_is_no_news(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    session.close(9)
    peer.pump()
    peer.names()
    peer.stop(0, GONE)
    assert peer.names() == []
    peer.reset(0, GONE)
    assert (session.close_code, session.end_error) == (9, None)
    peer.assert_nothing_left()


def test_a_session_that_was_aborted_forgets_its_stream_when_a_fin_was_on_its_way(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    peer.stop(0, 0x10C)
    peer.send(0, b"", fin=True)
    peer.assert_nothing_left()


def test_a_client_that_gives_up_asking_resets_the_request(client: MakePeer) -> None:
    peer = client()
    session = peer.engine.open_session(authority="localhost", path="/", headers={})
    session.close()
    peer.pump()
    assert peer.ends(0) == (CANCELLED, CANCELLED)
    assert peer.names() == ["SessionEnded"]
    peer.answer_ends()
    peer.assert_nothing_left()


def test_a_client_that_gives_up_ends_an_undecided_session(server: MakePeer) -> None:
    peer = server()
    peer.request()
    session = peer.take_event("SessionRequested").session
    peer.reset(0, CANCELLED)
    assert peer.names() == ["SessionEnded"]
    with pytest.raises(SessionError):
        session.accept()
    peer.assert_nothing_left()


def test_closing_an_undecided_session_refuses_it(server: MakePeer) -> None:
    peer = server()
    peer.request()
    session = peer.take_event("SessionRequested").session
    session.close()
    assert peer.status(0) == 403
    assert peer.port.streams[0].fin
    peer.answer_ends()
    peer.assert_nothing_left()


def test_a_request_with_fin_ends_at_once_when_accepted(server: MakePeer) -> None:
    peer = server()
    peer.request(fin=True)
    session = peer.take_event("SessionRequested").session
    assert peer.names() == []
    session.accept()
    peer.pump()
    assert peer.names() == ["SessionEnded"]
    assert (peer.status(0), session.close_code) == (200, 0)
    assert peer.port.streams[0].fin
    peer.assert_nothing_left()


def test_a_response_with_fin_opens_and_ends(client: MakePeer) -> None:
    peer = client()
    session = peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.send(0, peer.response(200), fin=True)
    assert peer.names() == ["SessionOpened", "SessionEnded"]
    assert (session.close_code, session.ended_by_peer) == (0, True)
    peer.assert_nothing_left()
