"""Section 7.5: how sessions end, and what becomes of their streams."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conformance_bench import PROFILES, Bench, MakeBench
from scripted_peer import CLOSE, DATA, DRAIN, datagram

from wtransport._speedups import encode_capsule, encode_frame
from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError, StreamError
from wtransport.types import SessionState, StreamState

rule = pytest.mark.rule

GONE = ErrorCodes.WT_SESSION_GONE
CANCELLED = ErrorCodes.H3_REQUEST_CANCELLED
EITHER_DIRECTION = pytest.mark.parametrize("unidirectional", [False, True], ids=["bidi", "uni"])
CLOSE_BYE = encode_frame(DATA, encode_capsule(CLOSE, b"\x00\x00\x00\x2abye"))

ENDINGS: dict[str, Callable[[Bench], None]] = {
    "we close": lambda ends: (ends.session.close(42, "bye"), ends.peer.pump())[0],
    "CLOSE": lambda ends: ends.peer.send(ends.session_id, CLOSE_BYE, fin=True),
    "CLOSE without FIN": lambda ends: ends.peer.send(ends.session_id, CLOSE_BYE),
    "FIN": lambda ends: ends.peer.send(ends.session_id, b"", fin=True),
    "reset": lambda ends: ends.peer.reset(ends.session_id, CANCELLED),
    "stopped": lambda ends: ends.peer.stop(ends.session_id, CANCELLED),
    "malformed": lambda ends: ends.peer.send_capsule(ends.session_id, DRAIN, b"\x00"),
}
EACH_ENDING = pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)


# Clean ends.


@rule("7.5-send-close")
@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        (0, "", b""),
        (42, "bye", b"bye"),
        (0xFFFFFFFF, "é", "é".encode()),
        (1, "x" * 1500, b"x" * 1024),
        (1, "x" + "é" * 600, b"x" + "é".encode() * 511),
        (1, "\U0001f600" * 300, "\U0001f600".encode() * 256),
    ],
)
def test_send_close(bench: MakeBench, code: int, reason: str, text: bytes) -> None:
    ends = bench()
    ends.session.close(code, reason)
    ends.peer.pump()
    assert ends.peer.frames(ends.session_id)[-1] == (DATA, encode_capsule(CLOSE, code.to_bytes(4, "big") + text))
    assert ends.peer.has_fin(ends.session_id)
    assert ends.session_id not in ends.peer.aborted()
    assert ends.session.state is SessionState.CLOSED
    ends.peer.send(ends.session_id, b"", fin=True)
    ends.check_works()


@rule("7.5-receive-close")
@pytest.mark.parametrize("fin", [True, False], ids=["FIN", "no FIN yet"])
@pytest.mark.parametrize(("code", "text"), [(0, ""), (42, "bye"), (0xFFFFFFFF, "é"), (7, "x" * 1024)])
@pytest.mark.parametrize("draft", PROFILES)
def test_receive_close(bench: MakeBench, code: int, text: str, fin: bool, draft: int) -> None:
    ends = bench(settings=PROFILES[draft])
    ends.peer.send_close(ends.session_id, code, text.encode(), fin=fin)
    session = ends.session
    assert (session.close_code, session.close_reason, session.ended_by_peer) == (code, text, True)
    assert session.end_error is None
    assert ends.peer.has_fin(ends.session_id)
    assert ends.session_id not in ends.peer.aborted()
    if not fin:
        ends.peer.send(ends.session_id, b"", fin=True)
    ends.check_works()


@rule("7.5-clean-fin")
@pytest.mark.parametrize("draft", PROFILES)
@pytest.mark.parametrize("before", [b"", encode_frame(DATA, b""), encode_frame(DATA, encode_capsule(0x17, b"x"))])
def test_clean_fin(bench: MakeBench, before: bytes, draft: int) -> None:
    ends = bench(settings=PROFILES[draft])
    ends.peer.send(ends.session_id, before, fin=True)
    session = ends.session
    assert (session.close_code, session.close_reason, session.ended_by_peer) == (0, "", True)
    assert session.end_error is None
    assert ends.peer.has_fin(ends.session_id)
    assert ends.session_id not in ends.peer.aborted()
    ends.check_works()


# Abnormal ends.


def check_abnormal(ends: Bench, code: int | None = None) -> None:
    for session in [ends.session] if ends.peer.closed is None else [ends.session, ends.bystander]:
        assert session.state is SessionState.CLOSED
        assert session.close_code is None
        assert session.ended_by_peer
        assert session.end_error is not None
        if code is not None:
            assert session.end_error.error_code == code


@rule("7.5-fin-mid-capsule")
@pytest.mark.parametrize("capsule", [CLOSE_BYE, encode_frame(DATA, encode_capsule(0x17, b"reserved"))])
def test_fin_mid_capsule(bench: MakeBench, capsule: bytes) -> None:
    ends = bench()
    ends.peer.send(ends.session_id, encode_frame(DATA, capsule[2:-1]), fin=True)
    check_abnormal(ends, ErrorCodes.H3_MESSAGE_ERROR)
    ends.check_message_error()


CODES = [ErrorCodes.H3_NO_ERROR, CANCELLED, ErrorCodes.H3_INTERNAL_ERROR, GONE, 0x52E4A40FA8DB, 0x1F * 3 + 0x21]


@rule("7.5-connect-reset")
@pytest.mark.parametrize("code", CODES)
def test_connect_reset(bench: MakeBench, code: int) -> None:
    ends = bench()
    ends.peer.reset(ends.session_id, code)
    check_abnormal(ends, code)
    assert ends.peer.ends(ends.session_id)[0] == CANCELLED
    assert ends.peer.ends(ends.stream_id) == (GONE, GONE)
    ends.check_works()


@rule("7.5-connect-stopped")
@pytest.mark.parametrize("code", CODES)
def test_connect_stopped(bench: MakeBench, code: int) -> None:
    # With some codes a WT_CLOSE_SESSION may be on its way that was overtaken, which is waited for.
    ends = bench()
    ends.peer.stop(ends.session_id, code)
    ends.peer.wait(5.0)
    check_abnormal(ends, code)
    assert ends.peer.ends(ends.session_id)[1] == CANCELLED
    assert ends.peer.ends(ends.stream_id) == (GONE, GONE)
    ends.check_works()


@rule("7.5-connection-lost")
@pytest.mark.parametrize("code", [ErrorCodes.H3_NO_ERROR, ErrorCodes.H3_INTERNAL_ERROR])
@pytest.mark.parametrize("is_application", [True, False])
def test_connection_lost(bench: MakeBench, code: int, is_application: bool) -> None:
    ends = bench()
    ends.peer.close(code, "gone", is_application=is_application)
    for session in (ends.session, ends.bystander):
        assert session.state is SessionState.CLOSED
        assert session.close_code is None
        assert session.end_error is not None
        assert session.end_error.error_code == code
    names = ends.peer.names()
    assert names.count("SessionEnded") == 2
    assert names[-1] == "ConnectionClosed"


# Streams and datagrams of an ended session.


@rule("7.5-streams-of-ended")
@EACH_ENDING
def test_streams_of_ended(bench: MakeBench, end: Callable[[Bench], None]) -> None:
    ends = bench()
    mine = {
        stream.stream_id: stream
        for stream in (ends.session.open_stream(unidirectional=unidirectional) for unidirectional in (False, True))
    }
    for stream in mine.values():
        stream.write(b"unfinished")
    theirs = ends.peer.open_stream(ends.session_id, b"unread", unidirectional=True)
    ends.peer.pump()
    end(ends)
    bidi, uni = mine
    assert ends.peer.ends(bidi) == (GONE, GONE)
    assert ends.peer.ends(uni) == (GONE, None)
    assert ends.peer.ends(ends.stream_id) == (GONE, GONE)
    assert ends.peer.ends(theirs) == (None, GONE)
    assert ends.session.state is SessionState.CLOSED
    for stream in mine.values():
        with pytest.raises(StreamError):
            stream.write(b"more")
    assert set(ends.peer.aborted()) - {ends.session_id} == {bidi, uni, ends.stream_id, theirs}
    ends.check_works()


@rule("7.5-finished-streams")
@EACH_ENDING
def test_finished_streams(bench: MakeBench, end: Callable[[Bench], None]) -> None:
    ends = bench()
    uni = ends.session.open_stream(unidirectional=True)
    half = ends.session.open_stream(unidirectional=False)
    assert uni is not None
    assert half is not None
    for stream in (uni, half):
        stream.write(b"all", end_stream=True)
    theirs = ends.peer.open_stream(ends.session_id, b"all", unidirectional=True, fin=True)
    ends.peer.send(ends.stream_id, b"all", fin=True)
    ends.peer.pump()
    end(ends)
    assert ends.peer.ends(uni.stream_id) == (None, None)
    assert ends.peer.ends(theirs) == (None, None)
    assert ends.peer.ends(half.stream_id) == (None, GONE)
    assert ends.peer.ends(ends.stream_id) == (GONE, None)
    assert ends.peer.sent(uni.stream_id).endswith(b"all")
    assert ends.peer.has_fin(uni.stream_id)
    ends.check_works()


@rule("7.5-unsent-streams")
@pytest.mark.in_memory
@EACH_ENDING
def test_unsent_streams(bench: MakeBench, end: Callable[[Bench], None]) -> None:
    ends = bench()
    port = ends.peer.port
    uni, half, small = (ends.session.open_stream(unidirectional=each) for each in (True, False, True))
    assert uni is not None
    assert half is not None
    assert small is not None
    ends.peer.pump()
    port.hold = True
    for stream in (uni, half, small):
        stream.write(b"written", end_stream=True)
    for stream in (uni, half):
        port.let_go(stream.stream_id, 3)
    port.let_go(small.stream_id)
    end(ends)
    # What is in line before the end of the CONNECT stream may go out; what is left after it never does.
    for stream_id in (ends.session_id, uni.stream_id, half.stream_id):
        if not port.streams[stream_id].send_over:
            port.let_go(stream_id, 1000 if stream_id == ends.session_id else 2)
            ends.peer.pump()
    ends.peer.pump()
    assert ends.peer.ends(uni.stream_id) == (GONE, None)
    assert ends.peer.ends(half.stream_id) == (GONE, GONE)
    for stream in (uni, half):
        assert ends.peer.sent(stream.stream_id).endswith(b"wri")
        assert (stream.bytes_dropped, stream.bytes_unsent) == (4, 0)
    assert ends.peer.ends(small.stream_id) == (None, None)
    assert ends.peer.has_fin(small.stream_id)
    assert ends.session.tally.bytes_dropped == 8
    port.hold = False
    ends.check_works()


@rule("7.5-late-streams")
@EITHER_DIRECTION
@EACH_ENDING
def test_late_streams(bench: MakeBench, end: Callable[[Bench], None], unidirectional: bool) -> None:
    ends = bench()
    end(ends)
    ends.peer.names()
    stream_id = ends.peer.open_stream(ends.session_id, b"late", unidirectional=unidirectional)
    assert "StreamOpened" not in ends.peer.names()
    assert ends.peer.ends(stream_id) == (None if unidirectional else GONE, GONE)
    ends.check_works()


@rule("7.5-late-datagrams")
@EACH_ENDING
def test_late_datagrams(bench: MakeBench, end: Callable[[Bench], None]) -> None:
    ends = bench()
    end(ends)
    ends.peer.names()
    ends.peer.datagrams(datagram(ends.session_id, b"late"), datagram(ends.session_id, b""))
    assert ends.peer.names() == []
    assert not ends.session.datagrams
    ends.check_works()


@rule("7.5-nothing-after-end")
@EACH_ENDING
def test_nothing_after_end(bench: MakeBench, end: Callable[[Bench], None]) -> None:
    ends = bench()
    end(ends)
    sent = list(ends.peer.datagrams_sent)
    for unidirectional in (False, True):
        with pytest.raises(SessionError):
            ends.session.open_stream(unidirectional=unidirectional)
    with pytest.raises(SessionError):
        ends.session.send_datagram(b"late")
    with pytest.raises(SessionError):
        ends.session.drain()
    ends.peer.pump()
    assert ends.peer.datagrams_sent == sent
    ends.check_works()


# The end of the connection.


@rule("7.5-wait-for-close")
def test_wait_for_close(bench: MakeBench) -> None:
    ends = bench()
    ends.peer.engine.close(0x100, "done")
    assert ends.peer.closed is None
    for stream_id in (ends.session_id, ends.bystander.stream_id):
        ends.peer.queue(stream_id, b"", fin=True)
    ends.peer.pump()
    for stream_id in (ends.session_id, ends.bystander.stream_id):
        assert ends.peer.has_fin(stream_id)
        assert ends.peer.frames(stream_id)[-1] == (DATA, encode_capsule(CLOSE, bytes(4)))
    assert ends.peer.closed == 0x100


@rule("7.5-wait-for-close")
@pytest.mark.in_memory
def test_wait_for_close_of_all(bench: MakeBench) -> None:
    ends = bench()
    ends.peer.engine.close(0x100, "done")
    ends.peer.send(ends.session_id, b"", fin=True)
    assert ends.peer.closed is None
    ends.peer.send(ends.bystander.stream_id, b"", fin=True)
    assert ends.peer.closed == 0x100


@rule("7.5-wait-for-close")
def test_wait_for_close_not_for_long(bench: MakeBench) -> None:
    ends = bench()
    ends.peer.engine.close(0x100, "done")
    ends.peer.wait(5.0)
    assert ends.peer.closed == 0x100


OVER = pytest.mark.parametrize("code", [GONE, ErrorCodes.H3_CONNECT_ERROR])


@rule("7.5-gone-before-close")
@EITHER_DIRECTION
@OVER
def test_gone_before_close(bench: MakeBench, code: int, unidirectional: bool) -> None:
    ends = bench()
    stream_id = ends.peer.open_stream(ends.session_id, b"x", unidirectional=unidirectional)
    stream = ends.peer.stream(stream_id)
    assert stream.read() == b"x"
    stream.wants_readable = True
    ends.peer.queue_reset(stream_id, code)
    ends.peer.queue(ends.session_id, CLOSE_BYE, fin=True)
    ends.peer.pump()
    with pytest.raises(StreamError) as caught:
        stream.read()
    assert caught.value.error_code == 42  # that of the session
    assert stream.reset_code is None
    assert stream.state is not StreamState.RESET_RECEIVED
    assert (ends.session.close_code, ends.session.close_reason) == (42, "bye")
    ends.check_works()


@rule("7.5-gone-before-close")
@OVER
def test_gone_before_close_is_waited_for(bench: MakeBench, code: int) -> None:
    ends = bench()
    stream = ends.peer.stream(ends.stream_id)
    stream.read()
    ends.peer.reset(ends.stream_id, code)
    if ends.peer.now == 0:  # in memory only waiting takes time
        assert stream.read() is None
    ends.peer.wait(5.0)
    with pytest.raises(StreamError) as caught:
        stream.read()
    assert caught.value.application_code is None
    assert caught.value.error_code == code
    ends.check_session_works(ends.session)
    ends.check_works()


@rule("7.5-gone-before-close")
@OVER
def test_gone_before_close_stops_writers(bench: MakeBench, code: int) -> None:
    # QUIC has reset the stream by itself, so that nothing can be written any longer; but the application did not ask.
    ends = bench()
    stream = ends.peer.stream(ends.stream_id)
    ends.peer.stop(ends.stream_id, code)
    with pytest.raises(StreamError) as caught:
        stream.write(b"x")
    assert caught.value.application_code is None
    assert stream.stop_code is None
    assert ends.session.is_open
