"""Blocks and lists of TLS messages (RFC 8446, section 3.4), written into and read from aioquic's buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from aioquic._buffer import Buffer
from aioquic.tls import AlertDecodeError, SkipItem

from .._speedups import decode_varint, encode_varint

__all__ = [
    "PullBlock",
    "PushBlock",
    "PushExtension",
    "PushMessage",
    "join_parameters",
    "pull_list",
    "pull_opaque",
    "push_list",
    "push_opaque",
    "read_parameters",
    "split_parameters",
]


class PushBlock:
    """Writes what is written meanwhile with its length ahead."""

    __slots__ = ("_buf", "_capacity", "_start")

    def __init__(self, buf: Buffer, capacity: int) -> None:
        """Make a context manager; `capacity` is the number of bytes of the length."""
        self._buf = buf
        self._capacity = capacity

    def __enter__(self) -> None:
        """Leave room for the length."""
        self._start = self._buf.tell() + self._capacity
        self._buf.seek(self._start)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the length."""
        if kind is None:
            buf, capacity = self._buf, self._capacity
            end = buf.tell()
            buf.seek(self._start - capacity)
            buf.push_bytes((end - self._start).to_bytes(capacity))
            buf.seek(end)


class PushExtension(PushBlock):
    """Writes an extension: its type, its length, and what is written meanwhile."""

    __slots__ = ()

    def __init__(self, buf: Buffer, extension_type: int) -> None:
        """Make a context manager."""
        super().__init__(buf, 2)
        buf.push_uint16(extension_type)


class PullBlock:
    """Reads a length, and sees to it that so much is read meanwhile."""

    __slots__ = ("_buf", "_capacity", "_end")

    def __init__(self, buf: Buffer, capacity: int) -> None:
        """Make a context manager; `capacity` is the number of bytes of the length."""
        self._buf = buf
        self._capacity = capacity

    def __enter__(self) -> int:
        """Return the length."""
        buf = self._buf
        length = int.from_bytes(buf.pull_bytes(self._capacity))
        self._end = buf.tell() + length
        return length

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Compare.

        Raises:
            AlertDecodeError: more or less was read.
        """
        if kind is None and self._buf.tell() != self._end:
            raise AlertDecodeError("extra bytes at the end of a block")


class PushMessage:
    """Adds what is written meanwhile to the transcript."""

    __slots__ = ("_buf", "_schedule", "_start")

    def __init__(self, schedule: Any, buf: Buffer) -> None:
        """Make a context manager."""
        self._schedule = schedule
        self._buf = buf

    def __enter__(self) -> None:
        """Remember where the message begins."""
        self._start = self._buf.tell()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Add the message."""
        if kind is None:
            self._schedule.update_hash(self._buf.data_slice(self._start, self._buf.tell()))


def push_opaque(buf: Buffer, capacity: int, value: bytes) -> None:
    """Write bytes with their length ahead."""
    buf.push_bytes(len(value).to_bytes(capacity))
    buf.push_bytes(value)


def pull_opaque(buf: Buffer, capacity: int) -> bytes:
    """Read bytes with their length ahead."""
    return buf.pull_bytes(int.from_bytes(buf.pull_bytes(capacity)))


def push_list(buf: Buffer, capacity: int, func: Callable[[Any], object], values: Iterable[object]) -> None:
    """Write a list, each item of which a function writes."""
    with PushBlock(buf, capacity):
        for value in values:
            func(value)


def pull_list(buf: Buffer, capacity: int, func: Callable[[], Any]) -> list[Any]:
    """Read a list, each item of which a function reads, or skips by raising `SkipItem`.

    Raises:
        AlertDecodeError: it does not end with an item.
    """
    items = []
    with PullBlock(buf, capacity) as length:
        end = buf.tell() + length
        while buf.tell() < end:
            with suppress(SkipItem):
                items.append(func())
    return items


def split_parameters(data: bytes) -> list[tuple[int, bytes]] | None:
    """Return identifier and value of each transport parameter (RFC 9000, section 18); None if one is cut."""
    parameters = []
    position, end = 0, len(data)
    while position < end:
        identifier = decode_varint(data, position)
        length = None if identifier is None else decode_varint(data, identifier[1])
        if identifier is None or length is None or length[1] + length[0] > end:
            return None
        position = length[1] + length[0]
        parameters.append((identifier[0], data[length[1] : position]))
    return parameters


def join_parameters(
    table: Mapping[int, tuple[str, type]], values: Mapping[str, Any], encode: Callable[[type, Any], bytes]
) -> bytes:
    """Return transport parameters as they are on the wire (RFC 9000, section 18).

    Args:
        table: name and kind of value of each, by its identifier, in the order to send them in.
        values: their values by name; one that is None or False is left out.
        encode: called with the kind and the value of each that is neither a number nor bytes.

    Raises:
        ValueError: a number is not in 0..2**62-1.
    """
    written: list[bytes] = []
    for identifier, (name, kind) in table.items():
        value = values[name]
        if value is None or value is False:
            continue
        if kind is int:
            data = encode_varint(value)
        elif kind is bytes:
            data = value
        else:
            data = encode(kind, value)
        written += (encode_varint(identifier), encode_varint(len(data)), data)
    return b"".join(written)


def read_parameters(
    data: bytes,
    table: Mapping[int, tuple[str, type]],
    values: dict[str, Any],
    decode: Callable[[type, bytes], tuple[Any, int]],
) -> None:
    """Put the values of transport parameters under their names; those that the table has not are passed over.

    Args:
        data: the parameters, as they are on the wire.
        table: as in `join_parameters`.
        values: where they are put.
        decode: called with the kind and the bytes of each that is neither a number nor bytes, returns the value and
            how many bytes it has.

    Raises:
        ValueError: one is cut, or has a value of another length than its kind.
    """
    pairs = split_parameters(data)
    if pairs is None:
        raise ValueError("Transport parameters are cut")
    for identifier, text in pairs:
        name, kind = table.get(identifier, (None, None))
        if name is None or kind is None:
            continue
        value: Any
        if kind is int:
            decoded = decode_varint(text, 0)
            value, size = (None, -1) if decoded is None else decoded
        elif kind is bytes:
            value, size = text, len(text)
        else:
            value, size = decode(kind, text)
        if size != len(text):
            raise ValueError("Transport parameter length does not match")
        values[name] = value
