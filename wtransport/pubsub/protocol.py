r"""The commands of publish and subscribe, in lines that end with ``\n``.

A client sends ``SUB topic``, ``UNSUB topic`` and ``PUB topic length``; a broker sends ``SUB-OK topic``,
``SUB-FAIL topic reason`` and ``MSG topic length``. After PUB and MSG comes the payload, of so many bytes.
"""

from __future__ import annotations

from typing import NamedTuple

from ..exceptions import StreamError
from ..stream import WebTransportStream
from ..stream._messages import patiently
from .exceptions import PubSubError

__all__ = [
    "MSG",
    "PUB",
    "SUB",
    "SUB_FAIL",
    "SUB_OK",
    "UNSUB",
    "Command",
    "checked_topic",
    "encode_line",
    "encode_message",
    "is_valid_topic",
    "read_command",
    "read_payload",
    "stream_over",
]

SUB = b"SUB"
UNSUB = b"UNSUB"
PUB = b"PUB"
SUB_OK = b"SUB-OK"
SUB_FAIL = b"SUB-FAIL"
MSG = b"MSG"

MAX_TOPIC_BYTES = 1024
"""UTF-8 bytes of a topic's name: it is part of every message."""

MAX_LINE_BYTES = 8192
"""Longest line that is read: a topic of ours, and room for a reason or for longer topics of others."""

MAX_LENGTH_DIGITS = 10  # more than any message may have


class Command(NamedTuple):
    """One line: the command, the topic, and what follows it (a length or a reason)."""

    name: bytes
    topic: bytes
    rest: bytes


def checked_topic(topic: str) -> bytes:
    """Return a topic as it goes on the wire.

    Raises:
        TypeError: it is not a string.
        ValueError: it is empty or too long, or has white space or control characters, which end it on the wire.
    """
    if not isinstance(topic, str):
        raise TypeError(f"topic must be a str, not {type(topic).__name__}")
    name = topic.encode("utf-8")
    if not 0 < len(name) <= MAX_TOPIC_BYTES:
        raise ValueError(f"topic must have 1 to {MAX_TOPIC_BYTES} bytes of UTF-8, not {len(name)}")
    if not is_valid_topic(name):
        raise ValueError(f"topic must have neither spaces nor control characters: {topic!r}")
    return name


def is_valid_topic(name: bytes) -> bool:
    """Tell whether a topic that came from the peer is one."""
    return 0 < len(name) <= MAX_TOPIC_BYTES and not any(byte <= 0x20 or byte == 0x7F for byte in name)


def encode_line(command: bytes, topic: bytes, rest: str = "") -> bytes:
    """Return a command as it goes on the wire; `rest` is made to fit its line."""
    if not rest:
        return b"%b %b\n" % (command, topic)
    reason = " ".join(rest.split()).encode("utf-8", "replace")[:MAX_TOPIC_BYTES]
    return b"%b %b %b\n" % (command, topic, reason)


def encode_message(command: bytes, topic: bytes, payload: bytes) -> bytes:
    """Return PUB or MSG with its payload."""
    return b"%b %b %d\n%b" % (command, topic, len(payload), payload)


async def read_command(stream: WebTransportStream) -> Command:
    """Return the next command, whatever it is; waits for it as long as it takes.

    Raises:
        asyncio.IncompleteReadError: the stream has ended.
        StreamError: the stream was reset, or the line is too long.
    """
    line = await patiently(lambda: stream.readline(limit=MAX_LINE_BYTES))
    parts = line.strip().split(b" ", 2)
    parts += [b""] * (3 - len(parts))
    return Command(*parts)


async def read_payload(stream: WebTransportStream, length: bytes, *, limit: int) -> bytes:
    """Return the payload that follows PUB or MSG.

    Args:
        stream: where it comes from.
        length: its length as it stood in the line.
        limit: most bytes to take.

    Raises:
        asyncio.IncompleteReadError: the stream has ended.
        PubSubError: the length is no number, or over the limit; nothing more can be read from this stream.
        StreamError: the stream was reset.
        TimeoutError: the rest of it did not come for `read_timeout` seconds.
    """
    if not length.isdigit() or len(length) > MAX_LENGTH_DIGITS:
        raise PubSubError(f"length of a message is no number: {length[:MAX_LENGTH_DIGITS]!r}")
    size = int(length)
    if size > limit:
        raise PubSubError(f"incoming message of {size} bytes is larger than max_message_size ({limit})")
    return await stream.readexactly(n=size)


def stream_over(error: StreamError | None = None) -> PubSubError:
    """Return the error for an operation on a stream that is over."""
    return PubSubError("Pub/Sub stream is closed" if error is None else f"Pub/Sub stream is closed: {error.message}")
