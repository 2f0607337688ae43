"""Transport parameters (RFC 9000, section 18) of which aioquic tells nothing.

RESET_STREAM_AT (draft-ietf-quic-reliable-stream-reset-10): the parameter says that its sender takes the frame. It has
been moved since browsers began to use it: both codepoints are sent, and either is taken (Safari 26 looks for the older
one alone). And max_udp_payload_size and ack_delay_exponent, which aioquic checks and forgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from aioquic._buffer import Buffer
from aioquic.quic.packet import QuicTransportParameters, QuicVersionInformation

from .._speedups import decode_varint, encode_varint
from ..constants import ErrorCodes
from .aioquic_tuning import push_quic_transport_parameters
from .backend import IS_COMPILED
from .limits import TransportLimits
from .violations import TransportViolation

if TYPE_CHECKING or not IS_COMPILED:
    from . import tls_blocks as blocks
else:
    from ._compiled import tls_blocks as blocks

__all__ = [
    "INITIAL_SOURCE_CONNECTION_ID",
    "ORIGINAL_DESTINATION_CONNECTION_ID",
    "PREFERRED_ADDRESS",
    "RESET_STREAM_AT",
    "RETRY_SOURCE_CONNECTION_ID",
    "STATELESS_RESET_TOKEN",
    "ack_delay_exponent_of",
    "common_parameters",
    "encode_reset_stream_at",
    "has_reset_stream_at",
    "identifying_parameters",
    "max_udp_payload_size_of",
    "split_parameters",
]

RESET_STREAM_AT = 0x24
"""Type of the frame: the fields of RESET_STREAM, then how many bytes from the beginning arrive nevertheless."""

_PARAMETERS = (0x1D, 0x17F7586D2CB571)

ORIGINAL_DESTINATION_CONNECTION_ID = 0x00
STATELESS_RESET_TOKEN = 0x02
_MAX_UDP_PAYLOAD_SIZE = 0x03
_ACK_DELAY_EXPONENT = 0x0A
PREFERRED_ADDRESS = 0x0D
INITIAL_SOURCE_CONNECTION_ID = 0x0F
RETRY_SOURCE_CONNECTION_ID = 0x10

MAX_COMMON_PARAMETERS = 2048
"""Bytes of what is the same for many connections: a dozen numbers, and the versions that we speak."""

DEFAULT_MAX_UDP_PAYLOAD_SIZE = 65_527
"""Bytes that a peer takes which says nothing: all that UDP carries (RFC 9000, 18.2)."""

DEFAULT_ACK_DELAY_EXPONENT = 3
"""Of a peer that says nothing (RFC 9000, 18.2)."""


_ENCODED = b"".join(encode_varint(parameter) + b"\x00" for parameter in _PARAMETERS)


def encode_reset_stream_at() -> bytes:
    """Return what is appended to our transport parameters: both codepoints, each without a value."""
    return _ENCODED


@lru_cache(maxsize=64)
def common_parameters(
    limits: TransportLimits,
    idle_timeout: float,
    max_datagram_frame_size: int | None,
    ack_delay_exponent: int,
    active_connection_id_limit: int,
    version: int,
    supported_versions: tuple[int, ...],
) -> bytes:
    """Return those of our transport parameters that many connections share.

    Args:
        limits: what the peer may send.
        idle_timeout: seconds of silence that end the connection.
        max_datagram_frame_size: bytes of the largest DATAGRAM frame; None takes none.
        ack_delay_exponent: the power of two by which we divide how many microseconds acknowledgements waited.
        active_connection_id_limit: how many connection ids the peer may give us.
        version: the QUIC version in use.
        supported_versions: all that we speak (RFC 9368, 3).
    """
    buf = Buffer(capacity=MAX_COMMON_PARAMETERS)
    push_quic_transport_parameters(
        buf,
        QuicTransportParameters(
            ack_delay_exponent=ack_delay_exponent,
            active_connection_id_limit=active_connection_id_limit,
            max_idle_timeout=int(idle_timeout * 1000),
            initial_max_data=limits.connection_window,
            initial_max_stream_data_bidi_local=limits.stream_window,
            initial_max_stream_data_bidi_remote=limits.stream_window,
            initial_max_stream_data_uni=limits.stream_window,
            initial_max_streams_bidi=limits.max_streams_bidi,
            initial_max_streams_uni=limits.max_streams_uni,
            max_ack_delay=25,
            max_datagram_frame_size=max_datagram_frame_size,
            version_information=QuicVersionInformation(version, list(supported_versions)),
        ),
    )
    return buf.data


def identifying_parameters(
    initial_source: bytes, original_destination: bytes = b"", retry_source: bytes | None = None, token: bytes = b""
) -> bytes:
    """Return those of our transport parameters that tell of one connection (RFC 9000, 7.3 and 18.2).

    Args:
        initial_source: the connection id that we chose first.
        original_destination: server only, that of the client's very first packet.
        retry_source: server only, the one that a Retry gave; None without a Retry.
        token: server only, what resets the connection of our first id.
    """
    encoded = b"%c%c%b" % (INITIAL_SOURCE_CONNECTION_ID, len(initial_source), initial_source)
    if token:
        encoded += b"%c%c%b" % (ORIGINAL_DESTINATION_CONNECTION_ID, len(original_destination), original_destination)
        encoded += b"%c%c%b" % (STATELESS_RESET_TOKEN, len(token), token)
    if retry_source is not None:
        encoded += b"%c%c%b" % (RETRY_SOURCE_CONNECTION_ID, len(retry_source), retry_source)
    return encoded


def split_parameters(parameters: bytes) -> dict[int, bytes]:
    """Return the value of each parameter of the peer, by its identifier.

    Args:
        parameters: the whole extension, as the TLS handshake carries it (RFC 9000, section 18). A last value that ends
            too early is whatever there is.

    Raises:
        TransportViolation: a parameter stands twice (RFC 9000, 7.4), or they end inside one.
    """
    pairs = blocks.split_parameters(parameters)
    if pairs is not None and len(values := dict(pairs)) == len(pairs):
        return values
    values = {}
    position, end = 0, len(parameters)
    while position < end:
        identifier = decode_varint(parameters, position)
        length = None if identifier is None else decode_varint(parameters, identifier[1])
        if identifier is None or length is None:
            raise _violation("transport parameters end inside a parameter")
        if identifier[0] in values:
            raise _violation(f"transport parameter {identifier[0]:#x} stands twice")
        position = length[1] + length[0]
        values[identifier[0]] = parameters[length[1] : position]
    return values


def has_reset_stream_at(parameters: Mapping[int, bytes]) -> bool:
    """Tell from the peer's transport parameters whether it takes RESET_STREAM_AT.

    Raises:
        TransportViolation: this one has a value.
    """
    found = [parameters[identifier] for identifier in _PARAMETERS if identifier in parameters]
    if any(found):
        raise _violation("the reset_stream_at transport parameter has a value")
    return bool(found)


def max_udp_payload_size_of(parameters: Mapping[int, bytes]) -> int:
    """Return the bytes of the largest UDP payload that the peer takes; less than 1200 is for others to refuse.

    Raises:
        TransportViolation: the parameter has no value.
    """
    return _number(parameters, _MAX_UDP_PAYLOAD_SIZE, "max_udp_payload_size", DEFAULT_MAX_UDP_PAYLOAD_SIZE)


def ack_delay_exponent_of(parameters: Mapping[int, bytes]) -> int:
    """Return the power of two by which the peer divides how many microseconds its acknowledgements waited.

    More than 20 is for others to refuse.

    Raises:
        TransportViolation: the parameter has no value.
    """
    return _number(parameters, _ACK_DELAY_EXPONENT, "ack_delay_exponent", DEFAULT_ACK_DELAY_EXPONENT)


def _number(parameters: Mapping[int, bytes], identifier: int, name: str, default: int) -> int:
    value = parameters.get(identifier)
    if value is None:
        return default
    decoded = decode_varint(value, 0)
    if decoded is None:
        raise _violation(f"the {name} transport parameter has no value")
    return decoded[0]


def _violation(reason: str) -> TransportViolation:
    return TransportViolation(ErrorCodes.TRANSPORT_PARAMETER_ERROR, reason)
