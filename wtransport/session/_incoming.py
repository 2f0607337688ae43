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

from .._speedups import DatagramQueue, DatagramTap, KeptStreams
from ..stream._base import _BaseStream
from ..stream._waiter import WaitLine

if TYPE_CHECKING:
    from .._protocol.session import SessionCore

__all__ = ["IncomingDatagrams", "IncomingIterator", "IncomingStreams"]

MAX_COPIED_FINISHED = 1024
"""Streams that ended and are kept for an iterator while handlers got them as well; beyond, the oldest is dropped and
logged. All others are bounded by the credit of the peer, which has none for a stream that nobody has taken."""

MAX_COPIED_DATAGRAMS = 1024
"""Datagrams kept for `read_datagram` while handlers get them as well; beyond, the oldest is dropped."""

MAX_COPIED_BYTES = 1024 * 1024
"""Bytes of the same queue."""

_logger = logging.getLogger(__name__)

T = TypeVar("T")
S = TypeVar("S", bound=_BaseStream)


class IncomingStreams(KeptStreams, Generic[S]):
    """The streams of one direction that the peer opened and nobody has taken.

    Attributes:
        kept: the streams with their arrival numbers, by id, the oldest first.
        copies: the ids of those that handlers got as well.
        is_pulled: an iterator was made, so every further stream is kept for it.
        line: the iterators that wait.
    """

    __slots__ = ("_finished", "copies", "line")

    kept: OrderedDict[int, tuple[int, S]] | None

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        # Made when needed, as what is kept: most sessions are quiet, and the three take a kilobyte.
        self.copies: set[int] | None = None
        self._finished: deque[int] | None = None
        self.line = WaitLine()

    def __len__(self) -> int:
        return len(self.kept or ())

    @property
    def first_arrival(self) -> int:
        """Return the arrival number of the oldest stream; there must be one."""
        return next(iter(self.kept.values()))[0] if self.kept else 0

    def keep(self, stream: S, arrival: int, *, is_copy: bool = False) -> None:
        """Keep a stream.

        Args:
            stream: its handle.
            arrival: counts the streams of the session, whatever their direction.
            is_copy: handlers get it as well, so it does not wait to be taken.
        """
        if self.kept is None:
            self.kept = OrderedDict()
        self.kept[stream.stream_id] = (arrival, stream)
        if is_copy:
            if self.copies is None:
                self.copies = set()
            self.copies.add(stream.stream_id)
        self.line.wake_first()

    def take(self) -> S | None:
        """Hand out the oldest stream, or None."""
        if not self.kept:
            return None
        stream_id, (_, stream) = self.kept.popitem(last=False)
        if self.copies:
            self.copies.discard(stream_id)
        stream._core.take()
        return stream

    def on_finished(self, stream_id: int) -> None:
        """Count a stream that has ended and that handlers got too, and drop the oldest of these when too many."""
        if not self.copies or stream_id not in self.copies:
            return
        if self._finished is None:
            self._finished = deque()
        self._finished.append(stream_id)
        if len(self._finished) > MAX_COPIED_FINISHED:
            oldest = self._finished.popleft()
            if self.kept and oldest in self.copies:
                self.copies.discard(oldest)
                _, dropped = self.kept.pop(oldest)
                _logger.warning("%r ended and was dropped: handlers had it, no iterator takes it", dropped)


class IncomingDatagrams(DatagramTap):
    """The datagrams of a session on their way to handlers and readers.

    Attributes:
        line: the readers that wait.
    """

    __slots__ = ("_copies", "line")

    def __init__(self, core: SessionCore) -> None:
        """Begin with what the core has queued."""
        super().__init__(core.datagrams)
        self._copies: DatagramQueue | None = None
        self.line = WaitLine()

    def take(self) -> bytes | None:
        """Hand out the oldest datagram to a reader, or None."""
        data = self._copies.pop() if self._copies is not None else None
        return self._queue.pop() if data is None and not self.is_handing_out else data

    def leave_to_reader(self) -> None:
        """Wake a reader: no handler takes what is there."""
        self.line.wake_first()

    def _copy(self, data: bytes) -> None:
        if self._copies is None:
            self._copies = DatagramQueue(MAX_COPIED_DATAGRAMS, MAX_COPIED_BYTES)
        self._copies.push(data)
        self.line.wake_first()


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
