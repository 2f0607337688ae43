"""What the driver of a connection does for every packet; see the twin."""

from .deadline_timer cimport DeadlineTimer


cdef class DriverLoop:
    cdef public object port
    cdef public object _loop
    cdef readonly object _clock
    cdef public object _context
    cdef object engine
    # What every packet asks of the engine and of the loop, looked up once; None while there is no engine.
    cdef object events, has_work, step, receive, call_soon, own_flush
    cdef public object _deliver
    cdef public object _outlet
    cdef public object _straight_to
    cdef readonly DeadlineTimer _timer
    cdef bint is_monotonic  # the clock
    cdef public bint _flush_scheduled
    cdef public bint _flush_held
    cdef public bint _has_backlog
    cdef public bint _delivering
    cdef public bint _ready_reported
    cdef bint is_prompt  # this turn began with something that was sent at once
    cdef bint has_more  # and there was more
    cdef bint had_more  # so it was in the turn before
    cdef bint sends_after_events  # a handler gave something that goes at once

    cdef bint take_batch(self, object datagrams, double now, double until) except -1
    cdef int receive_batch(self, object datagrams, double now) except -1
    cdef int finish_batch(self, double until) except -1
    cdef int deliver(self, double until) except -1
    cdef int send_all(self, object engine, object outlet) except -1
    cdef int send_due(self, object engine, object outlet, double now) except -1
    cdef int send_at_once(self, bint is_whole) except -1
    cdef int ask_flush(self) except -1
    cdef int schedule(self) except -1
