"""Work that several callers wait for, each of whom may leave without disturbing the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

__all__ = ["SharedTask"]

T = TypeVar("T")


class SharedTask(Generic[T]):
    """A coroutine in a task of its own: it goes on while somebody waits for it, and is cancelled with the last waiter.

    The coroutine should return its failures: an exception that nobody is left to see would only reach the log.
    """

    __slots__ = ("_is_abandoned", "_task", "_waiters")

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        """Begin the work."""
        self._task = asyncio.get_running_loop().create_task(work)
        self._waiters = 0
        self._is_abandoned = False

    @property
    def is_over(self) -> bool:
        """Tell whether there is nothing left to wait for: it is done, or was given up."""
        return self._is_abandoned or self._task.done()

    @property
    def task(self) -> asyncio.Task[T]:
        """Return the task, for who wants to cancel it whoever waits."""
        return self._task

    async def wait(self) -> T | None:
        """Return the result; None when the work was cancelled by somebody else.

        A cancelled caller who was the last one returns only after the work has ended as well.
        """
        task = self._task
        self._waiters += 1
        try:
            await asyncio.wait((task,))
        finally:
            self._waiters -= 1
            if not self._waiters and not task.done():
                self._is_abandoned = True
                task.cancel()
                await asyncio.wait((task,))
        return None if task.cancelled() else task.result()
