"""Waiting for the engine: one future and at most one timer per sleeping task, both gone when the task wakes.

The handles sleep only when there is nothing to do at once, so none of this is on the path of an operation that can
finish. Cancelling a sleeper leaves nothing behind; a wake-up that it can no longer use goes to the next in line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from .. import exceptions

__all__ = ["WaitLine", "sleep_on", "timed_out", "wake"]

T = TypeVar("T")


def wake(future: asyncio.Future[bool] | None) -> None:
    """Wake the task that sleeps on `future`, if there is one and it still sleeps."""
    if future is not None and not future.done():
        future.set_result(True)


def _expire(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)


async def sleep_on(future: asyncio.Future[bool], seconds: float | None) -> bool:
    """Sleep until `future` is woken (True) or so many seconds have passed (False); None sleeps without end."""
    if seconds is None:
        return await future
    timer = future.get_loop().call_later(seconds, _expire, future)
    try:
        return await future
    finally:
        timer.cancel()


def timed_out(operation: str, timeout: float | None, **details: Any) -> exceptions.TimeoutError:
    """Return the error for an `operation` that did not finish within `timeout` seconds."""
    return exceptions.TimeoutError(
        f"{operation} timed out after {timeout} s", timeout_duration=timeout, operation=operation, details=details
    )


class _Place:
    """A place in a line; its future changes with every nap, the place does not."""

    __slots__ = ("future", "subject")

    def __init__(self, subject: Any) -> None:
        self.future: asyncio.Future[bool] | None = None
        self.subject = subject


class WaitLine(list[_Place]):
    """Tasks that wait for the same scarce thing, served in the order in which they came: a list of their places.

    A newcomer that finds the line empty tries by itself first; one that does not must join it with `until`, or it
    would overtake the others.
    """

    # A list and not an object with one: a session has seven of these, and most stay empty.
    __slots__ = ()

    @property
    def futures(self) -> list[asyncio.Future[bool]]:
        """Return the futures that the waiting tasks sleep on, first in line first."""
        return [place.future for place in self if place.future is not None]

    @property
    def subjects(self) -> list[Any]:
        """Return what the waiting tasks said they wait with, first in line first."""
        return [place.subject for place in self]

    def wake_first(self) -> None:
        """Let the first in line try again."""
        if self:
            wake(self[0].future)

    def wake_all(self) -> None:
        """Let everybody try again, in order: what they wait for is over."""
        for place in self:
            wake(place.future)

    async def until(
        self,
        attempt: Callable[[], T | None],
        *,
        seconds: float | None,
        made_progress: Callable[[], bool] | None = None,
        subject: Any = None,
    ) -> T | None:
        """Join the line and sleep until `attempt` gives something.

        Args:
            attempt: called in this task when it is woken, and a last time when the time is over; None means not yet.
            seconds: how long to wait; None waits without end.
            made_progress: asked before giving up and after a fruitless attempt; True starts the time anew.
            subject: what `subjects` shows of this task.

        Returns:
            What `attempt` returned, or None when the time is over.

        Raises:
            Exception: whatever `attempt` raises.
        """
        loop = asyncio.get_running_loop()
        deadline = None if seconds is None else loop.time() + seconds
        place = _Place(subject)
        self.append(place)
        try:
            while True:
                place.future = loop.create_future()
                woken = await sleep_on(place.future, None if deadline is None else deadline - loop.time())
                result = attempt() if woken or place is self[0] else None
                if result is not None:
                    return result
                if seconds is not None and made_progress is not None and made_progress():
                    deadline = loop.time() + seconds
                elif not woken:
                    return None
        finally:
            self.remove(place)
            self.wake_first()
