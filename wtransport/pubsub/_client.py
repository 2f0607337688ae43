"""One client of a broker: what waits to be sent to it, within bounds, and the task that sends it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from enum import StrEnum

from ..constants import ErrorCodes
from ..exceptions import WebTransportError
from ..stream import WebTransportStream
from ..stream._messages import write_message
from ..stream._waiter import wake

__all__ = ["BrokerClient", "Offer", "SlowSubscriberPolicy"]

_BATCH_BYTES = 64 * 1024
"""Small messages are written together up to this size, which is several packets' worth."""

_MAX_ANSWERS = 64
"""Answers to a client's commands that may wait; beyond, no further command of it is read."""

_logger = logging.getLogger(__name__)


class SlowSubscriberPolicy(StrEnum):
    """What a broker does when a subscriber's queue is full."""

    DROP_NEWEST = "drop_newest"
    """The new message does not reach this subscriber."""
    DROP_OLDEST = "drop_oldest"
    """The message that has waited longest makes room."""
    DISCONNECT = "disconnect"
    """The subscriber's stream is reset with APP_RESOURCE_EXHAUSTED."""


class Offer(StrEnum):
    """What became of a message that was offered to a client."""

    QUEUED = "queued"
    QUEUED_DROPPING = "queued, others dropped"
    DROPPED = "dropped"
    TOO_SLOW = "too slow"


class BrokerClient:
    """The outgoing queue of one client.

    Args:
        stream: the client's stream.
        max_items: messages that may wait.
        max_bytes: bytes that may wait; a message that finds the queue empty is taken whatever its size.
        policy: what to do beyond.
    """

    __slots__ = (
        "_alarm",
        "_answers",
        "_bytes",
        "_is_ending",
        "_max_bytes",
        "_max_items",
        "_policy",
        "_queue",
        "_room",
        "dropped",
        "stream",
        "topics",
    )

    def __init__(
        self, stream: WebTransportStream, *, max_items: int, max_bytes: int, policy: SlowSubscriberPolicy
    ) -> None:
        self.stream = stream
        self.topics: set[bytes] = set()
        self.dropped = 0
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._policy = policy
        self._queue: deque[tuple[bytes, bool]] = deque()  # what to write, and whether it is an answer
        self._bytes = 0
        self._answers = 0
        self._alarm: asyncio.Future[bool] | None = None
        self._room: asyncio.Future[bool] | None = None
        self._is_ending = False

    @property
    def is_filling(self) -> bool:
        """Tell whether the writer should have a chance to write, before more messages come."""
        return 2 * len(self._queue) >= self._max_items or 2 * self._bytes >= self._max_bytes

    def offer(self, message: bytes) -> Offer:
        """Queue a message, as the policy allows."""
        outcome = Offer.QUEUED
        while self._is_full(len(message)):
            self.dropped += 1
            if self._policy is SlowSubscriberPolicy.DISCONNECT:
                return Offer.TOO_SLOW
            if self._policy is SlowSubscriberPolicy.DROP_NEWEST:
                return Offer.DROPPED
            self._drop_oldest()
            outcome = Offer.QUEUED_DROPPING
        self._append(message, is_answer=False)
        return outcome

    async def answer(self, line: bytes) -> None:
        """Queue the answer to a command, in front of nothing that was queued before; waits while too many wait."""
        self._append(line, is_answer=True)
        while self._answers > _MAX_ANSWERS:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None

    def end(self) -> None:
        """Send what is queued, then the FIN."""
        self._is_ending = True
        wake(self._alarm)

    async def write(self) -> None:
        """Send what is queued until `end`; a client that takes nothing for `write_timeout` seconds is cut off."""
        try:
            while self._queue or not self._is_ending:
                if self._queue:
                    await write_message(self.stream, self._next_batch())
                else:
                    self._alarm = asyncio.get_running_loop().create_future()
                    await self._alarm
            await self.stream.close()
        except WebTransportError as error:
            _logger.info("Pub/Sub client %r takes nothing more: %s", self.stream, error)
            await self.stream.close(error_code=ErrorCodes.APP_RESOURCE_EXHAUSTED)
        finally:
            self._alarm = None
            self._answers = 0  # whoever waits to queue an answer finds the stream closed
            wake(self._room)

    def _is_full(self, size: int) -> bool:
        messages = len(self._queue) - self._answers
        return messages > 0 and (messages >= self._max_items or self._bytes + size > self._max_bytes)

    def _append(self, data: bytes, *, is_answer: bool) -> None:
        self._queue.append((data, is_answer))
        self._bytes += len(data)
        self._answers += is_answer
        wake(self._alarm)

    def _drop_oldest(self) -> None:
        """Drop the first message; answers, of which there are few, stay."""
        index = next(index for index, (_, is_answer) in enumerate(self._queue) if not is_answer)
        self._bytes -= len(self._queue[index][0])
        del self._queue[index]

    def _next_batch(self) -> bytes:
        """Take from the queue as much as is written at once: at least one message."""
        parts: list[bytes] = []
        size = 0
        while self._queue and (not parts or size + len(self._queue[0][0]) <= _BATCH_BYTES):
            data, is_answer = self._queue.popleft()
            parts.append(data)
            size += len(data)
            self._answers -= is_answer
        self._bytes -= size
        wake(self._room)
        return parts[0] if len(parts) == 1 else b"".join(parts)
