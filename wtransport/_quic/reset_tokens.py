"""Stateless reset tokens that a server finds again after it has lost all its connections (RFC 9000, section 10.3.2)."""

from __future__ import annotations

import hashlib
import hmac

from aioquic.quic.packet import STATELESS_RESET_TOKEN_SIZE

__all__ = ["ResetTokens"]

_LABEL = b"wtransport stateless reset"
"""Says what the derived key is for, so that nothing else made from the private key can equal it."""


class ResetTokens:
    """The token of every connection id, made from a key that is the same as long as private key and port are.

    The port is part of the key: servers on one machine often share a certificate, and one of them must not give away
    the tokens of another (RFC 9000, section 21.11).
    """

    __slots__ = ("_key",)

    def __init__(self, *, private_key: bytes, port: int) -> None:
        """Derive the key.

        Args:
            private_key: the private key of the server's certificate, in any encoding that does not change.
            port: UDP port that the server listens on.
        """
        self._key = hmac.digest(private_key, _LABEL + port.to_bytes(2), "sha256")

    def token(self, connection_id: bytes) -> bytes:
        """Return the 16 bytes that end a stateless reset for this connection id; nobody else can tell them."""
        # Four for every connection: keyed BLAKE2 (RFC 7693) takes a quarter of what HMAC takes.
        return hashlib.blake2s(connection_id, key=self._key, digest_size=STATELESS_RESET_TOKEN_SIZE).digest()
