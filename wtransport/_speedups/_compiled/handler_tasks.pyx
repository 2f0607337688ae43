# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""Running handlers that are coroutines; the specification is the twin in ``_pure/handler_tasks.py``."""

from __future__ import annotations

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

from .spare_task cimport SPARE_GIVEN, SPARE_OVER, SpareTask

from asyncio import CancelledError, get_running_loop
from types import CoroutineType

from .._constants import EVENTS_WITHOUT_SPARE

cdef extern from "Python.h":
    # 1: it yielded, 0: it returned, -1: it raised.
    int PyIter_Send(object coroutine, object value, PyObject** result) except -1

cdef int _EVENTS_WITHOUT_SPARE = EVENTS_WITHOUT_SPARE
cdef object _CoroutineType = CoroutineType
cdef object _OVER = object()


cdef class HandlerTasks:
    """HandlerTasks()\n--\n\nThe tasks in which coroutine handlers of one emitter run."""

    def __cinit__(self):
        self.handling = {}

    def release_spare_task(self):
        """Let go of the task that stands ready, if there is one: no event will come any more."""
        cdef SpareTask spare = self._spare
        self._spare = None
        self._until_spare = -1
        if spare is not None:
            spare.let_go()

    # What a subclass has to say.

    def _note_failure(self, error, listener, event):
        raise NotImplementedError

    def _run(self, listeners, event):
        raise NotImplementedError

    cdef object go_on(self, awaitable, listener, tuple route, event, bint at_once):
        cdef HandlerRun run = HandlerRun.__new__(HandlerRun)
        run.caller = self
        run.coroutine = awaitable if type(awaitable) is _CoroutineType else _waiting_for(awaitable)
        run.listener = listener
        run.rest = route[route.index(listener) + 1:]
        run.event = event
        if at_once and self._spare is not None and self._begin_at_once(run):
            return None
        self._unbegun = run
        try:
            loop = get_running_loop()
            task = loop.create_task(run)
        except RuntimeError:
            self._unbegun = None
            run.coroutine.close()
            raise RuntimeError(f"handler {listener.handler!r} is a coroutine: it needs a running event loop") from None
        if run.caller is not None:  # as it is where tasks begin at once
            self.handling[run] = task
        if at_once:
            self._consider_spare(loop)
        return task

    cdef bint _begin_at_once(self, run) except -1:
        cdef SpareTask spare = self._spare
        cdef bint has_begun
        if self._unbegun is not None:  # it was there before this one
            return False
        has_begun = spare.begin_with(run)
        if self._spare is not spare:  # released by a handler
            spare.let_go()
        elif spare.state >= SPARE_GIVEN:
            self._spare = None
            self._until_spare = -1 if has_begun and spare.state == SPARE_OVER else _EVENTS_WITHOUT_SPARE
        if has_begun and (<HandlerRun> run).caller is not None:
            self.handling[run] = spare.task
        return has_begun

    cdef int _consider_spare(self, loop) except -1:
        if self._until_spare > 0:
            self._until_spare -= 1
        elif self._until_spare == 0 and self._spare is None:
            if SpareTask.is_possible(loop):
                self._spare = SpareTask(loop)
            else:
                self._until_spare = -1
        return 0


async def _waiting_for(awaitable):
    await awaitable


@cython.final
@cython.freelist(8)
@cython.internal
cdef class HandlerRun:
    """The coroutine of a task: awaits what a handler left, then runs the handlers after it.

    Between the task and a handler's own coroutine there is no other. What tools ask of a coroutine (its name, code and
    frame) is that of the handler's.
    """

    cdef HandlerTasks caller  # None once it is over
    cdef object coroutine
    cdef object listener  # None once its coroutine is over
    cdef tuple rest
    cdef object event

    def __getattr__(self, name):
        return getattr(self.coroutine, name)

    def __await__(self):
        return self

    def __next__(self):
        result = self.advance(None)
        if result is _OVER:
            raise StopIteration  # here it costs nothing
        return result

    def send(self, value):
        """Go on to the next thing to wait for."""
        result = self.advance(value)
        if result is _OVER:
            raise StopIteration
        return result

    def throw(self, error, value=None, traceback=None):
        """Raise an exception where the handler waits, and go on to the next thing to wait for."""
        if value is not None or traceback is not None:
            error = (error() if value is None else value).with_traceback(traceback)
        self.begin()
        try:
            return self.coroutine.throw(error)
        except StopIteration:
            pass
        except BaseException as raised:
            self.failed(raised)
        result = self.go_on()
        if result is _OVER:
            raise StopIteration
        return result

    def close(self):
        """Give up the handler and those after it."""
        self.begin()
        try:
            self.coroutine.close()
        finally:
            self.leave()

    cdef object advance(self, value):
        cdef PyObject* result = NULL
        cdef int state = 0
        if self.caller is None:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self.begin()
        try:
            state = PyIter_Send(self.coroutine, value, &result)
        except BaseException as error:
            self.failed(error)
        if state == 1:
            value = <object> result
            Py_DECREF(value)
            return value
        if result != NULL:
            Py_DECREF(<object> result)
        return self.go_on()

    cdef int begin(self) except -1:
        if self.caller is not None and self.caller._unbegun is self:
            self.caller._unbegun = None
        return 0

    cdef int failed(self, error) except -1:
        """Have the end of a handler noted; what does not end it alone is raised again."""
        try:
            if self.listener is None or not isinstance(error, (Exception, CancelledError)):
                raise error
            self.caller._note_failure(error, self.listener, self.event)
        except BaseException:
            self.leave()
            raise
        return 0

    cdef object go_on(self):
        """Begin with the handlers that are left, after the one that is over; `_OVER` when there are none."""
        if not self.rest:
            self.leave()
            return _OVER
        self.coroutine = self.caller._run(self.rest, self.event)
        self.listener = None
        self.rest = None
        return self.advance(None)

    cdef int leave(self) except -1:
        # By itself: a callback of the task would be a turn of the loop more for every event.
        cdef HandlerTasks caller = self.caller
        if caller is not None:
            self.caller = None
            caller.handling.pop(self, None)
        return 0
