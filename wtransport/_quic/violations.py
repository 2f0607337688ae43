"""What the peer did wrong at the QUIC level, with the transport error code it earns (RFC 9000, section 20.1)."""

from __future__ import annotations

from ..constants import ErrorCodes


class TransportViolation(Exception):
    """The peer broke a rule of QUIC; the connection is to be closed with `error_code`."""

    def __init__(self, error_code: ErrorCodes, reason: str) -> None:
        super().__init__(reason)
        self.error_code = int(error_code)
        self.reason = reason
