"""Parts of aioquic that are called dozens of times for each connection, replaced by quicker ones that do the same.

To import this module puts them in place, for every user of aioquic in the process. What is replaced are functions and
classes of its modules, none of them private; tests compare each with the original.
"""

from __future__ import annotations

from functools import cache
from types import TracebackType

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic import connection, crypto
from aioquic.tls import AlertDecodeError

from . import key_schedule
from .authorities import CryptoModule
from .backend import IS_COMPILED
from .initial_keys import InitialCryptoPair

if IS_COMPILED:
    from ._compiled.packet_builder import make_builder  # type: ignore[import-not-found]

__all__ = ["PullBlock", "PushBlock", "PushExtension", "PushMessage"]


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

    def __init__(self, schedule: key_schedule.KeySchedule | key_schedule.KeyScheduleProxy, buf: Buffer) -> None:
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


def _install() -> None:
    replacements: dict[str, object] = {
        "KeySchedule": key_schedule.KeySchedule,
        "KeyScheduleProxy": key_schedule.KeyScheduleProxy,
        "hkdf_expand_label": key_schedule.hkdf_expand_label,
        "hkdf_extract": key_schedule.hkdf_extract,
        "pull_block": PullBlock,
        "pull_opaque": pull_opaque,
        "push_block": PushBlock,
        "push_extension": PushExtension,
        "push_message": PushMessage,
        "push_opaque": push_opaque,
    }
    for name, replacement in replacements.items():
        setattr(tls, name, replacement)
    for name in ("hkdf_expand_label", "hkdf_extract"):
        setattr(crypto, name, replacements[name])
    vars(tls)["crypto"] = CryptoModule()
    vars(connection)["CryptoPair"] = InitialCryptoPair
    if IS_COMPILED:
        vars(connection)["QuicPacketBuilder"] = make_builder
    # Members are looked up in dictionaries hundreds of times for a connection; the hash of an enumeration is in Python.
    type.__setattr__(tls.Epoch, "__hash__", object.__hash__)
    # A pure function that makes the same 33 sets for every connection.
    connection.EPOCHS = cache(connection.EPOCHS)


_install()
