"""How a session begins: asked for, accepted or refused, and what comes before the answer."""

from __future__ import annotations

import pytest
from scripted_peer import DRAIN, MakePeer, with_flow_control

from wtransport._protocol.session_request import SessionRequest
from wtransport.constants import ErrorCodes
from wtransport.types import SessionState

FLOW = with_flow_control(data=1000, bidi=4, uni=4)
CANCELLED = int(ErrorCodes.H3_REQUEST_CANCELLED)


# Opening.


def test_a_request_waits_for_its_answer(server: MakePeer) -> None:
    peer = server()
    peer.request("/chat?x=1", origin="https://example.com")
    session = peer.take_event("SessionRequested").session
    assert (session.state, session.is_open) == (SessionState.CONNECTING, False)
    assert (session.path, session.authority) == ("/chat?x=1", "localhost")
    assert session.headers["origin"] == "https://example.com"
    assert session.headers[":path"] == "/chat?x=1"
    assert peer.engine.sessions == {0: session}
    assert peer.sent(0) == b""
    session.accept(headers={"x-answer": "yes"})
    assert session.state is SessionState.CONNECTED
    assert peer.fields(0) == [(b":status", b"200"), (b"x-answer", b"yes")]
    assert (session.response_status, session.response_headers) == (200, {"x-answer": "yes"})
    assert not peer.port.streams[0].fin


def request_of(path: str) -> SessionRequest:
    return SessionRequest(authority="localhost", path=path, headers={"x-a": "b"}, protocols=["chat"])


def test_a_session_can_be_made_before_the_connection_is_ready(client: MakePeer) -> None:
    peer = client(settings=FLOW)
    request = request_of("/early")
    early = peer.engine.prepare(request)
    assert peer.engine.sessions == {}
    assert peer.engine.open_requested(request, early) is early
    assert peer.engine.sessions == {0: early}
    assert (b":path", b"/early") in peer.fields(0)
    flow = early.flow
    assert (flow.local_max_data, flow.local_max_streams_bidi, flow.local_max_streams_uni) == (1000, 4, 4)
    peer.send(0, peer.response(200))
    assert early.is_open


def test_a_session_made_in_advance_for_another_stream_is_made_anew(client: MakePeer) -> None:
    peer = client(settings=FLOW)
    early = peer.engine.prepare(request_of("/early"))
    first = peer.engine.open_requested(request_of("/first"))
    later = peer.engine.open_requested(request_of("/later"), early)
    assert (first.stream_id, later.stream_id) == (0, 4)
    assert later is not early
    early.withdraw()
    assert peer.engine.sessions == {0: first, 4: later}


def test_the_draft_02_header_is_answered(server: MakePeer) -> None:
    peer = server()
    peer.open_session(sec_webtransport_http3_draft02="1")
    assert (b"sec-webtransport-http3-draft", b"draft02") in peer.fields(0)


def test_a_subprotocol_is_chosen_from_those_offered(server: MakePeer) -> None:
    peer = server()
    peer.request(wt_available_protocols='"chat", "echo"')
    session = peer.take_event("SessionRequested").session
    assert session.available_protocols == ["chat", "echo"]
    with pytest.raises(ValueError, match="offered"):
        session.accept(protocol="other")
    assert session.state is SessionState.CONNECTING
    session.accept(protocol="echo")
    assert session.protocol == "echo"
    assert (b"wt-protocol", b'"echo"') in peer.fields(0)


def test_the_client_learns_the_subprotocol(client: MakePeer) -> None:
    peer = client()
    session = peer.engine.open_session(authority="localhost", path="/", headers={}, protocols=["chat", "echo"])
    assert (b"wt-available-protocols", b'"chat", "echo"') in peer.fields(0)
    peer.send(0, peer.response(200, wt_protocol='"echo"'))
    assert peer.take_event("SessionOpened").session is session
    assert (session.state, session.protocol) == (SessionState.CONNECTED, "echo")


def test_a_subprotocol_that_was_not_offered_ends_the_session(client: MakePeer) -> None:
    peer = client()
    session = peer.engine.open_session(authority="localhost", path="/", headers={}, protocols=["chat"])
    peer.send(0, peer.response(200, wt_protocol='"echo"'))
    assert peer.names() == ["SessionRejected", "SessionEnded"]
    code = int(ErrorCodes.WT_ALPN_ERROR)
    assert peer.ends(0) == (code, code)
    assert session.end_error is not None
    assert session.end_error.error_code == code
    assert peer.closed is None


@pytest.mark.parametrize("status", [301, 403, 404, 503])
def test_a_refused_session_ends_its_stream(server: MakePeer, status: int) -> None:
    peer = server()
    peer.request()
    session = peer.take_event("SessionRequested").session
    session.reject(status, headers={"retry-after": "1"})
    assert dict(peer.fields(0)) == {b":status": str(status).encode(), b"retry-after": b"1"}
    assert peer.port.streams[0].fin
    assert peer.ends(0) == (None, ErrorCodes.H3_NO_ERROR)
    assert (session.state, session.response_status, session.close_code) == (SessionState.CLOSED, status, None)
    assert not session.ended_by_peer
    peer.pump()
    assert peer.names() == ["SessionEnded"]
    peer.answer_ends()
    peer.assert_nothing_left()


@pytest.mark.parametrize("status", [100, 200, 299, 600])
def test_only_refusals_reject(server: MakePeer, status: int) -> None:
    peer = server()
    peer.request()
    session = peer.take_event("SessionRequested").session
    with pytest.raises(ValueError, match="status"):
        session.reject(status)
    session.accept()


@pytest.mark.parametrize("headers", [{":status": "200"}, {"a b": "c"}, {"x": "a\nb"}, {"content-length": "3"}])
def test_bad_headers_are_refused_at_the_call(server: MakePeer, headers: dict[str, str]) -> None:
    peer = server()
    peer.request()
    session = peer.take_event("SessionRequested").session
    with pytest.raises(ValueError):
        session.accept(headers=headers)
    assert (session.state, peer.sent(0)) == (SessionState.CONNECTING, b"")
    session.accept()
    assert session.is_open


def test_the_client_learns_of_a_refusal(client: MakePeer) -> None:
    peer = client()
    session = peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.send(0, peer.response(404, x_why="no"), fin=True)
    rejected = peer.take_event("SessionRejected")
    assert (rejected.session, rejected.status) == (session, 404)
    assert session.response_headers["x-why"] == "no"
    assert peer.names() == ["SessionEnded"]
    assert (session.state, session.ended_by_peer) == (SessionState.CLOSED, True)
    assert peer.port.streams[0].fin
    peer.assert_nothing_left()


def test_a_refusal_may_have_content(client: MakePeer) -> None:
    peer = client()
    peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.send(0, peer.response(404) + b"\x00\x05sorry")
    peer.send(0, b"\x00\x01!", fin=True)
    assert peer.names() == ["SessionRejected", "SessionEnded"]
    assert peer.closed is None
    peer.assert_nothing_left()


def test_interim_responses_are_skipped(client: MakePeer) -> None:
    peer = client()
    session = peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.send(0, peer.response(103) + peer.response(100))
    assert peer.names() == []
    peer.send(0, peer.response(200))
    assert peer.names() == ["SessionOpened"]
    assert session.is_open


def test_stop_sending_does_not_take_a_refusal_away(client: MakePeer) -> None:
    """RFC 9114, 4.1: the server may ask to stop sending and yet answer in full."""
    peer = client()
    peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.stop(0, int(ErrorCodes.H3_NO_ERROR))
    peer.send(0, peer.response(404), fin=True)
    assert peer.take_event("SessionRejected").status == 404
    assert peer.names() == ["SessionEnded"]
    peer.assert_nothing_left()


@pytest.mark.parametrize("code", [ErrorCodes.H3_REQUEST_REJECTED, ErrorCodes.H3_INTERNAL_ERROR])
def test_a_reset_request_was_not_answered(client: MakePeer, code: ErrorCodes) -> None:
    peer = client()
    session = peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.reset(0, int(code))
    assert peer.take_event("SessionRejected").status is None
    assert peer.names() == ["SessionEnded"]
    assert session.end_error is not None
    assert session.end_error.error_code == code
    assert peer.ends(0) == (CANCELLED, None)
    peer.assert_nothing_left()


def test_a_stream_that_ends_without_a_response_is_malformed(client: MakePeer) -> None:
    peer = client()
    peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.send(0, b"", fin=True)
    assert peer.take_event("SessionRejected").status is None
    assert peer.names() == ["SessionEnded"]
    assert peer.ends(0)[0] == ErrorCodes.H3_MESSAGE_ERROR
    assert peer.closed is None
    peer.assert_nothing_left()


def test_a_response_that_comes_after_the_session_was_given_up_is_ignored(client: MakePeer) -> None:
    peer = client()
    session = peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.queue(0, peer.response(200))
    session.close()
    peer.pump()
    assert peer.names() == ["SessionEnded"]
    assert session.state is SessionState.CLOSED
    assert peer.ends(0) == (CANCELLED, CANCELLED)
    peer.answer_ends()
    peer.assert_nothing_left()


def test_a_refusal_that_comes_after_the_session_was_given_up_is_ignored(client: MakePeer) -> None:
    peer = client()
    session = peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.queue(0, peer.response(404), fin=True)
    session.close()
    peer.pump()
    assert peer.names() == ["SessionEnded"]
    peer.assert_nothing_left()


# Capsules before the answer.


def test_capsules_before_the_answer_count_from_the_answer_on(server: MakePeer) -> None:
    peer = server(settings=FLOW)
    peer.request()
    session = peer.take_event("SessionRequested").session
    peer.send_limit(0, 0x190B4D3D, 5000)
    peer.send_capsule(0, DRAIN)
    assert session.flow.local_max_data == 1000
    assert peer.names() == []
    session.accept()
    peer.pump()
    assert session.flow.local_max_data == 5000
    assert peer.names() == ["SessionCreditRaised", "SessionDraining"]


def test_a_close_before_the_answer_ends_the_session_with_it(server: MakePeer) -> None:
    peer = server()
    peer.request()
    session = peer.take_event("SessionRequested").session
    peer.send_close(0, 5, b"never mind")
    session.accept()
    peer.pump()
    assert (session.state, session.close_code, session.close_reason) == (SessionState.CLOSED, 5, "never mind")
    assert peer.names() == ["SessionEnded"]
    peer.assert_nothing_left()


def test_malformed_capsules_before_the_answer_reset_the_stream_with_it(server: MakePeer) -> None:
    peer = server()
    peer.request()
    session = peer.take_event("SessionRequested").session
    peer.send_capsule(0, DRAIN, b"x")
    session.accept()
    peer.pump()
    assert session.state is SessionState.CLOSED
    assert peer.ends(0) == (ErrorCodes.H3_MESSAGE_ERROR, ErrorCodes.H3_MESSAGE_ERROR)
    peer.answer_ends()
    peer.assert_nothing_left()


def test_capsules_before_the_answer_are_bounded(server: MakePeer) -> None:
    peer = server()
    peer.request()
    session = peer.take_event("SessionRequested").session
    piece = b"\x00\x80\x00\x40\x00" + bytes(0x4000)
    for _ in range(4):
        peer.send(0, piece)
    assert session.state is SessionState.CONNECTING
    peer.send(0, b"\x00\x01\x00")
    assert peer.names() == ["SessionEnded"]
    assert peer.ends(0) == (ErrorCodes.H3_EXCESSIVE_LOAD, ErrorCodes.H3_EXCESSIVE_LOAD)
    assert peer.closed is None
    peer.answer_ends()
    peer.assert_nothing_left()


def test_an_answer_can_leave_before_the_session_is_set_up(server: MakePeer) -> None:
    peer = server()
    peer.request()
    session = peer.take_event("SessionRequested").session
    statuses: list[tuple[int, bool]] = []
    peer.engine.send_now = lambda: statuses.append((peer.status(0), session.is_open))
    session.accept(at_once=True)
    assert statuses == [(200, False)]
    assert session.is_open


def test_a_connection_lost_while_the_answer_is_sent_opens_nothing(server: MakePeer) -> None:
    peer = server()
    peer.request()
    session = peer.take_event("SessionRequested").session
    peer.engine.send_now = peer.close
    session.accept(at_once=True)
    assert session.state is SessionState.CLOSED
    assert not session.is_open
    assert peer.names() == ["SessionEnded", "ConnectionClosed"]
    peer.assert_nothing_left()
