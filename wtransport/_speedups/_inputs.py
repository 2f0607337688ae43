"""What every kernel accepts as bytes, integers and seconds, and what it raises for the rest.

Both twins come here for the odd cases: the compiled kernels recognise the usual input themselves and hand anything
else to these functions, so the two cannot disagree. One sentence for each case:

* ``bytes``, ``bytearray`` and a contiguous ``memoryview`` of format ``"B"`` are bytes;
* a ``memoryview`` that has gaps, several dimensions or wider items, or is released, is a ``ValueError``;
* anything else (``None``, ``str``, a list, an array) is a ``TypeError``;
* an integer is an ``int`` (so a ``bool`` is 0 or 1); anything else, ``float`` included, is a ``TypeError``;
* an integer out of its range is a ``ValueError``, however large or small it is;
* seconds are a ``float`` or an ``int``; anything else is a ``TypeError``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from ._constants import MAX_VARINT

__all__ = [
    "Buffer",
    "as_bytes",
    "as_seconds",
    "check_buffer",
    "check_int",
    "check_varint",
    "copy_droppable",
    "copy_limits",
]

Buffer: TypeAlias = bytes | bytearray | memoryview

_INT_ALONE = {int}


def check_buffer(data: Buffer) -> None:
    """Refuse what is not bytes laid out one after the other.

    Raises:
        TypeError: data is not ``bytes``, ``bytearray`` or ``memoryview``.
        ValueError: data is a memoryview that is not plain contiguous bytes.
    """
    if isinstance(data, (bytes, bytearray)):
        return
    if not isinstance(data, memoryview):
        raise TypeError(f"data must be bytes, bytearray or memoryview, not {type(data).__name__}")
    if data.format != "B" or data.ndim != 1 or not data.c_contiguous:
        raise ValueError("data must be a contiguous memoryview of bytes")


def as_bytes(data: Buffer) -> bytes:
    """Return data as ``bytes``: the same object if it is exactly that, else a copy that nobody can change."""
    if type(data) is bytes:
        return data
    check_buffer(data)
    return b"".join((data,))


def check_int(name: str, value: int) -> None:
    """Refuse what is not an ``int``.

    Raises:
        TypeError: value is something else; the message names the argument.
    """
    if not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {type(value).__name__}")


def check_varint(name: str, value: int) -> None:
    """Refuse what a QUIC varint cannot carry.

    Raises:
        TypeError: value is not an ``int``.
        ValueError: value is not in 0..2**62-1.
    """
    check_int(name, value)
    if not 0 <= value <= MAX_VARINT:
        raise ValueError(f"{name} must be in 0..2**62-1")


def as_seconds(name: str, value: float) -> float:
    """Return value as a ``float``.

    Raises:
        TypeError: value is neither ``float`` nor ``int``.
        OverflowError: value is an ``int`` that no ``float`` can hold.
    """
    if not isinstance(value, (float, int)):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    return float(value)


def copy_limits(max_sizes: Mapping[int, int]) -> dict[int, int]:
    """Return a copy of a table of record type to largest payload in bytes, every entry checked.

    Raises:
        TypeError: max_sizes is no mapping, or holds something that is not an ``int``.
        ValueError: a type or a size is not in 0..2**62-1.
    """
    if type(max_sizes) is not dict and not isinstance(max_sizes, Mapping):
        raise TypeError(f"max_sizes must be a mapping, not {type(max_sizes).__name__}")
    limits = dict(max_sizes)
    # Several times for each connection: all at once first, without a loop.
    numbers = [*limits, *limits.values()]
    if {*map(type, numbers)} == _INT_ALONE and min(numbers) >= 0 and max(numbers) <= MAX_VARINT:
        return limits
    for record_type, size in limits.items():
        check_varint("max_sizes key", record_type)
        check_varint("max_sizes value", size)
    return limits


def copy_droppable(droppable: Collection[int], limits: Mapping[int, int]) -> frozenset[int]:
    """Return a copy of the record types that are dropped when they are over their limit, every one checked.

    Raises:
        TypeError: droppable is no collection, or holds something that is not an ``int``.
        ValueError: a type is not in 0..2**62-1, or has no limit that it could be over.
    """
    if not isinstance(droppable, Collection):
        raise TypeError(f"droppable must be a collection, not {type(droppable).__name__}")
    for record_type in droppable:
        check_varint("droppable type", record_type)
        if record_type not in limits:
            raise ValueError(f"droppable type {record_type:#x} is not in max_sizes")
    return frozenset(droppable)
