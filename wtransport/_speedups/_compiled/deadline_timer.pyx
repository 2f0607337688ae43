# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""One lazy timer, whose deadline moves with almost every packet; the specification is the twin."""

from __future__ import annotations

cimport cython
from libc.math cimport INFINITY, fmax, isinf

from .calls cimport call_later_with
from .clock cimport is_system_clock, read_clock

import asyncio

from .._constants import TIMER_GRANULARITY, TIMER_SLACK
from .._pure.deadline_timer import _ignore

cdef double _GRANULARITY = TIMER_GRANULARITY
cdef double _SLACK = TIMER_SLACK
cdef tuple _CONTEXT = ("context",)


@cython.final
cdef class DeadlineTimer:
    """DeadlineTimer(*, loop, clock, callback, context=None)\n--\n\nCalls back once when a deadline has come."""

    def __init__(self, *, loop, clock, callback, context=None):
        self.loop = loop
        self.clock = clock
        self.is_monotonic = is_system_clock(clock)
        self.callback = callback
        self.context = context
        self.handle = None
        self.due = self.fires_at = INFINITY
        self.handled_at = -_GRANULARITY
        self.shortest_wait = 0.0 if isinstance(loop, asyncio.BaseEventLoop) else _GRANULARITY

    @property
    def deadline(self):
        """The deadline that was set last."""
        return None if isinf(self.due) else self.due

    def set(self, deadline, double now):
        """Move the deadline; None, or infinity, means that nothing is due. `now` was the time not long ago."""
        self.move(deadline)

    def cancel(self):
        """Forget the deadline and free the handle."""
        self.due = INFINITY
        if self.handle is not None:
            self.handle.cancel()
            self.handle = None
            self.fires_at = INFINITY

    def close(self):
        """Cancel, for good, and let go of who was called back."""
        self.cancel()
        self.callback = _ignore

    def _fire(self):
        cdef double now
        self.handle = None
        self.fires_at = INFINITY
        if isinf(self.due):
            return
        now = read_clock(self.clock, self.is_monotonic)
        if now + _SLACK < self.due:
            self.arm(now)
            return
        self.handled_at = fmax(now, self.due)
        self.due = INFINITY
        self.callback(self.handled_at)

    cdef int move(self, object deadline) except -1:
        if deadline is None:
            self.due = INFINITY
            return 0
        self.due = deadline
        if isinf(self.due):
            return 0
        if self.due <= self.handled_at:
            # Its time-out was handled and it has not moved: asking again at once would be a busy loop.
            self.due = self.handled_at + _GRANULARITY
        if self.handle is not None:
            if self.fires_at <= self.due:
                return 0
            self.handle.cancel()
        self.arm(read_clock(self.clock, self.is_monotonic))
        return 0

    cdef int arm(self, double now) except -1:
        cdef double delay = self.due - now
        delay = 0.0 if delay <= _SLACK else fmax(delay, self.shortest_wait)
        self.fires_at = now + delay
        self.handle = call_later_with(self.loop.call_later, delay, self._fire, _CONTEXT, self.context)
        return 0
