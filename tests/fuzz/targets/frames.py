"""Varints, the headers of streams, and HTTP/3 frames.

Documented: TypeError, ValueError. A varint is what aioquic makes of it. However a stream of frames is cut, the same
frames come out, and the same error ends them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from aioquic.buffer import Buffer, BufferReadError
from fuzzing.byte_source import ByteSource
from fuzzing.outcomes import Trace, check, every_way, outcome
from wire_vectors import NON_MINIMAL_VARINTS, STREAM_PREAMBLES, TRUNCATED_VARINTS, VARINTS

from wtransport import _speedups as kernels
from wtransport._speedups import BACKEND, FrameParser

__all__ = ["BACKEND", "SHORT_RUNS", "fuzz", "seeds"]

SHORT_RUNS = 400
DOCUMENTED = (TypeError, ValueError)

_SIGNALS = [0x41, 0x54, 0, 2**62 - 1]
_LIMITS: list[Any] = [
    {},
    {0x01: 20},
    {0x01: 0, 0x04: 64, 0x07: 8, 0x0D: 8, 0x03: 8},
    {0x00: 5, 0x01: 2**62 - 1},
    {2**62 - 1: 3, 0x21: 0},
]


def seeds() -> Iterator[bytes]:
    """Yield inputs made of the test vectors."""
    for encoded in [
        *(encoded for _, encoded in VARINTS + NON_MINIMAL_VARINTS),
        *TRUNCATED_VARINTS,
    ]:
        yield b"\x00" + encoded
    for _, one_way, two_way in STREAM_PREAMBLES:
        yield b"\x01\x01" + one_way
        yield b"\x01\x00" + two_way
    yield b"\x02" + bytes.fromhex("8280ff8700")
    frames = ["0103616263000568656c6c6f", "0408010007004001", "0000" * 3, "4017036162630001", "07080fffffffffffffff"]
    for index in range(len(_LIMITS)):
        for frame in frames:
            yield bytes([3, index, 3, 5]) + bytes.fromhex(frame)
    yield b"\x03\x01\x02\x04" + kernels.encode_frame(0x01, bytes(21)) + b"\x00\x01x"


def fuzz(data: bytes) -> Trace:
    """Run one input."""
    source = ByteSource(data)
    trace: Trace = []
    (_read_varints, _read_stream_header, _write, _read_frames)[source.below(4)](source, trace)
    return trace


def _read_varints(source: ByteSource, trace: Trace) -> None:
    data = source.rest()
    for offset in range(len(data) + 1):
        decoded = kernels.decode_varint(data, offset)
        check(decoded == _reference(data, offset), f"decode_varint gives {decoded}")
        for form in (bytearray(data), memoryview(data), memoryview(b"\xff" + data)[1:]):
            check(kernels.decode_varint(form, offset) == decoded, "another result for another buffer")
        trace.append(decoded)
        if decoded is not None:
            value, end = decoded
            encoded = kernels.encode_varint(value)
            check(len(encoded) <= end - offset, "encoding is not the shortest")
            check(kernels.varint_size(value) == len(encoded), "varint_size is wrong")
            check(kernels.decode_varint(encoded) == (value, len(encoded)), "a number does not survive")


def _reference(data: bytes, offset: int) -> tuple[int, int] | None:
    buffer = Buffer(data=data[offset:])
    try:
        return buffer.pull_uint_var(), offset + buffer.tell()
    except BufferReadError:
        return None


def _read_stream_header(source: ByteSource, trace: Trace) -> None:
    signal = source.pick(_SIGNALS)
    data = source.rest()
    read = None
    for size in range(len(data) + 1):
        header = kernels.decode_stream_header(data[:size], signal)
        check(read is None or header == read, "a header changes with what follows it")
        check(header is None or header[2] <= size, "a header ends after its bytes")
        read = header
    trace.append(read)
    if read is not None and read[0] == signal:
        encoded = kernels.encode_stream_header(signal, read[1])
        check(kernels.decode_stream_header(encoded, signal) == (signal, read[1], len(encoded)), "does not survive")


def _write(source: ByteSource, trace: Trace) -> None:
    while source.has_more:
        value = source.oddity() if source.flag() else source.number()
        other = source.oddity() if source.flag() else source.blob(40)
        buffer = bytearray(12)
        for call, arguments in (
            (kernels.encode_varint, (value,)),
            (kernels.varint_size, (value,)),
            (kernels.encode_varint_into, (buffer, source.pick([0, 4, 5, 8, 11, 12, 13, -1]), value)),
            (kernels.encode_varint_into, (other, 0, value)),
            (kernels.decode_varint, (other, value)),
            (kernels.decode_stream_header, (other, value)),
            (kernels.encode_frame, (value, other)),
            (kernels.encode_frame_header, (value, other)),
            (kernels.encode_stream_header, (value, other)),
        ):
            if not isinstance(other, bytearray) or call is not kernels.encode_varint_into:  # it is everybody's
                trace.append(outcome(call, *arguments, documented=DOCUMENTED))
        trace.append(bytes(buffer))


def _read_frames(source: ByteSource, trace: Trace) -> None:
    limits = source.pick(_LIMITS)
    places = [source.byte(), source.byte()]
    data = source.rest()
    results = [_frames_of(FrameParser(limits), pieces) for pieces in every_way(data, places)]
    for result in results[1:]:
        check(result == results[0], f"depends on how the stream is cut: {result} and {results[0]}")
    for frame_type, payload, _ in results[0][0]:
        check(frame_type not in limits or len(payload) <= limits[frame_type], "a frame is over its limit")
    trace += results[0][0]
    trace.append(results[0][1:])


def _frames_of(parser: FrameParser, pieces: list[bytes]) -> tuple[list[Any], str | None, bool, bool]:
    """Return all frames, what ended them, and what the parser says of itself; pieces of one frame are joined."""
    frames: list[tuple[int, bytes, bool]] = []
    failure = None
    for piece in [*pieces, b""]:  # the last asks for a failure that waits for what came before it
        try:
            frames += parser.feed(piece)
        except ValueError as error:
            check(failure in (None, str(error)), "another error than before")
            failure = str(error)
    check(parser.failed == (failure is not None), "failed says something else")
    return _joined(frames), failure, parser.at_boundary, parser.failed


def _joined(frames: list[tuple[int, bytes, bool]]) -> list[tuple[int, bytes, bool]]:
    """Join what came of one frame in several pieces."""
    number = 0
    numbered = []
    for frame_type, payload, ended in frames:
        numbered.append((number, frame_type, payload, ended))
        if ended or frame_type != 0:
            number += 1
    joined = []
    for _, group in groupby(numbered, key=lambda item: item[0]):
        items = list(group)
        joined.append((items[0][1], b"".join(item[2] for item in items), items[-1][3]))
    return joined
