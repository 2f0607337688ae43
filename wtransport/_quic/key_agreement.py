"""Keys of X25519, as they are made and read for every handshake.

To make one takes longer than most of what an end does before its first packet leaves. So a spare one can be made while
the peer is at work, for the handshake that comes next: one at most for the process, which serves one handshake, and is
forgotten by the child of a fork, as the parent has it as well.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from .backend import IS_COMPILED

_inner: Any
try:
    # What the public functions call after they have imported a module and asked it what it supports.
    from cryptography.hazmat.bindings._rust import openssl as _inner
except ImportError:
    _inner = None

__all__ = ["generate_x25519", "prepare_x25519", "read_x25519", "take_x25519"]

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

_spare: deque[X25519PrivateKey] = deque(maxlen=1)
"""Several threads may take from it: taking a key out is one step."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_spare.clear)


def take_x25519() -> X25519PrivateKey:
    """Return a key for one handshake: the spare one, which is nobody else's then, or a new one."""
    try:
        return _spare.pop()
    except IndexError:
        return generate_x25519()


def prepare_x25519() -> None:
    """Make a spare key if there is none, and somebody to take it; to be called while an end waits for its peer.

    Handshakes that are left to aioquic make their keys by themselves.
    """
    if IS_COMPILED and not _spare:
        _spare.append(generate_x25519())
