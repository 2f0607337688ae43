"""What a peer can do wrong, as exceptions that carry the error code to answer with.

They never leave the engine: it turns a `ConnectionViolation` into CONNECTION_CLOSE, a `StreamViolation` into a reset
of the stream that was being read, a `SessionViolation` into the end of the session, each with `error_code`.
"""

from __future__ import annotations

__all__ = ["ConnectionViolation", "ProtocolViolation", "SessionViolation", "StreamViolation"]


class ProtocolViolation(Exception):
    """The peer broke a rule of the protocol.

    Args:
        error_code: the code to send, as it stands on the wire.
        reason: what was wrong, lower case, for logs and for the reason phrase of CONNECTION_CLOSE.
    """

    def __init__(self, error_code: int, reason: str) -> None:
        """Keep the code and the reason."""
        super().__init__(error_code, reason)
        self.error_code = int(error_code)
        self.reason = reason

    def __str__(self) -> str:
        """Return the reason and the code."""
        return f"{self.reason} (error code {self.error_code:#x})"


class ConnectionViolation(ProtocolViolation):
    """A connection error (RFC 9114, section 8): the whole connection is closed."""


class StreamViolation(ProtocolViolation):
    """A stream error (RFC 9114, section 8): the stream being read is reset in both directions."""


class SessionViolation(ProtocolViolation):
    """A WebTransport session error: the session ends, its CONNECT stream is reset with the code."""
