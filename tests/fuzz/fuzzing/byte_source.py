"""Random bytes read as choices: numbers, flags, blobs; what a mutation changes stays a valid sequence of choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

__all__ = ["ByteSource"]

T = TypeVar("T")

_EDGES = [
    *(0, 1, 2, 3, 4, 5, 30, 31, 32, 63, 64, 255, 256, 1023, 1024, 1025, 16383, 16384, 65535, 65536),
    *(2**30 - 1, 2**30, 2**31, 2**32 - 1, 2**32, 2**60 - 1, 2**60, 2**60 + 1, 2**62 - 4, 2**62 - 2, 2**62 - 1, 100),
]

_ODDITIES: list[Any] = [
    *(None, True, False, 1.0, -0.5, float("inf"), "1", "", b"1", [], (), {}, object, [1, 2]),
    *(-1, -2, -(2**31), -(2**63), -(2**63) - 1, 2**62, 2**63 - 1, 2**63, 2**64, 2**200, -(2**200)),
    *(bytearray(b"abc"), memoryview(b"abcd"), memoryview(b"abcd")[::2], memoryview(b"abcd").cast("I")),
]


class ByteSource:
    """Takes choices from bytes, front to back; where they are used up every choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def has_more(self) -> bool:
        """Tell whether bytes are left."""
        return self._position < len(self._data)

    def byte(self) -> int:
        """Return the next byte, 0 at the end."""
        if self._position >= len(self._data):
            return 0
        value = self._data[self._position]
        self._position += 1
        return value

    def below(self, limit: int) -> int:
        """Return a number in 0..limit-1; limit is at most 256."""
        return self.byte() % limit

    def flag(self) -> bool:
        """Return True or False."""
        return bool(self.byte() & 1)

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of up to 256 choices."""
        return choices[self.byte() % len(choices)]

    def number(self) -> int:
        """Return what a varint can hold: small numbers, edges of lengths and limits, or any."""
        kind = self.byte()
        if kind < 0x80:
            return kind & 0x3F
        if kind < 0xE0:
            return _EDGES[kind % len(_EDGES)]
        return int.from_bytes(self.take(8)) & (2**62 - 1)

    def oddity(self) -> Any:
        """Return what somebody might pass by mistake."""
        return self.pick(_ODDITIES)

    def take(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        data = self._data[self._position : self._position + size]
        self._position += len(data)
        return data

    def blob(self, most: int = 255) -> bytes:
        """Return up to `most` bytes, at most 255."""
        return self.take(self.byte() % (most + 1))

    def rest(self) -> bytes:
        """Return all bytes that are left."""
        return self.take(len(self._data))
