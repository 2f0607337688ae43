"""Section 8.1: unidirectional streams and their types, critical streams."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_bench import MakeBench
from scripted_peer import ScriptedPeer

from wtransport._speedups import encode_varint
from wtransport.constants import ErrorCodes

rule = pytest.mark.rule

CONTROL, PUSH, QPACK_ENCODER, QPACK_DECODER = 0x00, 0x01, 0x02, 0x03
GREASE = 0x1F * 3 + 0x21
H3_UNKNOWN = 0x1F * 9 + 0x21
"""A reserved error code (RFC 9114, 8.1)."""


def open_uni(peer: ScriptedPeer, data: bytes, *, fin: bool = False) -> int:
    stream_id = peer.next_id(unidirectional=True)
    peer.send(stream_id, data, fin)
    return stream_id


@rule("8.1-second-critical-stream")
@pytest.mark.parametrize("stream_type", [CONTROL, QPACK_ENCODER, QPACK_DECODER])
def test_second_critical_stream(bench: MakeBench, stream_type: int) -> None:
    ends = bench()
    if stream_type != CONTROL:
        open_uni(ends.peer, encode_varint(stream_type))
        ends.check_nothing_wrong()
    ends.peer.names()
    open_uni(ends.peer, encode_varint(stream_type))
    ends.check_connection_error(ErrorCodes.H3_STREAM_CREATION_ERROR)


@rule("8.1-client-push-stream")
def test_client_push_stream(bench: MakeBench) -> None:
    ends = bench()
    open_uni(ends.peer, encode_varint(PUSH) + b"\x00")
    ends.check_connection_error(ErrorCodes.H3_STREAM_CREATION_ERROR)


@rule("8.1-push-stream")
@pytest.mark.parametrize("push_id", [b"", b"\x00", encode_varint(2**62 - 1)], ids=["no id", "0", "2**62-1"])
def test_push_stream(bench: MakeBench, push_id: bytes) -> None:
    ends = bench()
    open_uni(ends.peer, encode_varint(PUSH) + push_id)
    ends.check_connection_error(ErrorCodes.H3_ID_ERROR)


@rule("8.1-server-bidi-stream")
@pytest.mark.parametrize(
    "data", [b"\x01\x03\x00\x00\xd9", b"\x00\x00", encode_varint(GREASE) + b"\x00", b"\x40\x54\x00"]
)
def test_server_bidi_stream(bench: MakeBench, data: bytes) -> None:
    ends = bench()
    ends.peer.send(ends.peer.next_id(unidirectional=False), data)
    ends.check_connection_error(ErrorCodes.H3_STREAM_CREATION_ERROR)


@rule("8.1-critical-stream-closed")
@pytest.mark.parametrize("how", ["FIN", "reset"])
def test_critical_stream_closed_control(bench: MakeBench, how: str) -> None:
    ends = bench()
    end_stream(ends.peer, ends.peer.control_id, how)
    ends.check_connection_error(ErrorCodes.H3_CLOSED_CRITICAL_STREAM)


@rule("8.1-critical-stream-closed")
@pytest.mark.parametrize("how", ["FIN", "FIN at once", "reset"])
@pytest.mark.parametrize("stream_type", [QPACK_ENCODER, QPACK_DECODER])
def test_critical_stream_closed_qpack(bench: MakeBench, stream_type: int, how: str) -> None:
    ends = bench()
    stream_id = open_uni(ends.peer, encode_varint(stream_type), fin=how == "FIN at once")
    if how != "FIN at once":
        assert ends.peer.closed is None
        end_stream(ends.peer, stream_id, how)
    ends.check_connection_error(ErrorCodes.H3_CLOSED_CRITICAL_STREAM)


def end_stream(peer: ScriptedPeer, stream_id: int, how: str) -> None:
    if how == "FIN":
        peer.send(stream_id, b"", fin=True)
    else:
        peer.reset(stream_id, ErrorCodes.H3_NO_ERROR)


@rule("8.1-our-critical-stream-stopped")
@pytest.mark.parametrize("code", [ErrorCodes.H3_NO_ERROR, ErrorCodes.H3_STREAM_CREATION_ERROR, H3_UNKNOWN])
def test_our_critical_stream_stopped(bench: MakeBench, code: int) -> None:
    ends = bench()
    ends.peer.stop(2 if ends.is_client else 3, code)
    ends.check_connection_error(ErrorCodes.H3_CLOSED_CRITICAL_STREAM)


@rule("8.1-unknown-stream-type")
@pytest.mark.parametrize("stream_type", [GREASE, 0x04, 0x41, 2**62 - 1])
@pytest.mark.parametrize("how", ["stays open", "FIN", "reset"])
def test_unknown_stream_type(bench: MakeBench, stream_type: int, how: str) -> None:
    ends = bench()
    stream_id = open_uni(ends.peer, encode_varint(stream_type) + b"whatever this is")
    assert ends.peer.closed is None
    if how != "stays open" and not getattr(ends.peer, "pair", None):  # QUIC itself answers STOP_SENDING with a reset
        end_stream(ends.peer, stream_id, how)
    ends.check_stream_error(stream_id, ErrorCodes.H3_STREAM_CREATION_ERROR)


@rule("8.1-ends-in-type")
@pytest.mark.parametrize("head", [b"", b"\x40", b"\xc0\x00\x00"])
@pytest.mark.parametrize("how", ["FIN", "reset"])
def test_ends_in_type(bench: MakeBench, head: bytes, how: str) -> None:
    ends = bench()
    if how == "FIN":
        open_uni(ends.peer, head, fin=True)
    else:
        ends.peer.reset(open_uni(ends.peer, head) if head else ends.peer.next_id(unidirectional=True), H3_UNKNOWN)
    ends.check_nothing_wrong()


@rule("8.1-unknown-error-code")
@pytest.mark.parametrize("code", [H3_UNKNOWN, 0x00, 0x99, 0x1234_5678, 2**62 - 1])
@pytest.mark.parametrize("what", ["reset", "stop"])
def test_unknown_error_code_of_a_stream(bench: MakeBench, what: str, code: int) -> None:
    ends = bench()
    if what == "reset":
        ends.peer.reset(ends.stream_id, code)
    else:
        ends.peer.stop(ends.stream_id, code)
    assert ends.peer.closed is None
    assert ends.session.is_open
    ends.check_session_works(ends.session)
    ends.check_works()


@rule("8.1-unknown-error-code")
@pytest.mark.parametrize("code", [H3_UNKNOWN, 0x99, 2**62 - 1])
def test_unknown_error_code_of_the_connection(bench: MakeBench, code: int) -> None:
    ends = bench()
    ends.peer.close(code)
    (closed,) = [event for event in ends.peer.events if type(event).__name__ == "ConnectionClosed"]
    assert closed.error_code == code
    assert_lost(ends.session)
    assert_lost(ends.bystander)


def assert_lost(session: Any) -> None:
    assert not session.is_open
    assert session.close_code is None
    assert session.end_error is not None
