"""Keys of X25519, as they are made and read for every handshake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

_inner: Any
try:
    # What the public functions call after they have imported a module and asked it what it supports.
    from cryptography.hazmat.bindings._rust import openssl as _inner
except ImportError:
    _inner = None

__all__ = ["generate_x25519", "read_x25519"]

generate_x25519: Callable[[], X25519PrivateKey] = X25519PrivateKey.generate
"""Make a key."""

read_x25519: Callable[[bytes], X25519PublicKey] = X25519PublicKey.from_public_bytes
"""Return the public key of a key share; raises ValueError when it has not 32 bytes."""


def _take_inner(inner: Any) -> None:
    """Take the inner functions where they are what this version expects."""
    global generate_x25519, read_x25519
    try:
        generate, read = inner.x25519.generate_key, inner.x25519.from_public_bytes
        key = generate()
        if isinstance(key, X25519PrivateKey) and isinstance(read(key.public_key().public_bytes_raw()), X25519PublicKey):
            generate_x25519, read_x25519 = generate, read
    except (AttributeError, TypeError, ValueError):
        return  # the public functions do the same


_take_inner(_inner)
