"""The clock of a connection, beside its timer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from .._speedups import DeadlineTimer

__all__ = ["DeadlineTimer", "clock_of"]


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return the monotonic clock for QUIC on this loop, in seconds.

    Loops of asyncio read the system's monotonic clock in `time()`, unless they have a time of their own. Others
    (uvloop) return the time at which the current turn began, in whole milliseconds: too coarse to measure a round trip
    on a local network.
    """
    has_own_time = isinstance(loop, asyncio.BaseEventLoop) and type(loop).time is not asyncio.BaseEventLoop.time
    return loop.time if has_own_time else time.monotonic
