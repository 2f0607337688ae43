"""Closing many things at a time, so that a cancelled closing still closes all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from ..utils import get_logger

__all__ = ["close_each"]

_logger = get_logger(name=__name__)


async def close_each(closings: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Run coroutines that close something, all at a time, and return when all are done; errors are logged.

    Cancelling it cancels them, each after its first step at the earliest: what has begun to close takes a cancellation
    as a sign to hurry, but what has not begun would stay open.
    """
    closings = list(closings)
    if len(closings) == 1:
        try:
            await closings[0]
        except Exception as failure:  # noqa: BLE001 - logged there
            _log(failure)
        return
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(closing) for closing in closings]
    if not tasks:
        return
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
    finally:
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                _log(error)


def _log(error: BaseException) -> None:
    _logger.error("closing failed: %s", error, exc_info=error)
