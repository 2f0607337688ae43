"""Sections 5 and 5.2: capsules, and what is wrong with them."""

from __future__ import annotations

import pytest
from conformance_bench import CONNECT, PROFILES, Bench, MakeBench
from scripted_peer import (
    CLOSE,
    DATA,
    DATA_BLOCKED,
    DRAIN,
    MAX_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    STREAMS_BLOCKED_BIDI,
    STREAMS_BLOCKED_UNI,
    MakePeer,
)

from wtransport._protocol.limits import MAX_EARLY_CAPSULE_BYTES
from wtransport._speedups import encode_capsule, encode_frame, encode_varint
from wtransport.constants import ErrorCodes
from wtransport.types import SessionState

rule = pytest.mark.rule

GREASE = 0x29 * 7 + 0x17
LIMITS = [MAX_DATA, MAX_STREAMS_BIDI, MAX_STREAMS_UNI]
BLOCKED = [DATA_BLOCKED, STREAMS_BLOCKED_BIDI, STREAMS_BLOCKED_UNI]
STREAM_COUNTS = [MAX_STREAMS_BIDI, MAX_STREAMS_UNI, STREAMS_BLOCKED_BIDI, STREAMS_BLOCKED_UNI]
STREAM_DATA = [0x190B4D3E, 0x190B4D42]
CLOSE_BYE = encode_capsule(CLOSE, b"\x00\x00\x00\x2abye")
EACH_PROFILE = pytest.mark.parametrize("draft", PROFILES)
WITH_FLOW_CONTROL = pytest.mark.parametrize("draft", [16, 14])


def data(content: bytes) -> bytes:
    return encode_frame(DATA, content)


def in_draft(bench: MakeBench, draft: int) -> Bench:
    ends = bench(settings=PROFILES[draft])
    assert ends.peer.engine.draft == draft
    return ends


# Layout.


@rule("5-split-capsules")
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_split_capsules(bench: MakeBench, size: int) -> None:
    ends = bench()
    # With varints of eight bytes for type and length (RFC 9000, 16): DRAIN, then a CLOSE with a text.
    eight = [(1 << 62 | 3 << 62 | number).to_bytes(9, "big")[-8:] for number in (DRAIN, 0, CLOSE, 7)]
    capsules = b"".join(eight) + b"\x00\x00\x00\x2abye"
    for start in range(0, len(capsules), size):
        ends.peer.send(ends.session_id, data(capsules[start : start + size]) + data(b""))
    names = ends.peer.names()
    assert names.index("SessionDraining") < names.index("SessionEnded")
    assert (ends.session.close_code, ends.session.close_reason) == (42, "bye")


@rule("5-split-capsules")
def test_split_capsules_packed(bench: MakeBench) -> None:
    ends = bench()
    ends.peer.send(ends.session_id, data(encode_capsule(GREASE, b"x") + encode_capsule(DRAIN, b"") + CLOSE_BYE))
    assert (ends.session.close_code, ends.session.close_reason) == (42, "bye")
    ends.check_works()


@rule("5-unknown-capsule")
@pytest.mark.parametrize(
    "capsule_type", [GREASE, 0x17, 0x190B4D38, 0x190B4D3A, 0x190B4D3C, 0xFF37A0, 0xFF37A5, 2**62 - 1]
)
def test_unknown_capsule(bench: MakeBench, capsule_type: int) -> None:
    ends = bench()
    for value in (b"", b"\xff", bytes(3000)):
        ends.peer.send_capsule(ends.session_id, capsule_type, value)
    ends.check_nothing_wrong()


@rule("5-unknown-capsule")
def test_unknown_capsule_is_not_kept(bench: MakeBench) -> None:
    ends = bench()
    ends.peer.send(ends.session_id, data(encode_varint(GREASE) + encode_varint(2**62 - 1)))
    for _ in range(20):
        ends.peer.send(ends.session_id, data(bytes(60_000)))
    ends.check_nothing_wrong()


@rule("5-datagram-capsule")
@pytest.mark.parametrize("payload", [b"", b"hello", bytes(1500)])
def test_datagram_capsule(bench: MakeBench, payload: bytes) -> None:
    ends = bench()
    ends.peer.send_capsule(ends.session_id, 0x00, payload)
    assert ends.session.datagrams.drain() == [payload]
    ends.check_nothing_wrong()


# Before the answer.


def ask(ends: Bench, *frames: bytes, fin: bool = False) -> int:
    """Send a CONNECT with these frames behind it, which nobody has answered yet."""
    return ends.begin_message(ends.peer.headers(CONNECT), *frames, fin=fin)


@rule("5-early-capsules")
def test_early_capsules(bench: MakeBench) -> None:
    ends = bench()
    ask(ends, data(encode_capsule(0x00, b"early")[:4]), data(encode_capsule(0x00, b"early")[4:]))
    session = ends.peer.take_event("SessionRequested").session
    assert not session.datagrams
    session.accept()
    ends.peer.pump()
    assert session.datagrams.drain() == [b"early"]
    ends.check_session_works(session)
    ends.check_nothing_wrong()


@rule("5-early-capsules")
def test_early_capsules_that_are_malformed(bench: MakeBench) -> None:
    ends = bench()
    stream_id = ask(ends, data(encode_capsule(DRAIN, b"\x00")))
    session = ends.peer.take_event("SessionRequested").session
    assert session.state is SessionState.CONNECTING
    session.accept()
    ends.peer.pump()
    ends.check_stream_error(stream_id, ErrorCodes.H3_MESSAGE_ERROR)


@rule("5-early-capsules-of-rejected")
def test_early_capsules_of_rejected(bench: MakeBench) -> None:
    ends = bench()
    stream_id = ask(ends, data(encode_capsule(DRAIN, b"\x00")))
    ends.peer.take_event("SessionRequested").session.reject(404)
    ends.peer.pump()
    assert ends.peer.status(stream_id) == 404
    ends.check_stream_error(stream_id, ErrorCodes.H3_NO_ERROR)


@rule("5-too-many-early-capsules")
def test_too_many_early_capsules(bench: MakeBench) -> None:
    ends = bench()
    stream_id = ask(ends, data(bytes(MAX_EARLY_CAPSULE_BYTES)))
    ends.peer.take_event("SessionRequested")
    assert not ends.peer.aborted()
    ends.peer.send(stream_id, data(b"\x00"))
    ends.check_stream_error(stream_id, ErrorCodes.H3_EXCESSIVE_LOAD)


@rule("5.2-data-after-close")
@pytest.mark.in_role("server")
def test_data_after_close_before_the_answer(bench: MakeBench) -> None:
    ends = bench()
    stream_id = ask(ends, data(CLOSE_BYE))
    session = ends.peer.take_event("SessionRequested").session
    session.accept()
    assert session.close_code == 42
    ends.peer.send(stream_id, data(b""))
    ends.check_stream_error(stream_id, ErrorCodes.H3_MESSAGE_ERROR)


# Malformed capsules.


@rule("5.2-fin-inside-capsule")
@EACH_PROFILE
@pytest.mark.parametrize(
    "capsules",
    ["80", "800078", "6843", "684344", "684304", "6843040000", "0005", "000568", "80000017", "1703", "17036162"],
)
def test_fin_inside_capsule(bench: MakeBench, capsules: str, draft: int) -> None:
    ends = in_draft(bench, draft)
    ends.peer.send(ends.session_id, data(bytes.fromhex(capsules)), fin=True)
    ends.check_message_error()


@rule("5.2-value-size")
@WITH_FLOW_CONTROL
@pytest.mark.parametrize("value", ["", "40", "c0000000", "0500", "406400", "ffffffffffffffff00"])
@pytest.mark.parametrize("capsule_type", [*LIMITS, *BLOCKED], ids=hex)
def test_value_size(bench: MakeBench, capsule_type: int, value: str, draft: int) -> None:
    ends = in_draft(bench, draft)
    ends.peer.send_capsule(ends.session_id, capsule_type, bytes.fromhex(value))
    ends.check_message_error()


@rule("5.2-drain-with-value")
@EACH_PROFILE
@pytest.mark.parametrize("value", [b"\x00", bytes(500)])
def test_drain_with_value(bench: MakeBench, value: bytes, draft: int) -> None:
    ends = in_draft(bench, draft)
    ends.peer.send_capsule(ends.session_id, DRAIN, value)
    ends.check_message_error()


@rule("5.2-close-without-code")
@EACH_PROFILE
@pytest.mark.parametrize("size", [0, 1, 3])
def test_close_without_code(bench: MakeBench, size: int, draft: int) -> None:
    ends = in_draft(bench, draft)
    ends.peer.send_capsule(ends.session_id, CLOSE, bytes(size), fin=True)
    ends.check_message_error()


@rule("5.2-close-text-too-long")
@EACH_PROFILE
@pytest.mark.parametrize("size", [1025, 2**14, 2**62 - 5])
def test_close_text_too_long(bench: MakeBench, size: int, draft: int) -> None:
    # Known by its length: the text never comes.
    ends = in_draft(bench, draft)
    ends.peer.send(ends.session_id, data(encode_varint(CLOSE) + encode_varint(4 + size)))
    ends.check_message_error()


@rule("5.2-close-text-too-long")
@EACH_PROFILE
def test_close_text_too_long_by_nothing(bench: MakeBench, draft: int) -> None:
    ends = in_draft(bench, draft)
    ends.peer.send_close(ends.session_id, 1, b"x" * 1024)
    assert (ends.session.close_code, ends.session.close_reason) == (1, "x" * 1024)
    ends.check_works()


@rule("5.2-close-text-not-utf8")
@EACH_PROFILE
@pytest.mark.parametrize("text", [b"\xff", b"ok\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"])
def test_close_text_not_utf8(bench: MakeBench, text: bytes, draft: int) -> None:
    ends = in_draft(bench, draft)
    ends.peer.send_close(ends.session_id, 0, text)
    ends.check_message_error()


@rule("5.2-data-after-close")
@pytest.mark.parametrize("where", ["same packet", "same packet with FIN", "next packet"])
@pytest.mark.parametrize(
    "frame", [data(b""), encode_frame(0x1F * 3 + 0x21, b""), encode_frame(0x1F * 3 + 0x21, b"reserved")]
)
def test_data_after_close_outside_of_capsules(bench: MakeBench, frame: bytes, where: str) -> None:
    # Any bytes on the stream are meant, also of frames that carry no capsule.
    ends = bench()
    before = encode_frame(0x1F * 3 + 0x21, b"") + data(CLOSE_BYE)
    if where == "next packet":
        ends.peer.send(ends.session_id, before)
        assert ends.session.close_code == 42
        ends.peer.send(ends.session_id, frame)
    else:
        ends.peer.send(ends.session_id, before + frame, fin=where.endswith("FIN"))
    ends.check_message_error()


@rule("5.2-data-after-close")
@pytest.mark.parametrize(
    "after",
    [b"\x00", encode_capsule(DRAIN, b""), CLOSE_BYE, encode_capsule(GREASE, b"")],
    ids=["a byte", "DRAIN", "CLOSE again", "reserved"],
)
@pytest.mark.parametrize("where", ["same frame", "next frame", "next packet"])
@EACH_PROFILE
def test_data_after_close(bench: MakeBench, after: bytes, where: str, draft: int) -> None:
    ends = in_draft(bench, draft)
    if where == "same frame":
        ends.peer.send(ends.session_id, data(CLOSE_BYE + after))
    elif where == "next frame":
        ends.peer.send(ends.session_id, data(CLOSE_BYE) + data(after))
    else:
        ends.peer.send(ends.session_id, data(CLOSE_BYE))
        ends.peer.send(ends.session_id, data(after))
    ends.check_message_error()


# Limits.


@rule("5.2-limit-repeated")
@WITH_FLOW_CONTROL
@pytest.mark.parametrize("capsule_type", LIMITS, ids=hex)
def test_limit_repeated(bench: MakeBench, capsule_type: int, draft: int) -> None:
    ends = in_draft(bench, draft)
    ends.peer.send_limit(ends.session_id, capsule_type, 1 << 30)
    ends.check_nothing_wrong()
    ends.peer.send_limit(ends.session_id, capsule_type, 1 << 30)
    if draft == 16:
        ends.check_session_error(ErrorCodes.WT_FLOW_CONTROL_ERROR)
    else:
        ends.check_nothing_wrong()


@rule("5.2-limit-lowered")
@WITH_FLOW_CONTROL
@pytest.mark.parametrize("lower", [0, (1 << 30) - 1])
@pytest.mark.parametrize("capsule_type", LIMITS, ids=hex)
def test_limit_lowered(bench: MakeBench, capsule_type: int, lower: int, draft: int) -> None:
    ends = in_draft(bench, draft)
    ends.peer.send_limit(ends.session_id, capsule_type, 1 << 30)
    ends.peer.send_limit(ends.session_id, capsule_type, lower)
    ends.check_session_error(ErrorCodes.WT_FLOW_CONTROL_ERROR)


@rule("5.2-streams-above-2-60")
@WITH_FLOW_CONTROL
@pytest.mark.parametrize("capsule_type", STREAM_COUNTS, ids=hex)
@pytest.mark.parametrize("limit", [(1 << 60) + 1, (1 << 62) - 1])
def test_streams_above_2_60(bench: MakeBench, capsule_type: int, limit: int, draft: int) -> None:
    ends = in_draft(bench, draft)
    ends.peer.send_limit(ends.session_id, capsule_type, limit)
    ends.check_session_error(ErrorCodes.WT_FLOW_CONTROL_ERROR)


@rule("5.2-streams-above-2-60")
@pytest.mark.parametrize("capsule_type", STREAM_COUNTS, ids=hex)
def test_streams_above_2_60_by_nothing(bench: MakeBench, capsule_type: int) -> None:
    ends = bench()
    ends.peer.send_limit(ends.session_id, capsule_type, 1 << 60)
    ends.check_nothing_wrong()


@rule("5.2-no-flow-control")
@pytest.mark.parametrize("draft", [7, 2])
@pytest.mark.parametrize("capsule_type", [*LIMITS, *BLOCKED], ids=hex)
def test_no_flow_control(bench: MakeBench, capsule_type: int, draft: int) -> None:
    ends = in_draft(bench, draft)
    for value in (encode_varint(100), encode_varint(5), encode_varint(2**62 - 1), b"", b"\x40", bytes(20)):
        ends.peer.send_capsule(ends.session_id, capsule_type, value)
    ends.check_nothing_wrong()


@rule("5.2-no-flow-control")
@pytest.mark.parametrize("capsule_type", [*LIMITS, *BLOCKED], ids=hex)
def test_no_flow_control_in_draft_16(peer: MakePeer, capsule_type: int) -> None:
    ends = peer()
    session = ends.open_session()
    for value in (encode_varint(100), encode_varint(5), encode_varint(2**62 - 1), b"", bytes(20)):
        ends.send_capsule(session.stream_id, capsule_type, value)
    assert ends.closed is None
    assert not ends.aborted()
    assert session.is_open


@rule("5.2-stream-data-capsule")
@WITH_FLOW_CONTROL
@pytest.mark.parametrize("capsule_type", STREAM_DATA, ids=hex)
def test_stream_data_capsule(bench: MakeBench, capsule_type: int, draft: int) -> None:
    ends = in_draft(bench, draft)
    ends.peer.send_capsule(ends.session_id, capsule_type, encode_varint(ends.stream_id) + encode_varint(1 << 20))
    ends.check_session_error(ErrorCodes.WT_FLOW_CONTROL_ERROR)


# Messages that open the capsule stream.


FIELDS = [(b"content-length", b"0"), (b"content-length", b"5"), (b"content-type", b"text/plain")]


@rule("5.2-response-fields")
@pytest.mark.parametrize("line", [*FIELDS, (b"transfer-encoding", b"chunked")])
def test_response_fields(bench: MakeBench, line: tuple[bytes, bytes]) -> None:
    ends = bench()
    stream_id = ends.begin_message(ends.head(line))
    assert "SessionRejected" in ends.peer.names()
    ends.check_stream_error(stream_id, ErrorCodes.H3_MESSAGE_ERROR)


@rule("5.2-request-fields")
@pytest.mark.parametrize("line", [*FIELDS, (b"transfer-encoding", b"chunked")])
def test_request_fields(bench: MakeBench, line: tuple[bytes, bytes]) -> None:
    ends = bench()
    stream_id = ends.begin_message(ends.head(line))
    assert "SessionRequested" not in ends.peer.names()
    ends.check_stream_error(stream_id, ErrorCodes.H3_MESSAGE_ERROR)


@rule("5.2-response-status")
@pytest.mark.parametrize("status", [204, 205, 206])
def test_response_status(bench: MakeBench, status: int) -> None:
    ends = bench()
    stream_id = ends.begin_message(ends.peer.response(status))
    assert "SessionRejected" in ends.peer.names()
    ends.check_stream_error(stream_id, ErrorCodes.H3_MESSAGE_ERROR)
