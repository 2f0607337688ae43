"""Racing the addresses of a host: each gets a head start on the next, and the first that works wins (RFC 8305, 5)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["race"]

T = TypeVar("T")


async def race(attempts: Iterable[Callable[[], Coroutine[Any, Any, T]]], *, delay: float) -> T:
    """Begin attempts one after the other until one succeeds, and return its result.

    The next one begins when those that run have not succeeded for `delay` seconds, or at once when one fails. When the
    race is over, also by cancellation, the attempts that still run are cancelled and waited for. An attempt that
    succeeds at the very moment when another one does may have a result that nobody takes; whoever starts it knows.

    Args:
        attempts: what makes the coroutine of each attempt, in the order of preference; at least one.
        delay: seconds of head start.

    Raises:
        ExceptionGroup: all failed; the errors are in the order of the failures.
        ValueError: there are no attempts.
    """
    waiting = deque(attempts)
    if not waiting:
        raise ValueError("a race needs at least one attempt")
    loop = asyncio.get_running_loop()
    running: list[asyncio.Task[T]] = []
    failures: list[Exception] = []
    try:
        while True:
            if waiting:
                running.append(loop.create_task(waiting.popleft()()))
            await asyncio.wait(running, timeout=delay if waiting else None, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:
                running.remove(task)
                try:
                    return task.result()
                except Exception as error:  # noqa: BLE001 - raised below when all failed
                    failures.append(error)
            if not running and not waiting:
                raise ExceptionGroup("every attempt failed", failures)
    finally:
        await _end(running)


async def _end(tasks: list[asyncio.Task[T]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it
