"""What the peer sent before the program asked for it: streams and datagrams, kept in order and within bounds.

There are two ways to receive. Handlers get an event for each stream and datagram; iterators (and `read_datagram`) take
them one by one. A program may use either, or both: then each way gets everything. What nobody asked for is kept for
whoever asks first.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from .._speedups import DatagramQueue
from ..stream._base import _BaseStream
from ..stream._waiter import WaitLine

if TYPE_CHECKING:
    from .._protocol.session import SessionCore

__all__ = ["IncomingDatagrams", "IncomingIterator", "IncomingStreams"]

MAX_KEPT_FINISHED = 1024
"""Streams that ended before the program took them. Those that still live are bounded by the credit the peer has; these
are not, as a stream's credit is renewed when it ends. Beyond, the oldest is dropped and logged."""

MAX_COPIED_DATAGRAMS = 1024
"""Datagrams kept for `read_datagram` while handlers get them as well; beyond, the oldest is dropped."""

MAX_COPIED_BYTES = 1024 * 1024
"""Bytes of the same queue."""

_logger = logging.getLogger(__name__)

T = TypeVar("T")
S = TypeVar("S", bound=_BaseStream)


class IncomingStreams(Generic[S]):
    """The streams of one direction that the peer opened and nobody has taken.

    Attributes:
        is_pulled: an iterator was made, so every further stream is kept for it.
        line: the iterators that wait.
    """

    __slots__ = ("_finished", "_kept", "is_pulled", "line")

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: OrderedDict[int, tuple[int, S]] = OrderedDict()
        self._finished: deque[int] | None = None
        self.is_pulled = False
        self.line = WaitLine()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def first_arrival(self) -> int:
        """Return the arrival number of the oldest stream; there must be one."""
        return next(iter(self._kept.values()))[0]

    def keep(self, stream: S, arrival: int) -> None:
        """Keep a stream; `arrival` counts the streams of the session, whatever their direction."""
        self._kept[stream.stream_id] = (arrival, stream)
        self.line.wake_first()

    def take(self) -> S | None:
        """Hand out the oldest stream, or None."""
        if not self._kept:
            return None
        return self._kept.popitem(last=False)[1][1]

    def on_finished(self, stream_id: int) -> None:
        """Count a kept stream that has ended, and drop the oldest of these when they are too many."""
        if stream_id not in self._kept:
            return
        if self._finished is None:
            self._finished = deque()
        self._finished.append(stream_id)
        if len(self._finished) > MAX_KEPT_FINISHED:
            dropped = self._kept.pop(self._finished.popleft(), None)
            if dropped is not None:
                _logger.warning("%r ended and was dropped: nobody takes the streams of its session", dropped[1])
                dropped[1]._close()  # gives back the credit of what it holds


class IncomingDatagrams:
    """The datagrams of a session on their way to handlers and readers.

    Attributes:
        is_pulled: a reader has asked, so handlers leave a copy for it.
        line: the readers that wait.
    """

    __slots__ = ("_copies", "_core", "is_pulled", "line")

    def __init__(self, core: SessionCore) -> None:
        """Begin with what the core has queued."""
        self._core = core
        self._copies: DatagramQueue | None = None
        self.is_pulled = False
        self.line = WaitLine()

    def take(self) -> bytes | None:
        """Hand out the oldest datagram to a reader, or None."""
        data = self._copies.pop() if self._copies is not None else None
        return self._core.datagrams.pop() if data is None else data

    def take_for_handlers(self) -> bytes | None:
        """Hand out the oldest datagram to the handlers, or None; a reader gets it, too."""
        data = self._core.datagrams.pop()
        if data is not None and self.is_pulled:
            if self._copies is None:
                self._copies = DatagramQueue(MAX_COPIED_DATAGRAMS, MAX_COPIED_BYTES)
            self._copies.push(data)
            self.line.wake_first()
        return data


class IncomingIterator(Generic[T]):
    """An async iterator over what the peer sends, until the session is over."""

    __slots__ = ("_take",)

    def __init__(self, take: Callable[[], Awaitable[T | None]]) -> None:
        """Iterate over what `take` gives, up to None."""
        self._take = take

    def __aiter__(self) -> AsyncIterator[T]:
        """Return this iterator."""
        return self

    async def __anext__(self) -> T:
        """Wait for the next one; StopAsyncIteration when the session is over."""
        item = await self._take()
        if item is None:
            raise StopAsyncIteration
        return item
