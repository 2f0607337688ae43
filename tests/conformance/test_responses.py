"""Section 7.2: answers to a CONNECT, and what becomes of a request without one."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_bench import FLOW_CONTROL, MakeBench
from scripted_peer import DATA, DRAFT07, MakePeer

from wtransport._speedups import encode_frame
from wtransport.constants import ErrorCodes
from wtransport.types import SessionState

rule = pytest.mark.rule


@rule("7.2-interim")
@pytest.mark.parametrize("statuses", [[100], [103], [102, 103, 103], [199]])
def test_interim(bench: MakeBench, statuses: list[int]) -> None:
    ends = bench()
    interim = b"".join(ends.peer.response(status, link="</style.css>") for status in statuses)
    stream_id = ends.begin_message(interim)
    session = ends.peer.engine.sessions[stream_id]
    assert session.state is SessionState.CONNECTING
    assert ends.peer.names() == []
    ends.peer.send(stream_id, ends.peer.response(200))
    ends.check_session_works(session)
    ends.check_nothing_wrong()


@rule("7.2-success")
@pytest.mark.parametrize("status", [200, 201, 202, 203, 226, 299])
def test_success(bench: MakeBench, status: int) -> None:
    ends = bench()
    stream_id = ends.begin_message(ends.peer.response(status))
    session = ends.peer.engine.sessions[stream_id]
    assert session.response_status == status
    ends.check_session_works(session)
    ends.check_nothing_wrong()


def check_rejected(ends: Any, status: int, *frames: bytes, fin: bool) -> None:
    stream_id = ends.begin_message(*frames, fin=fin)
    rejected = ends.peer.take_event("SessionRejected")
    assert rejected.status == status
    assert rejected.session.state is SessionState.CLOSED
    assert rejected.session.close_code is None
    assert "SessionOpened" not in ends.peer.names()
    ends.peer.pump()
    assert ends.peer.has_fin(stream_id)
    # No request follows, to another place or the same: the one request is all that was sent.
    assert ends.peer.frames(stream_id)[1:] == []
    ends.check_nothing_wrong()


@rule("7.2-redirect")
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_redirect(bench: MakeBench, status: int) -> None:
    ends = bench()
    check_rejected(ends, status, ends.peer.response(status, location="https://localhost/there"), fin=True)


@rule("7.2-refusal")
@pytest.mark.parametrize("content", [b"", b"no such place"], ids=["no content", "content"])
@pytest.mark.parametrize("status", [400, 403, 404, 405, 429, 500, 501, 503, 599, 999])
def test_refusal(bench: MakeBench, status: int, content: bytes) -> None:
    ends = bench()
    frames = [encode_frame(DATA, content)] if content else []
    check_rejected(ends, status, ends.peer.response(status), *frames, fin=True)


@rule("7.2-request-reset")
@pytest.mark.parametrize("code", [ErrorCodes.H3_REQUEST_REJECTED, ErrorCodes.H3_REQUEST_CANCELLED])
@pytest.mark.parametrize("answered", [False, True], ids=["at once", "after an interim response"])
def test_request_reset(bench: MakeBench, code: int, answered: bool) -> None:
    ends = bench()
    stream_id = ends.begin_message(*([ends.peer.response(103)] if answered else []))
    ends.peer.pump()
    ends.peer.reset(stream_id, code)
    rejected = ends.peer.take_event("SessionRejected")
    assert rejected.status is None
    assert f"{code:#x}" in rejected.reason
    assert "SessionOpened" not in ends.peer.names()
    ends.check_stream_error(stream_id, ErrorCodes.H3_REQUEST_CANCELLED)


@rule("7.2-no-response")
@pytest.mark.parametrize("answered", [False, True], ids=["at once", "after an interim response"])
def test_no_response(bench: MakeBench, answered: bool) -> None:
    ends = bench()
    stream_id = ends.begin_message(*([ends.peer.response(103)] if answered else []))
    ends.peer.send(stream_id, b"", fin=True)
    assert ends.peer.take_event("SessionRejected").status is None
    ends.check_stream_error(stream_id, ErrorCodes.H3_MESSAGE_ERROR)


@rule("7.2-abandoned")
@pytest.mark.parametrize("accepted", [False, True], ids=["undecided", "accepted"])
def test_abandoned(bench: MakeBench, accepted: bool) -> None:
    ends = bench()
    stream_id = ends.begin_message(ends.head())
    session = ends.peer.take_event("SessionRequested").session
    if accepted:
        session.accept()
        ends.peer.pump()
    ends.peer.reset(stream_id, ErrorCodes.H3_REQUEST_CANCELLED)
    assert session.state is SessionState.CLOSED
    assert session.close_code is None
    assert "SessionEnded" in ends.peer.names()
    ends.check_stream_error(stream_id, ErrorCodes.H3_REQUEST_CANCELLED)


@rule("7.2-abandoned")
def test_abandoned_in_the_middle_of_the_request(bench: MakeBench) -> None:
    ends = bench()
    stream_id = ends.begin_message(ends.head()[:-5])
    ends.peer.reset(stream_id, ErrorCodes.H3_REQUEST_CANCELLED)
    assert "SessionRequested" not in ends.peer.names()
    assert ends.peer.closed is None
    ends.check_works()


@rule("7.2-rejecting")
@pytest.mark.parametrize("status", [301, 400, 403, 404, 405, 429, 503])
@pytest.mark.parametrize("is_open", [True, False], ids=["client side open", "client side ended"])
def test_rejecting(bench: MakeBench, status: int, is_open: bool) -> None:
    ends = bench()
    stream_id = ends.begin_message(ends.head(), fin=not is_open)
    ends.peer.take_event("SessionRequested").session.reject(status)
    ends.peer.pump()
    assert ends.peer.status(stream_id) == status
    assert ends.peer.has_fin(stream_id)
    if is_open:
        ends.check_stream_error(stream_id, ErrorCodes.H3_NO_ERROR)
    else:
        ends.check_nothing_wrong()


@rule("7.2-too-many-sessions")
@pytest.mark.parametrize("settings", [FLOW_CONTROL, DRAFT07], ids=["16", "7"])
def test_too_many_sessions(peer: MakePeer, settings: dict[int, int]) -> None:
    ends = peer(settings=settings, max_sessions=2)
    sessions = [ends.open_session(), ends.open_session()]
    stream_id = ends.request()
    assert ends.status(stream_id) == 429
    assert ends.has_fin(stream_id)
    assert ends.aborted() == {stream_id: (None, ErrorCodes.H3_NO_ERROR)}
    assert all(session.is_open for session in sessions)
    ends.send_close(sessions[0].stream_id)
    assert ends.open_session().is_open
