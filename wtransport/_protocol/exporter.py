"""The TLS exporter of one session: what tells its keying material from that of the connection's other sessions.

draft-16, section 4.8. The derivation itself (RFC 8446, 7.5) is the QUIC port's, which has the handshake's secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .session import SessionCore

__all__ = ["EXPORTER_LABEL", "export_keying_material", "exporter_context"]

EXPORTER_LABEL: Final = b"EXPORTER-WebTransport"
"""The TLS label of every session's export; the application's own label goes into the context."""

MAX_PART_BYTES: Final = 255
"""Bytes of the application's label and of its context: each has a one-byte length (draft-16, 4.8)."""

MAX_EXPORT_BYTES: Final = 255 * 32
"""Bytes of one export: HKDF gives 255 hashes at most (RFC 5869, 2.3), and the shortest hash of TLS 1.3 has 32."""


def exporter_context(session_id: int, label: bytes, context: bytes) -> bytes:
    """Return the "WebTransport Exporter Context" structure: the session, the application's label and its context.

    Args:
        session_id: id of the CONNECT stream.
        label: the application's label, at most 255 bytes.
        context: the application's context, at most 255 bytes; one that is left out is empty.

    Raises:
        ValueError: label or context is too long.
    """
    for name, part in (("label", label), ("context", context)):
        if len(part) > MAX_PART_BYTES:
            raise ValueError(f"{name} must be at most {MAX_PART_BYTES} bytes, not {len(part)}")
    # The session id is a plain 64-bit integer here, no varint.
    return b"".join((session_id.to_bytes(8, "big"), bytes((len(label),)), label, bytes((len(context),)), context))


def export_keying_material(session: SessionCore, *, label: bytes, context: bytes, length: int) -> bytes:
    """Return `length` bytes that only the two ends of this session can know, the same at both.

    Raises:
        ValueError: label, context or length is out of range.
        ConnectionError: the handshake has not come far enough.
    """
    if not 1 <= length <= MAX_EXPORT_BYTES:
        raise ValueError(f"length must be from 1 to {MAX_EXPORT_BYTES} bytes, not {length}")
    return session.port.export_keying_material(
        EXPORTER_LABEL, exporter_context(session.stream_id, label, context), length
    )
