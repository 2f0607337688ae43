"""What a server reads and writes without a connection: headers, version negotiation, refusals, Retry, handshakes.

Documented: nothing is raised, nor logged as an error. A long header is what aioquic makes of it; what we answer, a
client can read. Nobody gets over three times of what it sent, handshakes keep to their limits and end, and nothing is
left of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from aioquic.buffer import Buffer
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import QuicPacketType, pull_quic_header
from fuzzing.byte_source import ByteSource
from fuzzing.outcomes import Trace, check
from models.front_door import FrontDoor

from wtransport._adapter import packets
from wtransport._speedups import BACKEND

__all__ = ["BACKEND", "SHORT_RUNS", "fuzz", "seeds"]

SHORT_RUNS = 300

_VERSIONS = [1, 0x6B3343CF, 0, 0xFF00001D, 0x1A2A3A4A]


def seeds() -> Iterator[bytes]:
    """Yield packets of every kind, whole and cut."""
    for version in _VERSIONS:
        for first in (0xC0, 0xD0, 0xE0, 0xF0, 0x80, 0xFF):
            packet = bytes([first]) + version.to_bytes(4) + b"\x08client12\x05srvid\x00\x40\x10" + bytes(16)
            yield b"\x00" + packet
            yield b"\x00" + packet[:13]
            yield b"\x00" + packet[:19]
    yield b"\x00\x40" + bytes(30)
    yield b"\x00\xc0\x00\x00\x00\x01\xff" + bytes(300)
    yield b"\x00\xc0\x00\x00\x00\x01\x00\x00\x00\x40\x10" + bytes(16)
    yield b"\x00\x80\x00\x00\x00\x00\x04abcd\x04efgh\x00\x00\x00\x01\x1a\x2a\x3a\x4a"
    first = bytes([0, 0, 1, 0, 0, 0, 0, 0])
    for mode in (0, 1, 2):
        for is_real in (0, 1):
            start = bytes([1, mode, is_real])
            yield start + first + bytes([5, 2]) + bytes([0, 0, 2, 1, 0, 0, 0, 0]) + bytes([5, 5])
            yield start + first + bytes([0, 0, 1, 1, 0, 0, 0, 0, 0]) + bytes([0, 0, 1, 2, 0, 9, 1, 0, 0, 0, 0])
            yield start + b"".join(bytes([0, 0, index, 0, 0, 0, 0, index % 3]) for index in range(8)) + bytes([5, 4])
            for kind in range(5):
                yield start + bytes([0, 0, 1, 0, 1, 0, 60 * kind, 2, 9, kind, 1, kind, 2, 1, 2, 0, 0]) + first
            yield start + first + bytes([3, 0, 40, 3, 0, 3, 0, 99, 3, 1])
            yield start + first + bytes([3, 0, 40, 1, 7, 0, 4, 1, 5, 3, 9]) + bytes(9) + bytes([5, 3])
            yield start + bytes([6, 1]) + first + bytes([2, 40]) + b"\xc0\x00\x00\x00\x01" + bytes(35) + bytes([4, 0])


def fuzz(data: bytes) -> Trace:
    """Run one input."""
    source = ByteSource(data)
    return FrontDoor(source).run() if source.flag() else _read_header(source.rest())


def _read_header(data: bytes) -> Trace:
    supported = _VERSIONS[:2]
    header = packets.read_long_header(data)
    trace: Trace = [header and tuple(header)]
    reference = _reference(data)
    if reference is not None:
        check(header is not None, "aioquic reads a header that we do not")
    if header is None:
        return trace
    if reference is not None and reference != tuple(header):
        check(False, f"aioquic reads {reference}, we {header}")
    is_initial = bool(data) and packets.is_initial(data, header)
    trace.append(is_initial)
    negotiation = packets.encode_version_negotiation(header, supported)
    if len(header.destination_cid) <= 20 and len(header.source_cid) <= 20:
        answer = pull_quic_header(Buffer(data=negotiation), host_cid_length=8)
        check(answer.packet_type is QuicPacketType.VERSION_NEGOTIATION, "the answer is no version negotiation")
        check((answer.destination_cid, answer.source_cid) == (header.source_cid, header.destination_cid), "wrong ids")
        check(answer.supported_versions == supported, "wrong versions")
        if is_initial:
            _refuse(header)
    return trace


def _reference(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Return what aioquic reads in a long header; None where it reads nothing."""
    if not data or not data[0] & packets.LONG_HEADER:
        return None
    try:
        header = pull_quic_header(Buffer(data=data), host_cid_length=8)
    except ValueError:
        return None
    return header.version or 0, header.destination_cid, header.source_cid


def _refuse(header: packets.LongHeader) -> None:
    refusal = packets.encode_refusal(header)
    read = pull_quic_header(Buffer(data=refusal), host_cid_length=8)
    check((read.destination_cid, read.source_cid) == (header.source_cid, header.destination_cid), "wrong ids")
    keys = CryptoPair()
    keys.setup_initial(cid=header.destination_cid, is_client=True, version=header.version)
    number_offset = 7 + len(read.destination_cid) + len(read.source_cid) + 1 + 2
    _, frames, _ = keys.decrypt_packet(refusal, number_offset, 0)
    check(frames.startswith(b"\x1c\x02\x00\x00"), f"a refusal says {frames.hex()}")
