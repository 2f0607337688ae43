"""Tokens of Retry packets: what a client shows that cannot be elsewhere than it says (RFC 9000, section 8.1.2).

aioquic makes and checks them: encrypted with a key of this process, bound to address and connection ids, and good for
half a minute. Here is what the outcome means.
"""

from __future__ import annotations

from dataclasses import dataclass

from aioquic.quic.retry import NONCE_LENGTH, QuicRetryTokenHandler
from cryptography.exceptions import InvalidTag

from .port import NetworkAddress

__all__ = ["InvalidToken", "RetryTokens", "ValidatedAddress"]

_AEAD_TAG = 16

_MIN_TOKEN = NONCE_LENGTH + _AEAD_TAG
"""Bytes: anything shorter is no token of ours."""


@dataclass(frozen=True, slots=True)
class ValidatedAddress:
    """A client has proved that packets reach it."""

    original_cid: bytes
    """The destination connection id of its very first packet."""


class InvalidToken:
    """A token of ours that is too old, or was given to another address or for another connection id."""


class RetryTokens:
    """Makes tokens, and checks those that come back. Keeps nothing about anybody."""

    def __init__(self) -> None:
        """Make a key."""
        self._handler = QuicRetryTokenHandler()

    def create(self, *, addr: NetworkAddress, original_cid: bytes, retry_cid: bytes, now: float) -> bytes:
        """Return the token for a client.

        Args:
            addr: where its first packet came from.
            original_cid: the destination connection id of that packet.
            retry_cid: the connection id that it shall send to from now on, the Retry packet's own.
            now: the time, in seconds since any moment that is the same for all tokens.
        """
        return self._handler.create_token(
            address=addr, original_destination_connection_id=original_cid, retry_source_connection_id=retry_cid, now=now
        )

    def check(
        self, token: bytes, *, addr: NetworkAddress, destination_cid: bytes, now: float
    ) -> ValidatedAddress | InvalidToken | None:
        """Return what the token of an Initial packet is worth; None for none, and for what this process did not make.

        Such a token may be one that another server gave for later (NEW_TOKEN), so it counts as none: RFC 9000, 8.1.3.
        """
        if len(token) < _MIN_TOKEN:
            return None
        try:
            original_cid = self._handler.validate_token(
                address=addr, destination_cid=destination_cid, token=token, now=now
            )
        except ValueError as exc:
            return None if isinstance(exc.__cause__, InvalidTag) else InvalidToken()
        return ValidatedAddress(original_cid)
