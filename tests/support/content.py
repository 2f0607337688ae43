"""Much content that nobody has to keep: made from a seed piece by piece, and known by its hash where it arrives."""

from __future__ import annotations

import hashlib
from random import Random
from typing import Any

__all__ = ["Content", "Digest", "read_content", "write_content"]

PIECE = 16 * 1024
"""Bytes that are made, and written, at a time."""


class Digest:
    """The hash of what was added, and how much it is."""

    def __init__(self) -> None:
        self.size = 0
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self._hash.update(data)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


class Content(Digest):
    """Pseudo-random bytes, piece by piece, and the hash of what was taken so far."""

    def __init__(self, size: int, seed: object) -> None:
        super().__init__()
        self.left = size
        self._random = Random(str(seed))

    def take(self) -> bytes:
        """Return the next piece, empty at the end."""
        piece = self._random.randbytes(min(PIECE, self.left))
        self.left -= len(piece)
        self.add(piece)
        return piece


async def write_content(stream: Any, size: int, seed: object) -> str:
    """Write a whole content to a stream handle, and FIN; its hash."""
    content = Content(size, seed)
    while content.left:
        await stream.write(data=content.take())
    await stream.write(data=b"", end_stream=True)
    return content.digest


async def read_content(stream: Any, digest: Digest) -> str:
    """Read a stream handle to its end; the hash. `digest` tells meanwhile how far it is."""
    async for data in stream:
        digest.add(data)
    return digest.digest
