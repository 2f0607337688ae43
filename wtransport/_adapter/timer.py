"""The clock and the one lazy timer of a connection."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable
from math import inf

TIMER_GRANULARITY = 0.001
"""Seconds between two time-outs for one and the same deadline; QUIC's own granularity (RFC 9002, 6.1.2)."""

TIMER_SLACK = 0.000_05
"""Seconds by which a timer may fire early and still count as due: rounding of deadlines, not lateness."""


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return the monotonic clock for QUIC on this loop, in seconds.

    Loops of asyncio read the system's monotonic clock in `time()`. Others (uvloop) return the time at which the current
    turn began, in whole milliseconds: too coarse to measure a round trip on a local network.
    """
    return loop.time if isinstance(loop, asyncio.BaseEventLoop) else time.monotonic


def _ignore(_now: float) -> None:
    """Stand in for the callback of a timer that is closed."""


class DeadlineTimer:
    """Calls back once when a deadline has come; the deadline may move at any time.

    Almost every packet moves the deadline, mostly later. So an armed handle is left alone as long as it fires no later
    than needed, and the deadline is looked at again when it fires. Deadlines of pacing are microseconds ahead and often
    past when they are set: those fire in the next turn.
    """

    __slots__ = (
        "_callback",
        "_clock",
        "_context",
        "_deadline",
        "_handle",
        "_handled_at",
        "_loop",
        "_shortest_wait",
        "fires_at",
    )

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        callback: Callable[[float], None],
        context: contextvars.Context | None = None,
    ) -> None:
        """Make a timer whose `callback` gets the time of the time-out, which is at or after the deadline."""
        self._loop = loop
        self._context = context
        self._clock = clock
        self._callback = callback
        self._deadline: float | None = None
        self._handle: asyncio.TimerHandle | None = None
        self.fires_at = inf
        """When the handle fires; infinity while there is none."""
        self._handled_at = -TIMER_GRANULARITY
        # uvloop rounds to whole milliseconds: half of one would be none at all, and then be asked for again and again.
        self._shortest_wait = 0.0 if isinstance(loop, asyncio.BaseEventLoop) else TIMER_GRANULARITY

    @property
    def deadline(self) -> float | None:
        """Return the deadline that was set last."""
        return self._deadline

    def set(self, deadline: float | None, now: float) -> None:
        """Move the deadline; None means that nothing is due. `now` was the time not long ago."""
        self._deadline = deadline
        if deadline is None:
            return
        if deadline <= self._handled_at:
            # Its time-out was handled and it has not moved: asking again at once would be a busy loop.
            self._deadline = deadline = self._handled_at + TIMER_GRANULARITY
        if self._handle is not None:
            if self.fires_at <= deadline:
                return
            self._handle.cancel()
        self._arm(deadline, self._clock())

    def cancel(self) -> None:
        """Forget the deadline and free the handle."""
        self._deadline = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self.fires_at = inf

    def close(self) -> None:
        """Cancel, for good, and let go of who was called back."""
        self.cancel()
        self._callback = _ignore

    def _arm(self, deadline: float, now: float) -> None:
        delay = deadline - now
        delay = 0.0 if delay <= TIMER_SLACK else max(delay, self._shortest_wait)
        self.fires_at = now + delay
        self._handle = self._loop.call_later(delay, self._fire, context=self._context)

    def _fire(self) -> None:
        self._handle = None
        self.fires_at = inf
        deadline = self._deadline
        if deadline is None:
            return
        now = self._clock()
        if now + TIMER_SLACK < deadline:
            self._arm(deadline, now)
            return
        self._deadline = None
        self._handled_at = max(now, deadline)
        self._callback(self._handled_at)
