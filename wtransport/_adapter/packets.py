"""QUIC packets that a server reads or writes without a connection.

`read_long_header` reads the version-independent fields (RFC 8999), `InitialPacket` a client's first packet. The rest
are answers: version negotiation, Retry, refusal, stateless reset. None is larger than the datagram that it answers.
"""

from __future__ import annotations

import os
from typing import NamedTuple, Self

from aioquic._crypto import CryptoError
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import (
    CONNECTION_ID_MAX_SIZE,
    STATELESS_RESET_TOKEN_SIZE,
    QuicErrorCode,
    QuicFrameType,
    QuicPacketType,
    QuicProtocolVersion,
    encode_quic_retry,
    encode_quic_version_negotiation,
)
from aioquic.quic.packet_builder import QuicPacketBuilder

from .._quic.initial_keys import first_packet_keys
from .._speedups import decode_varint

LONG_HEADER = 0x80
"""Bit of the first byte (RFC 8999, 5.1)."""

FIXED_BIT = 0x40
"""Bit that is set in the first byte of every packet but version negotiation (RFC 9000, 17)."""

CONNECTION_ID_SIZE = 8
"""Bytes of the connection ids that our connections issue; aioquic's default."""

MIN_INITIAL_DATAGRAM = 1200
"""Bytes of a UDP payload that carries a client's Initial packet; smaller ones are dropped (RFC 9000, 14.1)."""

MIN_CLIENT_CHOSEN_CID = 8
"""Bytes of the destination connection id that a client makes up at least (RFC 9000, 7.2)."""

MIN_RESET_TRIGGER = 22
"""Bytes of the smallest datagram that a stateless reset answers: a reset takes 21 (RFC 9000, 10.3), and is smaller."""

RESET_SIZE = 42
"""Bytes of a stateless reset at most. Less would not pass for a packet to a connection id of 20 bytes."""

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


class InitialPacket(NamedTuple):
    """The Initial packet that a datagram of a client begins with."""

    header: LongHeader
    token: bytes
    data: bytes
    """The packet, without what the datagram has behind it."""
    payload_offset: int
    """Where the protected part of `data` begins."""

    @classmethod
    def read(cls, data: bytes, header: LongHeader) -> Self | None:
        """Read the rest of the header; None when it is malformed. `is_initial` has said yes."""
        _, destination, source = header
        if len(destination) > CONNECTION_ID_MAX_SIZE or len(source) > CONNECTION_ID_MAX_SIZE:
            return None
        token_length = decode_varint(data, _LONG_HEADER_START + len(destination) + 1 + len(source))
        if token_length is None:
            return None
        token_end = token_length[0] + token_length[1]
        length = decode_varint(data, token_end) if token_end < len(data) else None
        if length is None or length[0] + length[1] > len(data):
            return None
        return cls(header, data[token_length[1] : token_end], data[: length[0] + length[1]], length[1])

    @property
    def is_authentic(self) -> bool:
        """Tell whether the packet arrived as somebody sent it; its keys are no secret (RFC 9001, 5.2)."""
        try:
            keys = first_packet_keys(self.header.destination_cid, self.header.version)
            keys.decrypt_packet(self.data, self.payload_offset, 0)
        except CryptoError:
            return False
        return True


def encode_retry(header: LongHeader, *, source_cid: bytes, token: bytes) -> bytes:
    """Build the packet that asks a client for proof that it can be reached at its address (RFC 9000, 17.2.5)."""
    return encode_quic_retry(
        version=header.version,
        source_cid=source_cid,
        destination_cid=header.source_cid,
        original_destination_cid=header.destination_cid,
        retry_token=token,
    )


def encode_stateless_reset(token: bytes, *, trigger_size: int) -> bytes:
    """Build the answer to a packet of a connection that is not known, to a datagram of at least `MIN_RESET_TRIGGER`.

    It looks like a packet with a short header, and is smaller than its trigger: two ends that both know nothing stop
    answering each other soon (RFC 9000, 10.3.3).
    """
    noise = os.urandom(min(trigger_size - 1, RESET_SIZE) - STATELESS_RESET_TOKEN_SIZE)
    return bytes([FIXED_BIT | noise[0] & 0x3F]) + noise[1:] + token


def encode_refusal(header: LongHeader, error_code: int = QuicErrorCode.CONNECTION_REFUSED) -> bytes:
    """Build an Initial packet that closes a connection before it begins (RFC 9000, 10.2.3)."""
    builder = QuicPacketBuilder(
        host_cid=header.destination_cid,
        peer_cid=header.source_cid,
        version=header.version,
        is_client=False,
        max_datagram_size=MIN_INITIAL_DATAGRAM,
    )
    builder.start_packet(QuicPacketType.INITIAL, _initial_keys(header))
    frame = builder.start_frame(QuicFrameType.TRANSPORT_CLOSE, capacity=_CLOSE_FRAME_CAPACITY)
    frame.push_uint_var(error_code)
    frame.push_uint_var(0)  # the frame type that caused it: unknown
    frame.push_uint_var(0)  # length of the reason
    datagrams, _ = builder.flush()
    return datagrams[0]


def _initial_keys(header: LongHeader) -> CryptoPair:
    keys = CryptoPair()
    keys.setup_initial(cid=header.destination_cid, is_client=False, version=header.version)
    return keys
