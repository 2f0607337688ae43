"""What protocols with messages need of a stream: whole ones or none, patience, and words that nobody waits for."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from ..constants import ErrorCodes
from ..exceptions import TimeoutError, WebTransportError
from .send import WebTransportSendStream

__all__ = ["Afterword", "cancel", "is_worth_a_line", "patiently", "wait_for_end", "write_message"]

_logger = logging.getLogger(__name__)

_MAX_AFTERWORDS = 1024
"""Messages that wait for room on the stream. They are small, and worth little when they are this late."""


async def write_message(stream: WebTransportSendStream, message: bytes) -> None:
    """Write a message whole, or leave no part of one on a stream that goes on.

    A message that fits `max_stream_write_buffer` is queued whole or not at all. A larger one that is cancelled or times
    out may be there in part, and what follows would be taken for the rest of it: then the stream is reset.

    Raises:
        StreamError: as for `WebTransportSendStream.write`.
        TimeoutError: as for `WebTransportSendStream.write`.
    """
    try:
        await stream.write(data=message)
    except (TimeoutError, asyncio.CancelledError):
        if len(message) > stream._session._config.max_stream_write_buffer:
            stream._abort(int(ErrorCodes.APPLICATION_ERROR))
        raise


async def patiently(read: Callable[[], Awaitable[bytes]]) -> bytes:
    """Read the beginning of a message: `read_timeout` means nothing where a peer may have nothing to say.

    A peer that is gone ends the stream all the same, by way of the connection's idle time-out.
    """
    while True:
        try:
            return await read()
        except TimeoutError:
            continue


def cancel(tasks: Iterable[asyncio.Task[None]]) -> list[asyncio.Task[None]]:
    """Cancel tasks, except for the caller's own; return those that have to end now."""
    current = asyncio.current_task()
    others = [task for task in tasks if task is not current and not task.done()]
    for task in others:
        task.cancel()
    return others


async def wait_for_end(tasks: list[asyncio.Task[None]], *, seconds: float) -> None:
    """Wait for the end of tasks that were cancelled."""
    if not tasks:
        return
    _, alive = await asyncio.wait(tasks, timeout=seconds)
    for task in alive:
        _logger.warning("task goes on %s s after it was cancelled: %r", seconds, task)


def is_worth_a_line(count: int) -> bool:
    """Tell whether the `count`-th time of the same complaint is logged: the first, second, fourth, eighth and so on.

    What a peer can make happen as often as it likes must not fill a log.
    """
    return count & (count - 1) == 0


class Afterword:
    """Small messages that no task can wait for, such as those of a task that is being cancelled.

    They cost a task only while there are some.
    """

    __slots__ = ("_stream", "_task", "_waiting")

    def __init__(self, stream: WebTransportSendStream) -> None:
        self._stream = stream
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[bytes] = deque()

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """Return the task that writes, if there is one."""
        return [] if self._task is None else [self._task]

    def send(self, message: bytes) -> None:
        """Send a message when there is room. Losing it must do no harm: one too many drops the oldest."""
        if not self._stream.can_write:
            return
        if len(self._waiting) >= _MAX_AFTERWORDS:
            self._waiting.popleft()
            _logger.debug("%r takes nothing: a late message was dropped", self._stream)
        self._waiting.append(message)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._stream.write(data=self._waiting[0])
                self._waiting.popleft()
        except WebTransportError as error:
            _logger.debug("late messages for %r were dropped: %s", self._stream, error)
        finally:
            self._waiting.clear()
            self._task = None
