"""Devious Baton: a game that uses everything a session has. Its messages, its codes and the query of its URL.

The server sends a number, the baton, on each of `count` unidirectional streams. Whoever gets a baton passes the next
number on: one from a unidirectional stream goes out on a new bidirectional one, which the other end answers; that
answer goes out on a new unidirectional stream, and so on. After 255 comes 0, and who gets a 0 keeps it. When no baton
is left, the end that got the last 0 closes the session. Some batons go out in a datagram as well.

The rules are those of draft-frindell-webtrans-devious-baton-00; `devious_baton_player.py` plays by them, at either end.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import IntEnum
from typing import Self
from urllib.parse import parse_qs, urlsplit

from wtransport import WebTransportReceiveStream

PATH = "/webtransport/devious-baton"

MAX_BATONS = 100
"""Batons in a game; a server refuses more than it can handle."""

MAX_PADDING = 1 << 20
"""Bytes of padding that are read past."""


class SessionCode(IntEnum):
    """Why a game was broken off."""

    DA_YAMN = 1  # the other end allows no more streams
    BRUH = 2  # a message that is none
    SUS = 3  # a baton that nobody can be passing on
    BORED = 4  # nothing happens


class StreamCode(IntEnum):
    """Why a stream was abandoned: its baton is lost, the game goes on."""

    IDC = 1  # what comes is of no interest
    WHATEVER = 2  # the other end gave up
    I_LIED = 3  # the baton will not come


class MalformedError(ValueError):
    """A message is cut off, or something follows it."""


# A message is the length of its padding as a variable-length integer (RFC 9000, section 16), the padding, and one byte.


def encode_message(baton: int, padding: int = 0) -> bytes:
    exponent = next(exponent for exponent in range(4) if padding < 1 << ((8 << exponent) - 2))
    bits = 8 << exponent
    return (exponent << (bits - 2) | padding).to_bytes(bits // 8, "big") + bytes(padding) + bytes([baton])


def decode_message(message: bytes) -> int:
    head = message[: _head_size(message)]
    if len(message) != len(head) + _padding(head) + 1:
        raise MalformedError(f"not one message: {len(message)} bytes")
    return message[-1]


async def read_message(stream: WebTransportReceiveStream) -> int | None:
    """Read a stream that is one message, and throw the padding away as it comes; None: that is too much of it."""
    try:
        head = await stream.readexactly(n=1)
        head += await stream.readexactly(n=_head_size(head) - 1)
        left = _padding(head)
        if left > MAX_PADDING:
            return None
        while left:
            skipped = await stream.read(max_bytes=left)
            if not skipped:
                raise MalformedError("the stream ends inside the padding")
            left -= len(skipped)
        (baton,) = await stream.readexactly(n=1)
    except asyncio.IncompleteReadError:
        raise MalformedError("the stream ends inside a message") from None
    if await stream.read(max_bytes=1):
        raise MalformedError("something follows the message")
    return baton


def _head_size(message: bytes) -> int:
    return 1 << (message[0] >> 6) if message else 1


def _padding(head: bytes) -> int:
    return int.from_bytes(head, "big") & ((1 << (8 * len(head) - 2)) - 1) if head else 0


@dataclass(frozen=True)
class Game:
    """What the query says; `baton` is the first number, None if the server chooses."""

    baton: int | None = None
    count: int = 1

    @classmethod
    def from_path(cls, path: str) -> Self:
        """Read the path of a request; ValueError for a game that is not played here."""
        query = parse_qs(urlsplit(path).query, keep_blank_values=True)
        version, baton, count = (_parameter(query.get(name)) for name in ("version", "baton", "count"))
        if version not in (None, 0):
            raise ValueError("only version 0 is played here")
        if baton is not None and not 1 <= baton <= 255:
            raise ValueError("a baton is 1 to 255")
        if count is not None and not 1 <= count <= MAX_BATONS:
            raise ValueError(f"a game has 1 to {MAX_BATONS} batons")
        return cls(baton, 1 if count is None else count)

    @property
    def path(self) -> str:
        baton = "" if self.baton is None else f"&baton={self.baton}"
        return f"{PATH}?version=0&count={self.count}{baton}"


def _parameter(values: list[str] | None) -> int | None:
    if values is None:
        return None
    (text,) = values  # ValueError when it stands twice
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"{text!r} is no number")
    return int(text)
