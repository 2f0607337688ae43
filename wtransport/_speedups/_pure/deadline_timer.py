"""One lazy timer, whose deadline moves with almost every packet."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from math import inf

from .._constants import TIMER_GRANULARITY, TIMER_SLACK

__all__ = ["DeadlineTimer"]


def _ignore(_now: float) -> None:
    """Stand in for the callback of a timer that is closed."""


class DeadlineTimer:
    """Calls back once when a deadline has come; the deadline may move at any time.

    Almost every packet moves the deadline, mostly later. So an armed handle is left alone as long as it fires no later
    than needed, and the deadline is looked at again when it fires. Deadlines of pacing are microseconds ahead and often
    past when they are set: those fire in the next turn.

    Args:
        loop: the event loop, of which `call_later` is used.
        clock: its clock, in seconds.
        callback: gets the time of the time-out, which is at or after the deadline.
        context: what the callback runs in; None takes that of whoever sets the deadline.
    """

    __slots__ = (
        "_callback",
        "_clock",
        "_context",
        "_handle",
        "_handled_at",
        "_loop",
        "_shortest_wait",
        "deadline",
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
        """Make a timer without a deadline."""
        self._loop = loop
        self._context = context
        self._clock = clock
        self._callback = callback
        self.deadline: float | None = None
        """The deadline that was set last."""
        self._handle: asyncio.TimerHandle | None = None
        self.fires_at = inf
        """When the handle fires; infinity while there is none."""
        self._handled_at = -TIMER_GRANULARITY
        # uvloop rounds to whole milliseconds: half of one would be none at all, and then be asked for again and again.
        self._shortest_wait = 0.0 if isinstance(loop, asyncio.BaseEventLoop) else TIMER_GRANULARITY

    def set(self, deadline: float | None, now: float) -> None:
        """Move the deadline; None, or infinity, means that nothing is due. `now` was the time not long ago."""
        if deadline is None or deadline == inf:
            self.deadline = None
            return
        self.deadline = deadline
        if deadline <= self._handled_at:
            # Its time-out was handled and it has not moved: asking again at once would be a busy loop.
            self.deadline = deadline = self._handled_at + TIMER_GRANULARITY
        if self._handle is not None:
            if self.fires_at <= deadline:
                return
            self._handle.cancel()
        self._arm(deadline, self._clock())

    def cancel(self) -> None:
        """Forget the deadline and free the handle."""
        self.deadline = None
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
        deadline = self.deadline
        if deadline is None:
            return
        now = self._clock()
        if now + TIMER_SLACK < deadline:
            self._arm(deadline, now)
            return
        self.deadline = None
        self._handled_at = max(now, deadline)
        self._callback(self._handled_at)
