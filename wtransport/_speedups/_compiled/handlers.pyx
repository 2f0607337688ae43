# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""Giving events to the handlers of one emitter; the specification is the twin in ``_pure/handlers.py``."""

from __future__ import annotations

from cpython.object cimport PyObject

from .datagrams cimport DatagramTap
from .handler_tasks cimport HandlerTasks
from .slots cimport EventSlots, learn_slots, new_event

from inspect import isawaitable
from time import time
from types import CoroutineType

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object mapping, object key) except? NULL

cdef object _CoroutineType = CoroutineType

cdef EventSlots _slots
cdef object _class_of_slots = None


cdef class Listener:
    """Listener(handler, order, is_once, is_waiter)\n--\n\nOne registration of a handler, dead once `is_active` is False."""

    def __init__(self, handler, order, bint is_once, bint is_waiter):
        self.handler = handler
        self.order = order
        self.is_once = is_once
        self.is_waiter = is_waiter
        self.is_active = True


cdef class HandlerCaller(HandlerTasks):
    """HandlerCaller(routes, event_class, type_class)\n--\n\nMakes the events of one emitter, and calls what its table of routes says."""

    def __init__(self, dict routes not None, type event_class not None, type_class):
        self._routes = routes
        self._event_class = event_class
        self._type_class = type_class

    def emit(self, event_type, data, source):
        """Make an event, remember it and call its handlers; False when it is not that simple and nothing was done."""
        cdef tuple route = self.plain_route(event_type)
        if route is None:
            return False
        self.emit_on(route, event_type, data, source)
        return True

    def emit_each(self, event_type, DatagramTap inbox not None, key, dict shared not None, source):
        """Emit an event for each datagram of an inbox while anybody listens; an exception is logged."""
        cdef bint was_handing_out = inbox.is_handing_out, is_heard = True
        inbox.is_handing_out = True
        try:
            is_heard = self.emit_what_is_there(event_type, inbox, key, shared, source)
        except Exception as error:
            self._log_refusal(error, event_type)
        finally:
            inbox.is_handing_out = was_handing_out
        if not is_heard:
            inbox.leave_to_reader()

    def deliver(self, event, route=None):
        """Call the plain handlers; return the task that runs the rest, if there is a coroutine among them."""
        if route is None:
            route = self._routes.get(event.type)
            if route is None:
                route = self._route(event.type)
        return self.call(event, route)

    # What a subclass has to say.

    def _route(self, event_type):
        raise NotImplementedError

    def _remove(self, event_type, listener):
        raise NotImplementedError

    def _log_failure(self, error, listener, event):
        raise NotImplementedError

    def _log_refusal(self, error, event_type):
        raise NotImplementedError

    def _begin_history(self):
        raise NotImplementedError

    def _postpones(self, event):
        raise NotImplementedError

    cdef bint emit_what_is_there(self, event_type, DatagramTap inbox, key, dict shared, source) except -1:
        """Emit an event for each datagram; False as soon as nobody listens."""
        cdef PyObject* found
        cdef tuple route
        cdef dict data
        while True:
            # Looked up each time: a handler can have been the last one.
            found = PyDict_GetItemWithError(self._routes, event_type)
            route = self._route(event_type) if found == NULL else <tuple> <object> found
            if not route:
                return False
            item = inbox.next_one()
            if item is None:
                return True
            if self.is_closed:
                continue
            data = shared.copy()
            data[key] = item
            event = self._event(event_type, data, source)
            if self.history is None:
                self._begin_history()
            self.history.append(event)
            if self.queue is None or not self._postpones(event):
                self.call(event, route, True)

    cdef tuple plain_route(self, event_type):
        cdef PyObject* found
        if self.history is None or self.queue is not None or self.is_closed or type(event_type) is not self._type_class:
            return None
        found = PyDict_GetItemWithError(self._routes, event_type)
        return None if found == NULL else <tuple> <object> found or None

    cdef int emit_on(self, tuple route, event_type, data, source) except -1:
        event = self._event(event_type, data, source)
        self.history.append(event)
        self.call(event, route)
        return 0

    cdef object _event(self, event_type, data, source):
        global _class_of_slots
        if self._event_class is not _class_of_slots:  # nearly always there is one class
            learn_slots(&_slots, self._event_class)
            _class_of_slots = self._event_class
        return new_event(&_slots, self._event_class, event_type, time(), data, source)

    cdef object call(self, event, tuple route, bint at_once=False):
        cdef Listener listener
        for listener in route:
            if not listener.is_active:
                continue
            if listener.is_once:
                self._remove(event.type, listener)
            try:
                result = listener.handler(event)
            except Exception as error:
                self._log_failure(error, listener, event)
                continue
            if result is not None and (type(result) is _CoroutineType or isawaitable(result)):
                return self.go_on(result, listener, route, event, at_once)
        return None
