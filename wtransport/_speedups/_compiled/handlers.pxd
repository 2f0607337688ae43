"""Giving events to handlers, for what emits the events of streams."""

from .datagrams cimport DatagramTap
from .handler_tasks cimport HandlerTasks


cdef class Listener:
    cdef public object handler
    cdef public object order
    cdef public bint is_once
    cdef public bint is_waiter
    cdef public bint is_active


cdef class HandlerCaller(HandlerTasks):
    cdef dict _routes
    cdef type _event_class
    cdef object _type_class
    cdef public object history
    cdef public object queue
    cdef public bint is_closed

    cdef bint emit_what_is_there(self, event_type, DatagramTap inbox, key, dict shared, source) except -1
    # Where an event of a type goes; None when it goes nowhere, or there is more to do than to make, keep and deliver it.
    cdef tuple plain_route(self, event_type)
    cdef int emit_on(self, tuple route, event_type, data, source) except -1
    cdef object _event(self, event_type, data, source)
    # The task of what is left to be awaited; None if there is nothing, or it began at once.
    cdef object call(self, event, tuple route, bint at_once=*)
