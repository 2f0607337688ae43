"""Giving events to handlers, for what emits the events of streams."""

from .spare_task cimport SpareTask


cdef class Listener:
    cdef public object handler
    cdef public object order
    cdef public bint is_once
    cdef public bint is_waiter
    cdef public bint is_active


cdef class HandlerCaller:
    cdef dict _routes
    cdef type _event_class
    cdef object _type_class
    cdef public object history
    cdef public object queue
    cdef public dict handling
    cdef public bint is_closed
    cdef SpareTask _spare
    cdef int _until_spare  # events without one before another is made; below 0 there are none any more
    cdef object _unbegun  # the last run of handlers in a task, unless it has begun

    # Where an event of a type goes; None when it goes nowhere, or there is more to do than to make, keep and deliver it.
    cdef tuple plain_route(self, event_type)
    cdef int emit_on(self, tuple route, event_type, data, source) except -1
    cdef object _event(self, event_type, data, source)
    # The task of what is left to be awaited; None if there is nothing, or it began at once.
    cdef object call(self, event, tuple route, bint at_once=*)
    cdef object _go_on(self, awaitable, Listener listener, tuple route, event, bint at_once)
    cdef bint _begin_at_once(self, run) except -1
    cdef int _consider_spare(self, loop) except -1
