"""Frames and stream headers, whole, byte by byte and cut at every place."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from wire_vectors import STREAM_PREAMBLES

HEADERS = 0x01
SETTINGS = 0x04
UNKNOWN = 0x21

LIMITS = {HEADERS: 100, SETTINGS: 8}


def joined(results: list[tuple[int, bytes, bool]]) -> list[tuple[int, bytes, bool]]:
    """Put the pieces of each DATA frame together, so that different cuts compare equal."""
    whole: list[tuple[int, bytes, bool]] = []
    open_data = b""
    for frame_type, payload, ended in results:
        if frame_type == 0:
            open_data += payload
            if ended:
                whole.append((0, open_data, True))
                open_data = b""
        else:
            whole.append((frame_type, payload, ended))
    if open_data:
        whole.append((0, open_data, False))
    return whole


@pytest.fixture
def stream(kernels: ModuleType) -> bytes:
    frames = [(HEADERS, b"h" * 70), (0, b"data"), (UNKNOWN, b"skip"), (0, b""), (SETTINGS, b""), (UNKNOWN, b"")]
    return b"".join(kernels.encode_frame(frame_type, payload) for frame_type, payload in frames)


STREAM_RESULTS = [
    (HEADERS, b"h" * 70, True),
    (0, b"data", True),
    (UNKNOWN, b"", False),
    (0, b"", True),
    (SETTINGS, b"", True),
    (UNKNOWN, b"", False),
]


@pytest.mark.parametrize(("session_id", "uni", "bidi"), STREAM_PREAMBLES)
def test_stream_header_vectors(kernels: ModuleType, session_id: int, uni: bytes, bidi: bytes) -> None:
    for signal, encoded in ((0x54, uni), (0x41, bidi)):
        assert kernels.encode_stream_header(signal, session_id) == encoded
        assert kernels.decode_stream_header(encoded, signal) == (signal, session_id, len(encoded))
        assert kernels.decode_stream_header(bytearray(encoded + b"payload"), signal)[2] == len(encoded)
        for length in range(len(encoded)):
            assert kernels.decode_stream_header(encoded[:length], signal) is None


def test_stream_header_longer_than_needed(kernels: ModuleType) -> None:
    assert kernels.decode_stream_header(bytes.fromhex("800000544000"), 0x54) == (0x54, 0, 6)
    encoded = bytes.fromhex("c000000000000041c000000000000004")
    for form in (encoded, bytearray(encoded), memoryview(encoded)):
        assert kernels.decode_stream_header(form, 0x41) == (0x41, 4, 16)


def test_stream_of_another_type_has_no_session(kernels: ModuleType) -> None:
    assert kernels.decode_stream_header(b"\x00\x04\x00", 0x54) == (0, -1, 1)
    assert kernels.decode_stream_header(b"\x40\x41\x00", 0x54) == (0x41, -1, 2)
    assert kernels.decode_stream_header(b"\x40\x54", 0x41) == (0x54, -1, 2)


@pytest.mark.parametrize(
    ("value", "error"), [(-1, ValueError), (2**62, ValueError), (None, TypeError), ("1", TypeError)]
)
def test_refuses_what_no_header_can_carry(kernels: ModuleType, value: Any, error: type[Exception]) -> None:
    for call in (
        lambda: kernels.encode_stream_header(value, 0),
        lambda: kernels.encode_stream_header(0x54, value),
        lambda: kernels.decode_stream_header(b"\x00", value),
        lambda: kernels.encode_frame_header(value, 0),
        lambda: kernels.encode_frame_header(0, value),
        lambda: kernels.encode_frame(value, b""),
    ):
        with pytest.raises(error):
            call()


def test_encodes_frames(kernels: ModuleType) -> None:
    assert kernels.encode_frame(0, bytes.fromhex("6843070000002a627965")) == bytes.fromhex("000a6843070000002a627965")
    assert kernels.encode_frame(UNKNOWN, b"") == b"\x21\x00"
    assert kernels.encode_frame_header(0, 2**62 - 1) == b"\x00" + b"\xff" * 8
    for form in (bytearray(b"abc"), memoryview(b"abc")):
        assert kernels.encode_frame(1, form) == b"\x01\x03abc"
    with pytest.raises(TypeError, match="data must be bytes"):
        kernels.encode_frame(1, "abc")


def test_reads_frames_whole(kernels: ModuleType, stream: bytes) -> None:
    parser = kernels.FrameParser(LIMITS)
    assert parser.feed(stream) == STREAM_RESULTS
    assert parser.at_boundary
    assert not parser.failed


def test_reads_frames_cut_at_every_place(kernels: ModuleType, stream: bytes) -> None:
    for first in range(len(stream) + 1):
        parser = kernels.FrameParser(LIMITS)
        results = parser.feed(stream[:first]) + parser.feed(bytearray(stream[first:]))
        assert joined(results) == STREAM_RESULTS
        assert parser.at_boundary


def test_reads_frames_byte_by_byte(kernels: ModuleType, stream: bytes) -> None:
    parser = kernels.FrameParser(LIMITS)
    results = [result for index in range(len(stream)) for result in parser.feed(stream[index : index + 1])]
    assert joined(results) == STREAM_RESULTS


def test_reads_headers_longer_than_needed(kernels: ModuleType) -> None:
    frame = bytes.fromhex("c000000000000001c000000000000003") + b"abc"
    for first in range(len(frame) + 1):
        parser = kernels.FrameParser(LIMITS)
        assert parser.feed(frame[:first]) + parser.feed(frame[first:]) == [(1, b"abc", True)]


def test_streams_data_as_it_comes(kernels: ModuleType) -> None:
    parser = kernels.FrameParser(LIMITS)
    assert parser.feed(kernels.encode_frame_header(0, 6)) == []
    assert not parser.at_boundary
    assert parser.feed(b"ab") == [(0, b"ab", False)]
    assert parser.feed(b"") == []
    assert parser.feed(b"cdef\x01") == [(0, b"cdef", True)]
    assert not parser.at_boundary


def test_streams_a_whole_chunk_without_a_copy(kernels: ModuleType) -> None:
    parser = kernels.FrameParser(LIMITS)
    parser.feed(kernels.encode_frame_header(0, 2**62 - 1))
    chunk = bytes(range(200))
    assert parser.feed(chunk)[0][1] is chunk


def test_delivers_data_whole_where_it_has_a_limit(kernels: ModuleType) -> None:
    parser = kernels.FrameParser({0: 4})
    assert parser.feed(b"\x00\x04ab") == []
    assert parser.feed(b"cd") == [(0, b"abcd", True)]


def test_reports_an_unknown_type_at_its_header(kernels: ModuleType) -> None:
    parser = kernels.FrameParser(LIMITS)
    assert parser.feed(kernels.encode_frame_header(UNKNOWN, 2**62 - 1)) == [(UNKNOWN, b"", False)]
    assert parser.feed(bytes(100_000)) == []
    assert not parser.at_boundary


def test_unknown_payload_may_look_like_anything(kernels: ModuleType) -> None:
    parser = kernels.FrameParser(LIMITS)
    inner = kernels.encode_frame(HEADERS, b"inner")
    assert parser.feed(kernels.encode_frame(UNKNOWN, inner) + b"\x01\x01x") == [
        (UNKNOWN, b"", False),
        (HEADERS, b"x", True),
    ]


def test_frame_of_exactly_the_limit_is_read(kernels: ModuleType) -> None:
    assert kernels.FrameParser(LIMITS).feed(kernels.encode_frame(SETTINGS, bytes(8))) == [(SETTINGS, bytes(8), True)]


def test_frame_over_its_limit_fails_at_its_header(kernels: ModuleType) -> None:
    parser = kernels.FrameParser(LIMITS)
    with pytest.raises(ValueError, match="frame of type 0x4 has 9 bytes, the limit is 8"):
        parser.feed(b"\x04\x09")
    assert parser.failed
    assert not parser.at_boundary
    with pytest.raises(ValueError, match="limit is 8"):
        parser.feed(b"")


def test_what_came_before_an_error_comes_first(kernels: ModuleType) -> None:
    parser = kernels.FrameParser(LIMITS)
    assert parser.feed(b"\x01\x01h\x04\x09" + bytes(9) + b"\x01\x01h") == [(HEADERS, b"h", True)]
    assert parser.failed
    for data in (b"", b"\x01\x01h"):
        with pytest.raises(ValueError, match="frame of type 0x4"):
            parser.feed(data)


@pytest.mark.parametrize("data", [None, "text", 7, [1]])
def test_refuses_what_is_no_buffer_and_goes_on(kernels: ModuleType, data: Any) -> None:
    parser = kernels.FrameParser(LIMITS)
    parser.feed(b"\x01\x02a")
    with pytest.raises(TypeError, match="data must be bytes"):
        parser.feed(data)
    assert not parser.failed
    assert parser.feed(b"b") == [(HEADERS, b"ab", True)]


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        (None, TypeError),
        ([(1, 2)], TypeError),
        ({1: "2"}, TypeError),
        ({"1": 2}, TypeError),
        ({1: -1}, ValueError),
        ({-1: 1}, ValueError),
        ({2**62: 1}, ValueError),
        ({1: 2**64}, ValueError),
    ],
)
def test_refuses_limits_that_are_none(kernels: ModuleType, limits: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="max_sizes"):
        kernels.FrameParser(limits)


def test_later_changes_of_the_limits_do_not_matter(kernels: ModuleType) -> None:
    limits = {HEADERS: 4}
    parser = kernels.FrameParser(limits)
    limits.clear()
    assert parser.feed(b"\x01\x01h") == [(HEADERS, b"h", True)]


def test_payloads_are_bytes_whatever_came_in(kernels: ModuleType) -> None:
    data = bytearray(b"\x01\x02ab\x00\x02cd")
    results = kernels.FrameParser(LIMITS).feed(data)
    data[:] = bytes(len(data))
    assert results == [(HEADERS, b"ab", True), (0, b"cd", True)]
    assert all(type(payload) is bytes for _type, payload, _ended in results)
