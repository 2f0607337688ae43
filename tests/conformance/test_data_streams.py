"""Section 3: the headers of data streams, streams that come early, and codes of resets."""

from __future__ import annotations

import pytest
from conformance_bench import CONNECT, DRAFT02, FLOW_CONTROL, MakeBench
from scripted_peer import DATA, DRAFT07, MakePeer, datagram, stream_header

from wtransport._protocol.error_codes import to_wire
from wtransport._speedups import encode_frame, encode_varint
from wtransport.constants import ErrorCodes
from wtransport.exceptions import StreamError

rule = pytest.mark.rule

EITHER_DIRECTION = pytest.mark.parametrize("unidirectional", [False, True], ids=["bidi", "uni"])
GREASE = 0x1F * 5 + 0x21
SIGNAL = 0x41
GONE = ErrorCodes.WT_SESSION_GONE
REJECTED = ErrorCodes.WT_BUFFERED_STREAM_REJECTED


# Headers.


@rule("3.1-session-id-residue")
@EITHER_DIRECTION
@pytest.mark.parametrize("session_id", [1, 2, 3, 2**62 - 1])
def test_session_id_residue(bench: MakeBench, session_id: int, unidirectional: bool) -> None:
    ends = bench()
    ends.peer.open_stream(session_id, b"x", unidirectional=unidirectional)
    ends.check_connection_error(ErrorCodes.H3_ID_ERROR)


@rule("3.1-session-id-beyond-limit")
@EITHER_DIRECTION
@pytest.mark.parametrize("session_id", [1 << 30, 2**62 - 4])
def test_session_id_beyond_limit(bench: MakeBench, session_id: int, unidirectional: bool) -> None:
    ends = bench()
    ends.peer.open_stream(session_id, b"x", unidirectional=unidirectional)
    ends.check_connection_error(ErrorCodes.H3_ID_ERROR)


@rule("3.1-signal-not-first")
@pytest.mark.parametrize("place", ["after the head", "after a reserved frame", "in a tunnel"])
@pytest.mark.parametrize("signal", [encode_varint(SIGNAL), b"\x80\x00\x00\x41"], ids=["short", "long"])
def test_signal_not_first(bench: MakeBench, place: str, signal: bytes) -> None:
    ends = bench()
    data = signal + encode_varint(ends.session_id) + b"data"
    if place == "in a tunnel":
        ends.peer.send(ends.session_id, data)
    else:
        ends.begin_message(ends.head() if place == "after the head" else encode_frame(GREASE, b""), data)
    ends.check_connection_error(ErrorCodes.H3_FRAME_ERROR)


@rule("3.1-long-varints")
@EITHER_DIRECTION
@pytest.mark.parametrize("size", [4, 8])
def test_long_varints(bench: MakeBench, size: int, unidirectional: bool) -> None:
    ends = bench()

    def long_varint(number: int) -> bytes:
        return ((2 if size == 4 else 3) << (8 * size - 2) | number).to_bytes(size, "big")

    stream_id = ends.peer.next_id(unidirectional=unidirectional)
    signal = 0x54 if unidirectional else SIGNAL
    ends.peer.send(stream_id, long_varint(signal) + long_varint(ends.session_id) + b"data")
    stream = ends.peer.stream(stream_id)
    assert stream.session is ends.session
    assert stream.read() == b"data"
    ends.check_nothing_wrong()


@rule("3.1-ends-in-header")
@EITHER_DIRECTION
@pytest.mark.parametrize("how", ["FIN", "reset"])
@pytest.mark.parametrize("missing", [1, 2])
def test_ends_in_header(bench: MakeBench, missing: int, how: str, unidirectional: bool) -> None:
    ends = bench()
    header = stream_header(ends.session_id, unidirectional=unidirectional)[:-missing]
    stream_id = ends.peer.next_id(unidirectional=unidirectional)
    ends.peer.send(stream_id, header, fin=how == "FIN")
    if how == "reset":
        ends.peer.reset(stream_id, ErrorCodes.H3_REQUEST_CANCELLED)
    assert "StreamOpened" not in ends.peer.names()
    if unidirectional:
        ends.check_nothing_wrong()
    else:
        ends.check_stream_error(stream_id, ErrorCodes.H3_REQUEST_INCOMPLETE)


@rule("3.1-header-only")
@EITHER_DIRECTION
@pytest.mark.parametrize("fin", [False, True], ids=["open", "FIN"])
def test_header_only(bench: MakeBench, fin: bool, unidirectional: bool) -> None:
    ends = bench()
    ends.peer.open_stream(ends.session_id, unidirectional=unidirectional, fin=fin)
    stream = ends.peer.take_event("StreamOpened").stream
    assert stream.read() == (b"" if fin else None)
    ends.check_nothing_wrong()


@rule("3.1-reply-without-header")
def test_reply_without_header(bench: MakeBench) -> None:
    ends = bench()
    stream = ends.peer.stream(ends.stream_id)
    stream.write(b"reply")
    mine = ends.session.open_stream(unidirectional=False)
    assert mine is not None
    ends.peer.pump()
    assert ends.peer.sent(ends.stream_id) == b"reply"
    ends.peer.send(mine.stream_id, stream_header(ends.session_id, unidirectional=False))  # plain bytes here
    assert mine.read() == stream_header(ends.session_id, unidirectional=False)
    ends.check_nothing_wrong()


# Early arrivals.


@rule("3.2-early-streams")
@EITHER_DIRECTION
@pytest.mark.parametrize("settings", [FLOW_CONTROL, DRAFT07, DRAFT02], ids=["16", "7", "2"])
def test_early_streams(peer: MakePeer, settings: dict[int, int], unidirectional: bool) -> None:
    ends = peer(settings=settings)
    session_id = ends.next_id(unidirectional=False)
    stream_id = ends.open_stream(session_id, b"early", unidirectional=unidirectional)
    ends.datagrams(datagram(session_id, b"early too"))
    assert ends.names() == []
    ends.send(session_id, ends.headers(CONNECT))
    session = ends.take_event("SessionRequested").session
    assert ends.names() == []
    session.accept()
    ends.send(stream_id, b" and late", fin=True)
    assert ends.take_event("StreamOpened").stream.read() == b"early and late"
    assert session.datagrams.drain() == [b"early too"]
    assert not ends.aborted()


@rule("3.2-early-streams-at-client")
@EITHER_DIRECTION
def test_early_streams_at_client(bench: MakeBench, unidirectional: bool) -> None:
    ends = bench()
    session_id = ends.begin_message()
    ends.peer.pump()
    ends.peer.open_stream(session_id, b"early", unidirectional=unidirectional)
    assert ends.peer.names() == []
    ends.peer.send(session_id, ends.peer.response(200))
    assert ends.peer.take_event("StreamOpened").stream.read() == b"early"
    ends.check_nothing_wrong()


@rule("3.2-too-many-early-streams")
def test_too_many_early_streams(bench: MakeBench) -> None:
    ends = bench(max_pending_events_per_session=3)
    session_id = ends.peer.next_id(unidirectional=False)
    kept = [ends.peer.open_stream(session_id, b"x", unidirectional=True) for _ in range(3)]
    late = ends.peer.open_stream(session_id, b"x", unidirectional=False)
    assert not set(kept) & set(ends.peer.aborted())
    ends.check_stream_error(late, REJECTED)


@rule("3.2-too-many-early-streams")
def test_too_many_early_streams_wait_no_longer(bench: MakeBench) -> None:
    ends = bench(pending_event_ttl=2.0)
    stream_id = ends.peer.open_stream(ends.peer.next_id(unidirectional=False), b"x", unidirectional=False)
    ends.peer.wait(1.0)
    assert not ends.peer.aborted()
    ends.peer.wait(2.0)
    ends.check_stream_error(stream_id, REJECTED)


@rule("3.2-too-many-early-datagrams")
def test_too_many_early_datagrams(bench: MakeBench) -> None:
    ends = bench(max_pending_events_per_session=3)
    session_id = ends.peer.next_id(unidirectional=False)
    ends.peer.datagrams(*(datagram(session_id, bytes([number])) for number in range(9)))
    ends.peer.send(session_id, ends.peer.headers(CONNECT))
    session = ends.peer.take_event("SessionRequested").session
    session.accept()
    ends.peer.pump()
    assert session.datagrams.drain() == [b"\x00", b"\x01", b"\x02"]
    ends.check_nothing_wrong()


@rule("3.2-rejected-session")
@EITHER_DIRECTION
def test_rejected_session(bench: MakeBench, unidirectional: bool) -> None:
    ends = bench()
    if ends.is_client:
        session_id = ends.begin_message()
        ends.peer.pump()
        stream_id = ends.peer.open_stream(session_id, b"early", unidirectional=unidirectional)
        ends.peer.send(session_id, ends.peer.response(404), fin=True)
        ends.check_stream_error(stream_id, GONE)
    else:
        session_id = ends.peer.next_id(unidirectional=False)
        stream_id = ends.peer.open_stream(session_id, b"early", unidirectional=unidirectional)
        ends.peer.send(session_id, ends.peer.headers(CONNECT))
        ends.peer.take_event("SessionRequested").session.reject(404)
        ends.peer.pump()
        ends.check_stream_error(stream_id, GONE, and_streams=[session_id])


@rule("3.2-no-session-stream")
@EITHER_DIRECTION
def test_no_session_stream(bench: MakeBench, unidirectional: bool) -> None:
    ends = bench()
    request = ends.begin_message(ends.head(opens=False), encode_frame(DATA, b"content"))
    stream_id = ends.peer.open_stream(request, b"x", unidirectional=unidirectional)
    ends.peer.wait(10.0)
    aborted = ends.peer.aborted()
    assert aborted[stream_id][1] in (GONE, REJECTED)
    assert aborted[stream_id][0] in ((None,) if unidirectional else (GONE, REJECTED))
    assert set(aborted) == {request, stream_id}
    ends.check_works()


# Codes.


def ended_with(ends_bench: object, stream: object, how: str) -> StreamError:
    error = stream.receive_error if how == "reset" else stream.send_error  # type: ignore[attr-defined]
    assert isinstance(error, StreamError)
    return error


@rule("3.3-unmapped-code")
@pytest.mark.parametrize("how", ["reset", "stop"])
@pytest.mark.parametrize("code", [0, ErrorCodes.H3_REQUEST_CANCELLED, 0x52E4A40FA8DA, 0x52E4A40FA8F9, 0x52E5AC983163])
def test_unmapped_code(bench: MakeBench, code: int, how: str) -> None:
    ends = bench()
    stream = ends.peer.stream(ends.stream_id)
    (ends.peer.reset if how == "reset" else ends.peer.stop)(ends.stream_id, code)
    error = ended_with(ends, stream, how)
    assert error.application_code is None
    assert error.error_code == code
    ends.check_nothing_wrong()


@rule("3.3-mapped-code")
@pytest.mark.parametrize("how", ["reset", "stop"])
@pytest.mark.parametrize("code", [0, 29, 30, 255, 65536, 0xFFFFFFFF])
def test_mapped_code(bench: MakeBench, code: int, how: str) -> None:
    ends = bench()
    stream = ends.peer.stream(ends.stream_id)
    (ends.peer.reset if how == "reset" else ends.peer.stop)(ends.stream_id, to_wire(code))
    error = ended_with(ends, stream, how)
    assert (error.application_code, error.error_code) == (code, code)
    ends.check_nothing_wrong()
