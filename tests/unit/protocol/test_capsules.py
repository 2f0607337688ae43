"""RFC 9297, section 3; draft-ietf-webtrans-http3-16, sections 5.6 and 6."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cuts import every_cut, random_cuts, read_pieces
from hypothesis import given
from hypothesis import strategies as st

from wtransport._protocol.capsules import (
    CapsuleItem,
    CapsuleReader,
    CloseRead,
    DataBlockedRead,
    DatagramRead,
    DrainRead,
    MaxDataRead,
    MaxStreamsRead,
    StreamsBlockedRead,
    data_frame,
    encode_close,
    encode_data_blocked,
    encode_drain,
    encode_max_data,
    encode_max_streams,
    encode_streams_blocked,
)
from wtransport._protocol.profiles import Profile
from wtransport._protocol.violations import ProtocolViolation, SessionViolation, StreamViolation
from wtransport._speedups import encode_capsule, encode_varint
from wtransport.constants import ErrorCodes

ON = Profile(16, flow_control=True)
OFF = Profile(16, flow_control=False)
DRAFT_14 = Profile(14, flow_control=True)

MAX_DATA = 0x190B4D3D
MAX_STREAMS_BIDI = 0x190B4D3F
MAX_STREAMS_UNI = 0x190B4D40

VECTORS: dict[str, tuple[str, list[CapsuleItem]]] = {
    "CLOSE 0": ("68 43 04 00 00 00 00", [CloseRead(0, "")]),
    "CLOSE 42": ("68 43 07 00 00 00 2a 62 79 65", [CloseRead(42, "bye")]),
    "CLOSE of all bits": ("68 43 06 ff ff ff ff c3 a9", [CloseRead(0xFFFFFFFF, "\xe9")]),
    "CLOSE of webtransport-go": ("68 43 04 08 17 b3 dd", [CloseRead(0x0817B3DD, "")]),
    "DRAIN": ("80 00 78 ae 00", [DrainRead()]),
    "DRAIN in long varints": ("c0 00 00 00 00 00 78 ae c0 00 00 00 00 00 00 00", [DrainRead()]),
    "MAX_DATA 0": ("99 0b 4d 3d 01 00", [MaxDataRead(0)]),
    "MAX_DATA 1000000": ("99 0b 4d 3d 04 80 0f 42 40", [MaxDataRead(1_000_000)]),
    "MAX_DATA of all bits": ("99 0b 4d 3d 08 ff ff ff ff ff ff ff ff", [MaxDataRead(2**62 - 1)]),
    "MAX_STREAMS bidi": ("99 0b 4d 3f 02 40 64", [MaxStreamsRead(100, unidirectional=False)]),
    "MAX_STREAMS uni": ("99 0b 4d 40 02 40 64", [MaxStreamsRead(100, unidirectional=True)]),
    "MAX_STREAMS 2**60": ("99 0b 4d 3f 08 d0 00 00 00 00 00 00 00", [MaxStreamsRead(2**60, unidirectional=False)]),
    "DATA_BLOCKED": ("99 0b 4d 41 04 80 0f 42 40", [DataBlockedRead(1_000_000)]),
    "STREAMS_BLOCKED bidi": ("99 0b 4d 43 01 10", [StreamsBlockedRead(16, unidirectional=False)]),
    "STREAMS_BLOCKED uni": ("99 0b 4d 44 01 10", [StreamsBlockedRead(16, unidirectional=True)]),
    "DATAGRAM": ("00 05 68 65 6c 6c 6f", [DatagramRead(b"hello")]),
    "empty DATAGRAM": ("00 00", [DatagramRead(b"")]),
    "reserved type": ("17 03 61 62 63", []),
    "PADDING": ("99 0b 4d 38 03 00 00 00", []),
    "WT_RESET_STREAM and others of HTTP/2": ("99 0b 4d 39 01 00 99 0b 4d 3a 01 00 99 0b 4d 3b 00 99 0b 4d 3c 00", []),
    "old datagram capsules": ("80 ff 37 a0 01 00 80 ff 37 a5 00", []),
}

MALFORMED = {
    "CLOSE of 3 bytes": "68 43 03 00 00 00",
    "empty CLOSE": "68 43 00",
    "CLOSE that is not UTF-8": "68 43 05 00 00 00 00 ff",
    "CLOSE with half a character": "68 43 05 00 00 00 00 c3",
    "CLOSE with a surrogate": "68 43 07 00 00 00 00 ed a0 80",
    "DRAIN with a value": "80 00 78 ae 01 00",
    "MAX_DATA with a trailing byte": "99 0b 4d 3d 02 05 00",
    "empty MAX_DATA": "99 0b 4d 3d 00",
    "MAX_DATA cut": "99 0b 4d 3d 01 40",
    "MAX_DATA of 9 bytes": "99 0b 4d 3d 09 00 00 00 00 00 00 00 00 00",
    "empty MAX_STREAMS": "99 0b 4d 3f 00",
    "DATA_BLOCKED with a trailing byte": "99 0b 4d 41 02 05 00",
    "STREAMS_BLOCKED cut": "99 0b 4d 44 01 80",
}


def expect(
    wire: bytes,
    items: list[CapsuleItem],
    kind: type[ProtocolViolation] | None = None,
    code: int | None = None,
    *,
    profile: Profile = ON,
) -> None:
    """Hold every cut of a capsule stream against the items and the violation expected."""
    for pieces in every_cut(wire):
        reader = CapsuleReader(profile)
        seen, error = read_pieces(reader.feed, pieces, ProtocolViolation)
        assert seen == items
        if kind is None:
            assert error is None
            reader.finish()
        else:
            assert type(error) is kind
            assert isinstance(error, ProtocolViolation)
            assert error.error_code == code


def number(capsule_type: int, value: int) -> bytes:
    return encode_capsule(capsule_type, encode_varint(value))


@pytest.mark.parametrize(("wire", "items"), VECTORS.values(), ids=VECTORS)
def test_vectors(wire: str, items: list[CapsuleItem]) -> None:
    expect(bytes.fromhex(wire), items)


@pytest.mark.parametrize("wire", MALFORMED.values(), ids=MALFORMED)
def test_malformed_capsules(wire: str) -> None:
    expect(bytes.fromhex(wire), [], StreamViolation, ErrorCodes.H3_MESSAGE_ERROR)


def test_a_close_text_of_1024_bytes_is_the_longest() -> None:
    value = bytes.fromhex("00 00 00 01") + b"x" * 1024
    wire = encode_capsule(0x2843, value)
    assert len(wire) == 1032
    assert list(CapsuleReader(ON).feed(wire)) == [CloseRead(1, "x" * 1024)]


def test_a_longer_close_is_refused_before_its_text_arrives() -> None:
    expect(bytes.fromhex("68 43 44 05"), [], StreamViolation, ErrorCodes.H3_MESSAGE_ERROR)
    expect(bytes.fromhex("68 43 ff ff ff ff ff ff ff ff"), [], StreamViolation, ErrorCodes.H3_MESSAGE_ERROR)


@pytest.mark.parametrize(
    "after",
    ["00", "68 43 04 00 00 00 00", "80 00 78 ae 00", "17 00", "17 04 00 00 00 00", "99 0b 4d 3e 00", "68 43 44 05"],
    ids=["a byte", "CLOSE", "DRAIN", "empty reserved", "reserved", "forbidden", "too long"],
)
def test_nothing_follows_a_close(after: str) -> None:
    wire = bytes.fromhex("68 43 04 00 00 00 00" + after)
    expect(wire, [CloseRead(0, "")], StreamViolation, ErrorCodes.H3_MESSAGE_ERROR)


def test_no_bytes_are_nothing_even_after_a_close() -> None:
    reader = CapsuleReader(ON)
    assert list(reader.feed(bytes.fromhex(VECTORS["CLOSE 0"][0]))) == [CloseRead(0, "")]
    assert list(reader.feed(b"")) == []
    reader.finish()


def test_an_end_inside_a_capsule_is_malformed() -> None:
    whole = bytes.fromhex("80 00 78 ae 00 17 03 61 62 63 00 02 68 69 68 43 07 00 00 00 2a 62 79 65")
    boundaries = {0, 5, 10, 14, len(whole)}
    for end in range(len(whole) + 1):
        reader = CapsuleReader(ON)
        list(reader.feed(whole[:end]))
        if end in boundaries:
            reader.finish()
        else:
            with pytest.raises(StreamViolation) as caught:
                reader.finish()
            assert caught.value.error_code == ErrorCodes.H3_MESSAGE_ERROR


@pytest.mark.parametrize("capsule_type", [0x190B4D3E, 0x190B4D42])
@pytest.mark.parametrize("profile", [ON, OFF, DRAFT_14])
def test_stream_limits_of_http2_end_the_session(capsule_type: int, profile: Profile) -> None:
    wire = encode_capsule(0x78AE, b"") + encode_capsule(capsule_type, bytes.fromhex("04 40 64"))
    expect(wire, [DrainRead()], SessionViolation, ErrorCodes.WT_FLOW_CONTROL_ERROR, profile=profile)


@pytest.mark.parametrize("capsule_type", [MAX_STREAMS_BIDI, MAX_STREAMS_UNI, 0x190B4D43, 0x190B4D44])
def test_more_streams_than_there_are_end_the_session(capsule_type: int) -> None:
    expect(number(capsule_type, 2**60 + 1), [], SessionViolation, ErrorCodes.WT_FLOW_CONTROL_ERROR)


LIMITS: dict[int, Callable[[int], CapsuleItem]] = {
    MAX_DATA: MaxDataRead,
    MAX_STREAMS_BIDI: lambda limit: MaxStreamsRead(limit, unidirectional=False),
    MAX_STREAMS_UNI: lambda limit: MaxStreamsRead(limit, unidirectional=True),
}


@pytest.mark.parametrize(("capsule_type", "item"), LIMITS.items(), ids=["data", "bidi", "uni"])
def test_limits_go_up(capsule_type: int, item: Callable[[int], CapsuleItem]) -> None:
    first = number(capsule_type, 10)
    code = ErrorCodes.WT_FLOW_CONTROL_ERROR
    expect(first + number(capsule_type, 11), [item(10), item(11)])
    expect(first + number(capsule_type, 9), [item(10)], SessionViolation, code)
    expect(first + first, [item(10)], SessionViolation, code)
    expect(first + first, [item(10), item(10)], profile=DRAFT_14)
    expect(first + number(capsule_type, 9), [item(10)], SessionViolation, code, profile=DRAFT_14)


def test_each_limit_is_held_against_its_own_kind() -> None:
    wire = number(MAX_STREAMS_BIDI, 10) + number(MAX_STREAMS_UNI, 5) + number(MAX_DATA, 1)
    expect(wire, [MaxStreamsRead(10, False), MaxStreamsRead(5, True), MaxDataRead(1)])


def test_reports_of_being_blocked_may_repeat() -> None:
    wire = number(0x190B4D41, 5) * 2 + number(0x190B4D43, 7) + number(0x190B4D43, 6)
    expect(wire, [*[DataBlockedRead(5)] * 2, StreamsBlockedRead(7, False), StreamsBlockedRead(6, False)])


def test_without_flow_control_its_capsules_mean_nothing() -> None:
    impossible = number(MAX_STREAMS_UNI, 2**60 + 1) + encode_capsule(MAX_DATA, bytes(100)) + number(MAX_DATA, 5) * 2
    expect(impossible + encode_capsule(0x78AE, b""), [DrainRead()], profile=OFF)


def test_unknown_capsules_are_skipped_without_keeping_them() -> None:
    reader = CapsuleReader(ON)
    assert list(reader.feed(bytes.fromhex("17 ff ff ff ff ff ff ff ff"))) == []
    assert list(reader.feed(bytes(100_000))) == []


def test_a_datagram_over_the_limit_is_dropped_and_the_next_one_read() -> None:
    wire = (
        encode_capsule(0x00, b"12345")
        + encode_capsule(0x00, b"123456")
        + encode_capsule(0x00, bytes(9))
        + encode_capsule(0x00, b"7")
    )
    for pieces in every_cut(wire):
        reader = CapsuleReader(OFF, max_datagram_size=5)
        items, error = read_pieces(reader.feed, pieces, ProtocolViolation)
        assert (items, error) == ([DatagramRead(b"12345"), DatagramRead(b"7")], None)


ENCODED = {
    "68 43 07 00 00 00 2a 62 79 65": encode_close(42, "bye"),
    "80 00 78 ae 00": encode_drain(),
    "99 0b 4d 3d 04 80 0f 42 40": encode_max_data(1_000_000),
    "99 0b 4d 3f 02 40 64": encode_max_streams(100, unidirectional=False),
    "99 0b 4d 40 02 40 64": encode_max_streams(100, unidirectional=True),
    "99 0b 4d 41 04 80 0f 42 40": encode_data_blocked(1_000_000),
    "99 0b 4d 43 01 10": encode_streams_blocked(16, unidirectional=False),
    "99 0b 4d 44 01 10": encode_streams_blocked(16, unidirectional=True),
}


@pytest.mark.parametrize(("capsule", "frame"), ENCODED.items())
def test_what_is_written(capsule: str, frame: bytes) -> None:
    assert frame == data_frame(bytes.fromhex(capsule))


def test_data_frames_of_the_vectors() -> None:
    assert encode_close(42, "bye") == bytes.fromhex("00 0a 68 43 07 00 00 00 2a 62 79 65")
    assert encode_drain() == bytes.fromhex("00 05 80 00 78 ae 00")


def test_capsules_may_be_split_over_data_frames() -> None:
    reader = CapsuleReader(ON)
    assert list(reader.feed(bytes.fromhex("80 00 78 ae 00 68 43"))) == [DrainRead()]
    assert list(reader.feed(bytes.fromhex("04 00 00 00 00"))) == [CloseRead(0, "")]


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("x" * 1024, "x" * 1024),
        ("x" * 1025, "x" * 1024),
        ("x" * 1023 + "\xe9", "x" * 1023),
        ("x" * 1022 + "\xe9", "x" * 1022 + "\xe9"),
        ("x" * 1021 + "\U0001f600", "x" * 1021),
        ("\U0001f600" * 300, "\U0001f600" * 256),
        ("half \ud83d", "half ?"),
    ],
)
def test_a_reason_is_cut_at_a_character(reason: str, kept: str) -> None:
    frame = encode_close(1, reason)
    header = 3 if len(frame) > 67 else 2
    assert list(CapsuleReader(ON).feed(frame[header:])) == [CloseRead(1, kept)]


@pytest.mark.parametrize("code", [-1, 2**32])
def test_a_close_code_out_of_range_is_refused_by_name(code: int) -> None:
    with pytest.raises(ValueError, match="code"):
        encode_close(code, "")


def test_stream_limits_out_of_range_are_refused_by_name() -> None:
    for encode in (encode_max_streams, encode_streams_blocked):
        with pytest.raises(ValueError, match="limit"):
            encode(2**60 + 1, unidirectional=True)


CAPSULES = st.sampled_from([bytes.fromhex(wire) for wire, _ in VECTORS.values()])


@given(st.data(), st.lists(CAPSULES, max_size=6), st.sampled_from([ON, OFF, DRAFT_14]))
def test_the_cut_never_matters(data: st.DataObject, capsules: list[bytes], profile: Profile) -> None:
    wire = b"".join(capsules)
    pieces = data.draw(random_cuts(wire))
    whole, whole_error = read_pieces(CapsuleReader(profile).feed, [wire], ProtocolViolation)
    cut, cut_error = read_pieces(CapsuleReader(profile).feed, pieces, ProtocolViolation)
    assert cut == whole
    assert repr(cut_error) == repr(whole_error)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(wire: bytes) -> None:
    read_pieces(CapsuleReader(ON).feed, [wire], ProtocolViolation)


@given(st.text(max_size=600), st.integers(0, 0xFFFFFFFF))
def test_a_close_reads_back(reason: str, code: int) -> None:
    frame = encode_close(code, reason)
    length_size = 1 << (frame[1] >> 6)
    (item,) = CapsuleReader(ON).feed(frame[1 + length_size :])
    assert isinstance(item, CloseRead)
    assert item.code == code
    assert reason.encode("utf-8", "replace").decode().startswith(item.reason)
