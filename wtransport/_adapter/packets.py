"""QUIC packets that a server reads or writes without a connection: headers, version negotiation, refusal.

The header fields read here are the version-independent ones (RFC 8999), but for the packet type.
"""

from __future__ import annotations

from typing import NamedTuple

from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicFrameType,
    QuicPacketType,
    QuicProtocolVersion,
    encode_quic_version_negotiation,
)
from aioquic.quic.packet_builder import QuicPacketBuilder

LONG_HEADER = 0x80
"""Bit of the first byte (RFC 8999, 5.1)."""

CONNECTION_ID_SIZE = 8
"""Bytes of the connection ids that our connections issue; aioquic's default."""

MIN_INITIAL_DATAGRAM = 1200
"""Bytes of a UDP payload that carries a client's Initial packet; smaller ones are dropped (RFC 9000, 14.1)."""

MIN_CLIENT_CHOSEN_CID = 8
"""Bytes of the destination connection id that a client makes up at least (RFC 9000, 7.2)."""

_TYPE_BITS = 0x70
"""The fixed bit and the packet type in the first byte of a long header (RFC 9000, 17.2)."""

_INITIAL_BITS: dict[int, int] = {QuicProtocolVersion.VERSION_1: 0x40, QuicProtocolVersion.VERSION_2: 0x50}
"""Their values in an Initial packet (RFC 9000, 17.2.2; RFC 9369, 3.2)."""

_LONG_HEADER_START = 6
"""Bytes before the destination connection id: flags, version, length (RFC 8999, 5.1)."""

_CLOSE_FRAME_CAPACITY = 16
"""Bytes that a CONNECTION_CLOSE frame of type 0x1c without a reason takes at most (RFC 9000, 19.19)."""


class LongHeader(NamedTuple):
    """The version-independent fields of a long header."""

    version: int
    destination_cid: bytes
    source_cid: bytes


def read_long_header(data: bytes) -> LongHeader | None:
    """Read the version-independent fields of a long header packet; None when they are truncated."""
    if len(data) <= _LONG_HEADER_START:
        return None
    end = _LONG_HEADER_START + data[5]
    if len(data) <= end:
        return None
    source_end = end + 1 + data[end]
    if len(data) < source_end:
        return None
    return LongHeader(int.from_bytes(data[1:5]), data[_LONG_HEADER_START:end], data[end + 1 : source_end])


def is_initial(data: bytes, header: LongHeader) -> bool:
    """Tell whether a datagram begins with an Initial packet of a version that has one."""
    return data[0] & _TYPE_BITS == _INITIAL_BITS.get(header.version)


def encode_version_negotiation(header: LongHeader, supported_versions: list[int]) -> bytes:
    """Build the answer to a packet of a version that we do not speak (RFC 9000, 17.2.1)."""
    return encode_quic_version_negotiation(
        source_cid=header.destination_cid, destination_cid=header.source_cid, supported_versions=supported_versions
    )


def encode_refusal(header: LongHeader) -> bytes:
    """Build an Initial packet that closes a connection with CONNECTION_REFUSED before it begins (RFC 9000, 10.2.3)."""
    keys = CryptoPair()
    keys.setup_initial(cid=header.destination_cid, is_client=False, version=header.version)
    builder = QuicPacketBuilder(
        host_cid=header.destination_cid,
        peer_cid=header.source_cid,
        version=header.version,
        is_client=False,
        max_datagram_size=MIN_INITIAL_DATAGRAM,
    )
    builder.start_packet(QuicPacketType.INITIAL, keys)
    frame = builder.start_frame(QuicFrameType.TRANSPORT_CLOSE, capacity=_CLOSE_FRAME_CAPACITY)
    frame.push_uint_var(QuicErrorCode.CONNECTION_REFUSED)
    frame.push_uint_var(0)  # the frame type that caused it: unknown
    frame.push_uint_var(0)  # length of the reason
    datagrams, _ = builder.flush()
    return datagrams[0]
