"""`Subscription`: the messages of one topic on their way to a program."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..stream._messages import is_worth_a_line
from ..stream._waiter import WaitLine
from .exceptions import PubSubError

if TYPE_CHECKING:
    from .manager import PubSubManager

__all__ = ["Subscription"]

_logger = logging.getLogger(__name__)


class _Ended(Exception):
    """Nothing more will come."""


class Subscription:
    """The messages of a topic; `PubSubManager.subscribe` makes it.

    In `async with` it ends with the block; ``async for`` gives the messages until it ends. When the program is so slow
    that the queue is full, new messages are dropped and counted.

    Args:
        topic: the topic.
        manager: whose subscription it is.
        max_queue_size: messages to keep for the program.

    Raises:
        ValueError: max_queue_size is not positive.
    """

    def __init__(self, *, topic: str, manager: PubSubManager, max_queue_size: int) -> None:
        if max_queue_size < 1:
            raise ValueError(f"max_queue_size must be at least 1, not {max_queue_size}")
        self._topic = topic
        self._manager = manager
        self._max_queue_size = max_queue_size
        self._queue: deque[bytes] = deque()
        self._line = WaitLine()
        self._is_ended = False
        self._error: PubSubError | None = None
        self._dropped = 0

    def __repr__(self) -> str:
        return f"<Subscription {self._topic!r} {len(self._queue)} waiting>"

    @property
    def topic(self) -> str:
        """Return the topic."""
        return self._topic

    @property
    def is_ended(self) -> bool:
        """Tell whether nothing more will come; messages may still be waiting."""
        return self._is_ended

    @property
    def dropped(self) -> int:
        """Return how many messages came while the queue was full, and are lost."""
        return self._dropped

    async def __aenter__(self) -> Self:
        """Enter the block that ends with the subscription ended."""
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """End the subscription."""
        await self.unsubscribe()

    async def unsubscribe(self) -> None:
        """End this subscription; what waits can still be read. No effect on one that has ended."""
        self._manager._leave(self)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the messages until the subscription ends."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next message; waits for it as long as it takes.

        Raises:
            StopAsyncIteration: it was ended here, or the stream is over.
            SubscriptionFailedError: the broker ended it.
        """
        try:
            message = None if self._line else self._take()
            if message is None:
                message = await self._line.until(self._take, seconds=None)
        except _Ended:
            if self._error is not None:
                raise self._error from None
            raise StopAsyncIteration from None
        if message is None:
            raise StopAsyncIteration  # not reached: waiting without a limit ends with a message or an exception
        return message

    def _offer(self, payload: bytes) -> bool:
        """Take a message from the manager; True when the program should have a chance to read, before more come."""
        if len(self._queue) >= self._max_queue_size:
            self._dropped += 1
            if is_worth_a_line(self._dropped):
                _logger.warning("queue of topic %r is full, %d messages dropped so far", self._topic, self._dropped)
            return True
        self._queue.append(payload)
        self._line.wake_first()
        return 2 * len(self._queue) >= self._max_queue_size

    def _end(self, error: PubSubError | None = None) -> None:
        """Let whoever waits know that nothing more will come."""
        if not self._is_ended:
            self._is_ended = True
            self._error = error
            self._line.wake_all()

    def _take(self) -> bytes | None:
        if self._queue:
            return self._queue.popleft()
        if self._is_ended:
            raise _Ended
        return None
