"""Changed inputs without coverage: what takes the place of atheris where there is none, and under sanitizers.

An input that makes the target do something in an order that was not seen before joins the pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

__all__ = ["MAX_INPUT", "Pool"]

MAX_INPUT = 2048
"""Bytes of an input at most; a longer one reaches nothing that this does not."""

_MAX_POOL = 4000
_INTERESTING = [
    *(b"\x00", b"\x01", b"\x3f", b"\x40", b"\x7f", b"\x80", b"\xc0", b"\xff", b"\x40\x41", b"\x40\x54", b"\x68\x43"),
    *(b"\x80\x00\x78\xae", b"\x99\x0b\x4d\x3d", b"\xff" * 8, b"\xc0" + bytes(7), b"\xd0" + bytes(7), b"\x00" * 4),
]


class Pool:
    """Inputs worth changing."""

    def __init__(self, seeds: list[bytes], *, seed: int) -> None:
        self._inputs = list(seeds) or [b""]
        self._random = Random(seed)
        self._seen: set[int] = set()

    def __len__(self) -> int:
        return len(self._inputs)

    def mutated(self) -> bytes:
        """Return a changed copy of one of the inputs."""
        data = bytearray(self._random.choice(self._inputs))
        for _ in range(1 + self._random.getrandbits(2)):
            self._change(data)
        return bytes(data[:MAX_INPUT])

    def take(self, data: bytes, trace: list[Any]) -> bool:
        """Keep an input if its trace shows something new; tell whether it was kept."""
        new = {hash(feature) for feature in _features(trace)} - self._seen
        if not new:
            return False
        self._seen |= new
        if data not in self._inputs:
            if len(self._inputs) >= _MAX_POOL:
                self._inputs[self._random.randrange(_MAX_POOL)] = data
            else:
                self._inputs.append(data)
        return True

    def _change(self, data: bytearray) -> None:
        chance = self._random
        place = chance.randrange(len(data) + 1)
        size = 1 + chance.randrange(8)
        match chance.randrange(8):
            case 0 if place < len(data):
                data[place] ^= 1 << chance.randrange(8)
            case 1 if place < len(data):
                data[place] = chance.randrange(256)
            case 2:
                data[place:place] = chance.randbytes(size)
            case 3:
                del data[place : place + size]
            case 4:
                piece = chance.choice(_INTERESTING)
                data[place : place + chance.choice([0, len(piece)])] = piece
            case 5:
                data[place:place] = data[place : place + size * 4]
            case 6:
                other = chance.choice(self._inputs)
                data[place:] = other[chance.randrange(len(other) + 1) :]
            case _:
                other = chance.choice(self._inputs)
                start = chance.randrange(len(other) + 1)
                data[place:place] = other[start : start + size * 8]


def _features(trace: list[Any]) -> Iterator[Any]:
    """Yield what happened and what happened next, without the values that would make everything new."""
    before: Any = None
    for item in trace:
        kind = _kind(item)
        yield before, kind
        before = kind


def _kind(item: Any, depth: int = 2) -> Any:
    if isinstance(item, str):
        return "".join(" " if letter.isdigit() else letter for letter in item[:40])
    if isinstance(item, bool) or item is None:
        return item
    if isinstance(item, tuple) and depth:
        return tuple(_kind(each, depth - 1) for each in item[:3])
    if isinstance(item, (bytes, list, tuple, int)):
        size = item if isinstance(item, int) else len(item)
        return type(item).__name__, size.bit_length()
    return type(item).__name__
