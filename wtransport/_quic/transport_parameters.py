"""What aioquic does not know of RESET_STREAM_AT (draft-ietf-quic-reliable-stream-reset-10): parameter and frame type.

The parameter says that its sender takes the frame. It has been moved since browsers began to use it: both codepoints
are sent, and either is taken (Safari 26 looks for the older one alone).
"""

from __future__ import annotations

from .._speedups import decode_varint, encode_varint
from ..constants import ErrorCodes
from .violations import TransportViolation

__all__ = ["RESET_STREAM_AT", "encode_reset_stream_at", "has_reset_stream_at"]

RESET_STREAM_AT = 0x24
"""Type of the frame: the fields of RESET_STREAM, then how many bytes from the beginning arrive nevertheless."""

_PARAMETERS = (0x1D, 0x17F7586D2CB571)


def encode_reset_stream_at() -> bytes:
    """Return what is appended to our transport parameters: both codepoints, each without a value."""
    return b"".join(encode_varint(parameter) + b"\x00" for parameter in _PARAMETERS)


def has_reset_stream_at(parameters: bytes) -> bool:
    """Tell from the peer's transport parameters whether it takes RESET_STREAM_AT.

    Args:
        parameters: the whole extension, as the TLS handshake carries it (RFC 9000, section 18).

    Raises:
        TransportViolation: a parameter stands twice (RFC 9000, 7.4), or this one has a value.
    """
    seen: set[int] = set()
    position = 0
    while position < len(parameters):
        identifier = decode_varint(parameters, position)
        length = None if identifier is None else decode_varint(parameters, identifier[1])
        if identifier is None or length is None:
            raise _violation("transport parameters end inside a parameter")
        if identifier[0] in seen:
            raise _violation(f"transport parameter {identifier[0]:#x} stands twice")
        if identifier[0] in _PARAMETERS and length[0]:
            raise _violation("the reset_stream_at transport parameter has a value")
        seen.add(identifier[0])
        position = length[1] + length[0]
    return not seen.isdisjoint(_PARAMETERS)


def _violation(reason: str) -> TransportViolation:
    return TransportViolation(ErrorCodes.TRANSPORT_PARAMETER_ERROR, reason)
