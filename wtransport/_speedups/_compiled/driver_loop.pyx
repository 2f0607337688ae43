# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""What the driver of a connection does for every packet; the specification is the twin in ``_pure/driver_loop.py``."""

from __future__ import annotations

from libc.math cimport INFINITY

from .calls cimport call_with
from .clock cimport is_system_clock, read_clock
from .deadline_timer cimport DeadlineTimer
from .port_events cimport PortEvents
from .slots cimport slot_offset, slot_value

import contextvars

from .._constants import TIMER_GRANULARITY
from .._pure.driver_loop import _ignore

cdef double _GRANULARITY = TIMER_GRANULARITY
cdef tuple _CONTEXT = ("context",)


# What every packet asks of an engine, by name only of one that is not made of our events.

cdef inline bint is_closed(object engine) except -1:
    return (<PortEvents> engine).is_closed if isinstance(engine, PortEvents) else engine.is_closed


cdef inline object datagrams_to_send(object engine, double now):
    return (
        (<PortEvents> engine).datagrams_to_send(now)
        if isinstance(engine, PortEvents)
        else engine.datagrams_to_send(now)
    )


cdef inline object next_deadline(object engine):
    cdef object deadlines = (<PortEvents> engine).deadlines if isinstance(engine, PortEvents) else engine.deadlines
    return deadlines.next()


# And what it asks of its outlet: where that is in objects of the class that was seen last.

cdef object _outlet_class = None
cdef Py_ssize_t _paused_at = 0
cdef Py_ssize_t _send_one_at = 0


cdef int learn_outlet(object outlet) except -1:
    global _outlet_class, _paused_at, _send_one_at
    if type(outlet) is not _outlet_class:
        _outlet_class = None  # until both are known
        _paused_at = slot_offset(type(outlet), "is_paused")
        _send_one_at = slot_offset(type(outlet), "send_one")
        _outlet_class = type(outlet)
    return 0


cdef inline bint is_paused(object outlet) except -1:
    learn_outlet(outlet)
    return slot_value(outlet, _paused_at, "is_paused")


cdef inline object send_one(object outlet, object data, object address):
    learn_outlet(outlet)
    return slot_value(outlet, _send_one_at, "send_one")(data, address)


cdef class DriverLoop:
    """DriverLoop(*, port, loop, clock)\n--\n\nTakes datagrams, delivers events, and sends at the end of the turn."""

    def __init__(self, *, port, loop, clock):
        self.port = port
        self._loop = loop
        self._clock = clock
        self.is_monotonic = is_system_clock(clock)
        self._context = contextvars.copy_context()
        self._timer = DeadlineTimer(loop=loop, clock=clock, callback=self._on_timeout, context=self._context)
        self._outlet = self._straight_to = None
        self._deliver = _ignore

    @property
    def _engine(self):
        return self.engine

    @_engine.setter
    def _engine(self, engine):
        self.engine = engine
        if engine is None:
            self.events = self.has_work = self.step = self.receive = self.call_soon = self.own_flush = None
        else:
            self.events = engine.events
            self.has_work = engine.has_work
            self.step = engine.step
            self.receive = engine.receive_datagrams
            self.call_soon = self._loop.call_soon
            self.own_flush = self._flush

    def flush_soon(self):
        """Send what there is to send at the end of this turn of the loop; asking again before that costs nothing."""
        self.ask_flush()

    def flush_promptly(self, bint is_whole=False):
        """Like `flush_soon`, but send at once what the program gives first in a turn; see the twin."""
        if not self.is_prompt:
            self.is_prompt = True
            if not self.had_more:
                self.send_at_once(is_whole)
        else:
            self.has_more = True
            if self._delivering and not self.had_more:
                self.sends_after_events = True
        self.ask_flush()

    def flush_at_once(self):
        """Like `flush_soon`, but send what there is already now; see the twin."""
        self.ask_flush()
        self.send_at_once(False)

    def datagrams_received(self, datagrams):
        """Take a batch of datagrams from a socket of the connection's own."""
        if self._straight_to is not None and datagrams[0][1] is self._straight_to:
            self.take_batch(datagrams, read_clock(self._clock, self.is_monotonic), INFINITY)
        else:
            self._receive_others(datagrams)

    def receive_all(self, datagrams, double now):
        """Take datagrams with their senders' addresses; after one or several calls `end_batch` must follow."""
        self.receive_batch(datagrams, now)

    def take(self, datagrams, double now, until=None):
        """Take a whole batch: `receive_all` and `end_batch` in one, as most datagrams come alone."""
        return self.take_batch(datagrams, now, INFINITY if until is None else until)

    def end_batch(self, until=None):
        """Deliver the events of the datagrams received, then schedule the flush; see the twin."""
        self.finish_batch(INFINITY if until is None else until)
        return self._has_backlog and self.engine is not None

    def _flush(self):
        """Send what there is to send, deliver what that gave, and set the timer."""
        cdef object engine = self.engine, outlet = self._outlet
        if not self._flush_scheduled:
            return  # somebody could not wait for the end of the turn
        self._flush_scheduled = self._flush_held = self.is_prompt = False
        self.had_more = self.has_more
        self.has_more = False
        if engine is None or outlet is None:
            return
        if is_paused(outlet) and not is_closed(engine):
            outlet.call_when_resumed(self.flush_soon)
            return
        try:
            self.send_all(engine, outlet)
        except Exception as exc:
            self._fail(exc)

    def _deliver_events(self, until=None):
        """Deliver all events; or some until it is late, as a packet can ask for more than a turn's work."""
        self.deliver(INFINITY if until is None else until)

    # What a subclass has to say.

    def _fail(self, exc):
        raise NotImplementedError

    def _report(self, event, exc):
        raise NotImplementedError

    def _send(self, datagrams, outlet):
        raise NotImplementedError

    def _look_ahead(self, engine, now):
        raise NotImplementedError

    def _on_timeout(self, now):
        raise NotImplementedError

    def _receive_others(self, datagrams):
        raise NotImplementedError

    # In C.

    cdef bint take_batch(self, object datagrams, double now, double until) except -1:
        self.receive_batch(datagrams, now)
        self.finish_batch(until)
        return self._has_backlog and self.engine is not None

    cdef int receive_batch(self, object datagrams, double now) except -1:
        cdef object engine = self.engine
        if engine is None:
            return 0
        if not self._flush_scheduled:
            # Held back until the events are out, so that answers written by woken tasks share the flush.
            self._flush_scheduled = self._flush_held = True
        try:
            self.receive(datagrams, now)
        except Exception as exc:
            self._fail(exc)
        return 0

    cdef int finish_batch(self, double until) except -1:
        cdef bint goes_on = self._has_backlog
        try:
            self.deliver(until)
        except Exception as exc:
            self._fail(exc)
        finally:
            if self._flush_held:
                self._flush_held = False
                self.schedule()
            elif goes_on:
                self.ask_flush()
        return 0

    cdef int deliver(self, double until) except -1:
        cdef object events = self.events, has_work = self.has_work, step = self.step, deliver = self._deliver, event
        if self.engine is None or self._delivering:
            return 0
        self._has_backlog = False
        self._delivering = True
        try:
            while True:
                if events:
                    event = events.popleft()
                    try:
                        deliver(event)
                    except Exception as exc:
                        self._report(event, exc)
                elif not has_work() or not step():
                    break
                if until != INFINITY and read_clock(self._clock, self.is_monotonic) >= until:
                    self._has_backlog = True
                    break
        finally:
            self._delivering = False
        if self.sends_after_events:
            self.sends_after_events = False
            self.send_at_once(False)
        return 0

    cdef int send_all(self, object engine, object outlet) except -1:
        """Do what a flush is for."""
        cdef object events = self.events, has_work = self.has_work
        cdef double at = read_clock(self._clock, self.is_monotonic)
        self.send_due(engine, outlet, at)
        if not self._has_backlog and not self._delivering and (events or has_work()):
            self.deliver(INFINITY)
        if not self._ready_reported or is_closed(engine):
            self._look_ahead(engine, at)
        elif self._timer.fires_at > at + _GRANULARITY or self.port.is_paced:
            # A deadline takes a while to find; where the timer fires soon, it is looked at then.
            self._timer.move(next_deadline(engine))
        return 0

    cdef int send_due(self, object engine, object outlet, double now) except -1:
        cdef object datagrams = datagrams_to_send(engine, now)
        cdef tuple only
        if datagrams:
            only = (<list> datagrams)[0] if type(datagrams) is list and len(<list> datagrams) == 1 else None
            if only is not None and only[1] is self._straight_to:
                send_one(outlet, only[0], self._straight_to)
            else:
                self._send(datagrams, outlet)
        return 0

    cdef int send_at_once(self, bint is_whole) except -1:
        cdef object engine = self.engine, outlet = self._outlet
        if engine is None or outlet is None or not self._ready_reported:
            return 0
        if is_paused(outlet) or is_closed(engine):
            return 0
        if self._delivering and (not is_whole or self.events or self.has_work()):
            self.sends_after_events = True
            return 0
        try:
            self.send_due(engine, outlet, read_clock(self._clock, self.is_monotonic))
        except Exception as exc:
            self._fail(exc)
        return 0

    cdef int ask_flush(self) except -1:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.schedule()
        return 0

    cdef int schedule(self) except -1:
        if self.call_soon is None:
            call_with(self._loop.call_soon, self._flush, _CONTEXT, self._context)
        else:
            call_with(self.call_soon, self.own_flush, _CONTEXT, self._context)
        return 0
