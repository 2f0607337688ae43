"""HTTP datagrams: the quarter stream id in front of each (RFC 9297, section 2.1), and a bounded queue of them."""

from __future__ import annotations

from collections import deque
from math import isfinite
from typing import TYPE_CHECKING

from .._constants import MAX_QUARTER_STREAM_ID
from .._inputs import Buffer, as_bytes, as_seconds, check_buffer, check_int
from .varint import decode_varint, encode_varint

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DatagramInbox", "DatagramQueue", "DatagramTap", "decode_datagram", "encode_datagram", "sort_datagrams"]

_ONLY_BYTES = {bytes}


def encode_datagram(quarter_stream_id: int, payload: Buffer) -> bytes:
    """Return the payload of a QUIC DATAGRAM frame.

    Args:
        quarter_stream_id: id of the session's CONNECT stream, divided by 4.
        payload: the session's datagram.

    Raises:
        TypeError: quarter_stream_id is not an ``int``, or payload is not bytes.
        ValueError: quarter_stream_id is not in 0..2**60-1, or payload is not contiguous.

    Source: RFC 9297, section 2.1.
    """
    check_int("quarter_stream_id", quarter_stream_id)
    if not 0 <= quarter_stream_id <= MAX_QUARTER_STREAM_ID:
        raise ValueError("quarter_stream_id must be in 0..2**60-1")
    return encode_varint(quarter_stream_id) + as_bytes(payload)


def decode_datagram(data: Buffer) -> tuple[int, int] | None:
    """Read the quarter stream id of a QUIC DATAGRAM frame's payload.

    Returns:
        ``(quarter_stream_id, payload_offset)``, or ``None`` if data ends before the id does.

    Raises:
        TypeError: data is not bytes.
        ValueError: the id is above 2**60-1, or data is not contiguous.

    Source: RFC 9297, section 2.1.
    """
    if type(data) is not bytes:
        check_buffer(data)
    decoded = decode_varint(data)
    if decoded is not None and decoded[0] > MAX_QUARTER_STREAM_ID:
        raise ValueError("quarter stream id is above 2**60-1")
    return decoded


def sort_datagrams(datagrams: list[bytes]) -> list[tuple[int, list[bytes]]]:
    """Take the quarter stream ids off the payloads of QUIC DATAGRAM frames.

    Returns:
        in order, each run of datagrams with one quarter stream id, as ``(quarter_stream_id, payloads)``; where one has
        no valid id, a last ``(-1, [])`` stands for it and all that follow.

    Raises:
        TypeError: datagrams is not a ``list``, or something in it is not ``bytes``.

    Source: RFC 9297, section 2.1.
    """
    if type(datagrams) is not list:
        raise TypeError("datagrams must be a list")
    runs: list[tuple[int, list[bytes]]] = []
    for data in datagrams:
        if type(data) is not bytes:
            raise TypeError("each of the datagrams must be bytes")
        decoded = decode_varint(data)
        if decoded is None or decoded[0] > MAX_QUARTER_STREAM_ID:
            runs.append((-1, []))
            break
        quarter, size = decoded
        if not runs or runs[-1][0] != quarter:
            runs.append((quarter, []))
        runs[-1][1].append(data[size:])
    return runs


class DatagramQueue:
    """A queue of datagrams that never grows past its limits.

    Expired datagrams leave whenever the queue is touched with a time, so they never push out fresh ones. Times are
    seconds of one monotonic clock; those passed to one queue must not run backwards.

    Args:
        max_items: most datagrams kept, at least 1.
        max_bytes: most payload bytes kept, 0 for no limit.
        max_age: seconds after which a datagram is worthless, 0 for no limit.
        drop_newest: when full, refuse the new datagram; otherwise the oldest make room for it.

    Attributes:
        pushed: datagrams accepted.
        popped: datagrams handed out.
        dropped_full: datagrams refused or pushed out because the queue was full.
        dropped_expired: datagrams that grew too old.

    Raises:
        TypeError: a limit has the wrong type.
        ValueError: a limit is out of range.
    """

    __slots__ = (
        "_drop_newest",
        "_items",
        "_max_age",
        "_max_bytes",
        "_max_items",
        "_nbytes",
        "_times",
        "dropped_expired",
        "dropped_full",
        "popped",
        "pushed",
    )

    def __init__(self, max_items: int, max_bytes: int = 0, max_age: float = 0.0, drop_newest: bool = False) -> None:
        """Create an empty queue."""
        check_int("max_items", max_items)
        check_int("max_bytes", max_bytes)
        max_age = as_seconds("max_age", max_age)
        if max_items < 1:
            raise ValueError("max_items must be at least 1")
        if max_bytes < 0:
            raise ValueError("max_bytes must not be negative")
        if max_age < 0 or not isfinite(max_age):
            raise ValueError("max_age must be finite and not negative")
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._drop_newest = bool(drop_newest)
        self._items: deque[bytes] = deque()
        self._times: deque[float] = deque()  # when each was pushed; stays empty without a maximum age
        self._nbytes = 0
        self.pushed = 0
        self.popped = 0
        self.dropped_full = 0
        self.dropped_expired = 0

    def __len__(self) -> int:
        """Return how many datagrams are kept."""
        return len(self._items)

    @property
    def nbytes(self) -> int:
        """Payload bytes kept."""
        return self._nbytes

    def push(self, data: Buffer, now: float = 0.0) -> bool:
        """Add a datagram at the end.

        Returns:
            False if this datagram was dropped: the queue is full and refuses new ones, or it alone is larger than
            max_bytes.

        Raises:
            TypeError: data is not bytes, or now is not a number.
            ValueError: data is not contiguous.
        """
        if type(data) is not bytes:
            data = as_bytes(data)
        if type(now) is not float:
            now = as_seconds("now", now)
        if self._max_age:
            self._expire(now)
        size = len(data)
        if len(self._items) >= self._max_items or (self._max_bytes and self._nbytes + size > self._max_bytes):
            if self._drop_newest or (self._max_bytes and size > self._max_bytes):
                self.dropped_full += 1
                return False
            self._make_room(size)
        if self._max_age:
            self._times.append(now)
        self._items.append(data)
        self._nbytes += size
        self.pushed += 1
        return True

    def extend(self, datagrams: list[bytes]) -> None:
        """Push each of a list of datagrams, at time 0.

        Raises:
            TypeError: datagrams is not a ``list``, or something in it is not bytes; what stands before that was pushed.
            ValueError: something in it is not contiguous.
        """
        if type(datagrams) is not list:
            raise TypeError("datagrams must be a list")
        for data in datagrams:
            self.push(data)

    def pop(self, now: float = 0.0) -> bytes | None:
        """Remove and return the oldest datagram that is not expired, or ``None`` if there is none.

        Raises:
            TypeError: now is not a number.
        """
        if type(now) is not float:
            now = as_seconds("now", now)
        if self._max_age:
            self._expire(now)
        if not self._items:
            return None
        self.popped += 1
        return self._drop_oldest()

    def drain(self, now: float = 0.0) -> list[bytes]:
        """Remove and return all datagrams that are not expired, oldest first.

        Raises:
            TypeError: now is not a number.
        """
        if type(now) is not float:
            now = as_seconds("now", now)
        if self._max_age:
            self._expire(now)
        drained = list(self._items)
        self.popped += len(drained)
        self.clear()
        return drained

    def clear(self) -> None:
        """Forget all datagrams; no counter changes."""
        self._items.clear()
        self._times.clear()
        self._nbytes = 0

    def _make_room(self, size: int) -> None:
        """Drop the oldest until a datagram of size bytes, which is within the limit, fits."""
        while len(self._items) >= self._max_items or (self._max_bytes and self._nbytes + size > self._max_bytes):
            self._drop_oldest()
            self.dropped_full += 1

    def _expire(self, now: float) -> None:
        while self._times and now - self._times[0] > self._max_age:
            self._drop_oldest()
            self.dropped_expired += 1

    def _drop_oldest(self) -> bytes:
        data = self._items.popleft()
        if self._times:
            self._times.popleft()
        self._nbytes -= len(data)
        return data


class DatagramInbox(DatagramQueue):
    """What the peer sent to a session and nobody has taken; the oldest give way when too many pile up.

    Args:
        max_items: most datagrams kept, at least 1.
        max_bytes: most payload bytes kept, 0 for no limit.

    Attributes:
        is_open: more may arrive; kept by the session.
        announce: called where datagrams came to an empty inbox, if it is not None; it must not raise an Exception.
        received: datagrams that arrived.
        bytes_received: their bytes.

    Raises:
        TypeError: a limit has the wrong type.
        ValueError: a limit is out of range.
    """

    __slots__ = ("announce", "bytes_received", "is_open", "received")

    def __init__(self, max_items: int, max_bytes: int = 0) -> None:
        """Create an empty inbox."""
        super().__init__(max_items, max_bytes)
        self.is_open = False
        self.announce: Callable[[], object] | None = None
        self.received = 0
        self.bytes_received = 0

    def arrive(self, datagrams: list[bytes]) -> bool:
        """Count and keep a list of datagrams; True if the inbox was empty before.

        Raises:
            TypeError: datagrams is not a ``list``, or something in it is not ``bytes``; nothing was done.
        """
        if type(datagrams) is not list:
            raise TypeError("datagrams must be a list")
        if {*map(type, datagrams)} - _ONLY_BYTES:
            raise TypeError("each of the datagrams must be bytes")
        was_empty = not self._items
        self.received += len(datagrams)
        self.bytes_received += sum(map(len, datagrams))
        self.extend(datagrams)
        return was_empty


class DatagramTap:
    """Where handlers take datagrams from a queue; a reader that has asked gets them, too.

    What comes seldom is left to a subclass, which has these methods: ``leave_to_reader()``, and ``_copy(data)``, which
    keeps a datagram that handlers got for a reader.

    Args:
        queue: the datagrams that nobody has taken.

    Attributes:
        is_pulled: a reader has asked.
        is_handing_out: what is there goes to handlers, and to a reader only as a copy.
    """

    __slots__ = ("_queue", "is_handing_out", "is_pulled")

    def __init__(self, queue: DatagramQueue) -> None:
        """Begin without a reader."""
        self._queue = queue
        self.is_pulled = False
        self.is_handing_out = False

    def take_for_handlers(self) -> bytes | None:
        """Hand out the oldest datagram, or None."""
        data = self._queue.pop()
        if self.is_pulled and data is not None:
            self._copy(data)
        return data

    def leave_to_reader(self) -> None:
        """Take note that no handler takes what is there."""
        raise NotImplementedError

    def _copy(self, data: bytes) -> None:
        raise NotImplementedError
