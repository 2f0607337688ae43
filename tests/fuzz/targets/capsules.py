"""Capsules: the kernel that cuts them out of a byte stream, and the reader that knows what they mean.

Documented: ValueError of the kernel, StreamViolation and SessionViolation of the reader. However the stream is cut, the
same capsules come out and the same error ends them; nothing comes after WT_CLOSE_SESSION; what we write can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fuzzing.byte_source import ByteSource
from fuzzing.outcomes import Trace, check, every_way, outcome
from wire_vectors import CAPSULES

from wtransport._protocol import capsules
from wtransport._protocol.profiles import Profile
from wtransport._protocol.violations import SessionViolation, StreamViolation
from wtransport._speedups import BACKEND, CapsuleParser, decode_varint, encode_capsule
from wtransport.constants import ErrorCodes

__all__ = ["BACKEND", "SHORT_RUNS", "fuzz", "seeds"]

SHORT_RUNS = 400
DOCUMENTED = (TypeError, ValueError)

_TABLES: list[tuple[Any, Any]] = [
    ({}, ()),
    ({0x2843: 1028, 0x78AE: 0, 0x00: 20}, (0x00,)),
    ({0x2843: 5, 0x00: 3, 2**62 - 1: 1}, (0x00, 2**62 - 1)),
    ({0x190B4D3D: 8, 0x190B4D3F: 8}, ()),
]
_PROFILES = [Profile(draft, has_flow) for draft in (2, 7, 14, 16) for has_flow in (False, True)]
_CODES = {int(code) for code in (ErrorCodes.H3_MESSAGE_ERROR, ErrorCodes.WT_FLOW_CONTROL_ERROR)}


def seeds() -> Iterator[bytes]:
    """Yield inputs made of the test vectors."""
    everything = b"".join(data for _, _, data in CAPSULES if len(data) < 100)
    for data in [everything, *(data for _, _, data in CAPSULES)]:
        yield b"\x00\x01\x02\x03" + data
        yield b"\x01\x07\x02\x03" + data
    for kind in ("68430300000000", "6843050000000ff", "800078ae0100", "990b4d3d020500", "990b4d3d00", "990b4d3e0100"):
        yield b"\x01\x07\x01\x01" + bytes.fromhex(kind.ljust(len(kind) + len(kind) % 2, "0"))
    yield b"\x01\x07\x01\x01" + bytes.fromhex("990b4d3f08d000000000000001")
    yield b"\x02" + bytes(range(0, 240, 7))


def fuzz(data: bytes) -> Trace:
    """Run one input."""
    source = ByteSource(data)
    trace: Trace = []
    (_parse, _read, _write)[source.below(3)](source, trace)
    return trace


def _parse(source: ByteSource, trace: Trace) -> None:
    limits, droppable = source.pick(_TABLES)
    places = [source.byte(), source.byte()]
    data = source.rest()
    results = [_parsed(CapsuleParser(limits, droppable), pieces) for pieces in every_way(data, places)]
    for result in results[1:]:
        check(result == results[0], f"depends on how the stream is cut: {result} and {results[0]}")
    for kind, value in results[0][0]:
        check(value is None or len(value) <= limits[kind], "a capsule is over its limit")
    trace += results[0][0]
    trace.append(results[0][1:])


def _parsed(parser: CapsuleParser, pieces: list[bytes]) -> tuple[list[Any], str | None, bool]:
    found: list[Any] = []
    failure = None
    for piece in [*pieces, b""]:
        try:
            found += parser.feed(piece)
        except ValueError as error:
            check(failure in (None, str(error)), "another error than before")
            failure = str(error)
    check(parser.failed == (failure is not None), "failed says something else")
    return found, failure, parser.at_boundary


def _read(source: ByteSource, trace: Trace) -> None:
    profile = source.pick(_PROFILES)
    places = [source.byte(), source.byte()]
    data = source.rest()
    results = [_items(capsules.CapsuleReader(profile), pieces) for pieces in every_way(data, places)]
    for result in results[1:]:
        check(result == results[0], f"depends on how the stream is cut: {result} and {results[0]}")
    for item in results[0][:-1]:
        check(profile.flow_control or item[0] in ("CloseRead", "DrainRead", "DatagramRead"), "flow control is off")
    trace += results[0]


def _items(reader: capsules.CapsuleReader, pieces: list[bytes]) -> list[Any]:
    items: list[Any] = []
    try:
        for piece in pieces:
            for item in reader.feed(piece):
                check(not items or items[-1][0] != "CloseRead", "an item after CLOSE")
                items.append((type(item).__name__, repr(item)))
        reader.finish()
    except (StreamViolation, SessionViolation) as violation:
        check(violation.error_code in _CODES, f"code {violation.error_code:#x}")
        return [*items, (type(violation).__name__, violation.error_code, violation.reason)]
    return [*items, ("ended",)]


def _write(source: ByteSource, trace: Trace) -> None:
    while source.has_more:
        number, data = source.number(), source.blob()
        text = data.decode("utf-8", "surrogateescape") * source.pick([1, 1, 40])
        written = [
            outcome(capsules.encode_close, number & 0xFFFFFFFF, text, documented=()),
            outcome(capsules.encode_close, number, text, documented=DOCUMENTED),
            outcome(capsules.encode_max_data, number, documented=()),
            outcome(capsules.encode_data_blocked, number, documented=()),
            outcome(capsules.encode_max_streams, number, unidirectional=source.flag(), documented=DOCUMENTED),
            outcome(capsules.encode_streams_blocked, number, unidirectional=source.flag(), documented=DOCUMENTED),
            outcome(encode_capsule, number, data, documented=()),
            outcome(encode_capsule, source.oddity(), source.oddity(), documented=DOCUMENTED),
        ]
        trace += written
        for kind, _, frame in written[:6]:
            if kind == "returned":
                items = _items(capsules.CapsuleReader(Profile(16, True)), [_payload(frame)])
                check(len(items) == 2 and items[1] == ("ended",), f"what was written is not read: {items}")


def _payload(frame: bytes) -> bytes:
    length = decode_varint(frame, 1)
    check(frame[0] == 0 and length is not None and length[1] + length[0] == len(frame), "not one DATA frame")
    return frame[length[1] :] if length else b""
