"""Keys of Initial packets (RFC 9001, section 5.2). Made from a connection id that everybody sees, they are no secret.

A server looks at a client's first packet before it makes a connection, which needs the same keys at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioquic.quic.crypto import (
    INITIAL_CIPHER_SUITE,
    INITIAL_SALT_VERSION_1,
    INITIAL_SALT_VERSION_2,
)
from aioquic.quic.packet import QuicProtocolVersion
from aioquic.tls import cipher_suite_hash

from .backend import IS_COMPILED
from .key_schedule import hkdf_expand_label, hkdf_extract

if TYPE_CHECKING or not IS_COMPILED:
    from aioquic.quic.crypto import CryptoContext as _Context
    from aioquic.quic.crypto import CryptoPair as _Pair

    _HASH = cipher_suite_hash(INITIAL_CIPHER_SUITE)

    def initial_secret(connection_id: bytes, version: int) -> bytes:
        """Return what both directions' keys are derived from."""
        salt = INITIAL_SALT_VERSION_2 if version == QuicProtocolVersion.VERSION_2 else INITIAL_SALT_VERSION_1
        return hkdf_extract(_HASH, salt, connection_id)

    def set_up_initial(keys: _Context, secret: bytes, label: bytes, version: int) -> None:
        """Derive the keys of one direction from `initial_secret`; the label is b"client in" or b"server in"."""
        secret = hkdf_expand_label(_HASH, secret, label, b"", _HASH.digest_size)
        keys.setup(cipher_suite=INITIAL_CIPHER_SUITE, secret=secret, version=version)
else:
    from ._compiled.packet_keys import PacketContext as _Context
    from ._compiled.packet_keys import PacketPair as _Pair
    from ._compiled.packet_keys import initial_secret, set_up_initial

__all__ = ["InitialCryptoPair", "first_packet_keys"]

_last: dict[tuple[bytes, int], tuple[_Context, bytes]] = {}
"""What `first_packet_keys` made last, for the connection that may come of it; with the secret it was made from."""


def first_packet_keys(connection_id: bytes, version: int) -> _Context:
    """Return what a server reads a client's first packet with.

    Args:
        connection_id: the destination connection id of the packet.
        version: the QUIC version, as it is on the wire.
    """
    secret = initial_secret(connection_id, version)
    keys = _Context()
    set_up_initial(keys, secret, b"client in", version)
    _last.clear()
    _last[connection_id, version] = keys, secret
    return keys


class InitialCryptoPair(_Pair):
    """Both directions' keys, for `QuicConnection`; what `first_packet_keys` made before is not made again."""

    def setup_initial(self, cid: bytes, is_client: bool, version: int) -> None:
        """Derive the keys of Initial packets."""
        made = None if is_client else _last.pop((cid, version), None)
        if made is None:
            secret = initial_secret(cid, version)
            set_up_initial(self.recv, secret, b"server in" if is_client else b"client in", version)
        else:
            self.recv, secret = made
        set_up_initial(self.send, secret, b"client in" if is_client else b"server in", version)
