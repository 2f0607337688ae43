# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""A task made in advance, which begins with a coroutine at once; the specification is the twin in ``_pure/spare_task.py``."""

from __future__ import annotations

from cpython.dict cimport PyDict_Size
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_REFCNT

import asyncio
import sys
from asyncio import CancelledError, Task
from contextvars import copy_context
from weakref import getweakrefcount

cdef extern from "Python.h":
    # 1: it yielded, 0: it returned, -1: it raised.
    int PyIter_Send(object coroutine, object value, PyObject** result) except -1
    object PyObject_GenericGetDict(object it, void* context)
    unsigned long PyThread_get_thread_ident() nogil
    object PyContext_CopyCurrent()
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1

cdef object _enter_task = asyncio._enter_task
cdef object _leave_task = asyncio._leave_task
cdef object _register_task = asyncio._register_task
cdef object _unregister_task = asyncio._unregister_task
cdef object _MISSING = object()
cdef bint _UNCANCELS = sys.version_info >= (3, 13)


cdef class SpareTask:
    """SpareTask(loop)\n--\n\nA task that stands ready, and runs a coroutine up to its first wait at once instead of in a turn to come."""

    def __init__(self, loop not None):
        self._loop = loop
        self._thread = PyThread_get_thread_ident()
        self._context = copy_context()
        self.task = Task(self, loop=loop, context=self._context)
        self._name = self.task.get_name()
        self.task._log_destroy_pending = False
        _unregister_task(self.task)

    @staticmethod
    def is_possible(loop):
        """Tell whether tasks can stand ready in this loop: not where it makes them in another way, or is debugged."""
        try:
            return loop.get_task_factory() is None and not loop.get_debug()
        except NotImplementedError:
            return False

    @property
    def is_ready(self):
        return self.state == SPARE_READY

    @property
    def is_over(self):
        return self.state == SPARE_OVER

    @property
    def is_used_up(self):
        return self.state >= SPARE_GIVEN

    def begin(self, coroutine):
        """Run a coroutine up to its first wait; if there is one the task is the coroutine's, and not ready any more."""
        return self.begin_with(coroutine)

    def retire(self):
        """Let a task that is not a coroutine's end, in a turn of the loop."""
        self.let_go()

    # What asyncio asks of a coroutine.

    def __getattr__(self, name):
        if self._coroutine is None:
            raise AttributeError(name)
        return getattr(self._coroutine, name)

    def __await__(self):
        return self

    def __next__(self):
        return self._go_on(None)

    def send(self, value):
        """Go on to the next thing to wait for."""
        return self._go_on(value)

    def throw(self, error, value=None, traceback=None):
        """Raise an exception where the coroutine waits, and go on to the next thing to wait for."""
        if value is not None or traceback is not None:
            error = (error() if value is None else value).with_traceback(traceback)
        if _UNCANCELS and isinstance(error, CancelledError) and self._was_uncancelled():
            return self._go_on(None)
        if self.state == SPARE_GIVEN and self._error is None:
            # As a cancellation of a task that waits: what is awaited is cancelled, and if that is too late the task.
            if self._is_future and isinstance(error, CancelledError) and self._awaited.cancel(*error.args[:1]):
                return self._take()
            self._awaited = None
            self.state = SPARE_TAKEN
        self.task = None
        if self.state == SPARE_TAKEN:
            return self._coroutine.throw(error)
        if self._error is not None:
            return self._take()
        self.state = SPARE_OVER
        raise error

    def close(self):
        """Give up the coroutine."""
        self.state = SPARE_OVER
        self._awaited = None
        if self._coroutine is not None:
            self._coroutine.close()

    cdef bint begin_with(self, coroutine) except -1:
        cdef PyObject* result = NULL
        cdef int state = -1
        cdef object awaited = None
        cdef object error = None
        # Not by `get_running_loop`, which costs a system call.
        if self.state != SPARE_READY or PyThread_get_thread_ident() != self._thread or not self._loop.is_running():
            return False
        if not self._is_in_same_context():
            self.let_go()
            return False
        if self._task_references == 0:  # before anybody could get hold of it
            self._task_references = Py_REFCNT(self.task)
            self._context_references = Py_REFCNT(self._context)
        PyContext_Enter(self._context)
        try:
            _enter_task(self._loop, self.task)
        except RuntimeError:
            PyContext_Exit(self._context)
            return False
        self.state = SPARE_RUNNING
        self._coroutine = coroutine
        try:
            state = PyIter_Send(coroutine, None, &result)
        except BaseException as raised:
            error = raised
        PyContext_Exit(self._context)
        _leave_task(self._loop, self.task)
        if result != NULL:
            awaited = <object> result
            Py_DECREF(awaited)
        if state == 0:
            self._be_ready_again()
        else:
            self._give(awaited, error)
        return True

    cdef int let_go(self) except -1:
        if self.state <= SPARE_READY:
            self.state = SPARE_OVER
            self._open_gate()
        return 0

    cdef object _go_on(self, value):
        if self.state == SPARE_TAKEN:
            return self._coroutine.send(value)
        if self.state == SPARE_GIVEN:
            return self._take()
        if self.state == SPARE_NEW:
            self.state = SPARE_READY
            self._gate = self._loop.create_future()
            self._gate._asyncio_future_blocking = True
            return self._gate
        self.task = None
        raise StopIteration

    cdef object _take(self):
        self.task = None
        if self._error is not None:
            self.state = SPARE_OVER
            error, self._error = self._error, None
            raise error
        self.state = SPARE_TAKEN
        awaited = self._awaited
        self._awaited = None
        if awaited is None:
            return self._coroutine.send(None)
        if self._is_future:
            awaited._asyncio_future_blocking = True
        return awaited

    cdef int _give(self, awaited, error) except -1:
        """Hand the task to the coroutine: once awake it waits for `awaited`, or raises `error`."""
        self.state = SPARE_GIVEN
        self._error = error
        self._awaited = awaited
        self._is_future = bool(getattr(awaited, "_asyncio_future_blocking", None))
        if self._is_future:
            awaited._asyncio_future_blocking = False  # somebody else may wait for it meanwhile
        self.task._log_destroy_pending = True
        _register_task(self.task)
        self._open_gate()
        return 0

    cdef int _be_ready_again(self) except -1:
        self._coroutine = None
        self.state = SPARE_READY
        if not self._is_untouched():
            self.let_go()
        return 0

    cdef bint _is_in_same_context(self) except -1:
        cdef object current = PyContext_CopyCurrent(), mine = self._context, key
        cdef Py_ssize_t size = len(mine)
        if len(current) != size:
            return False
        if size:
            for key in mine:
                if current.get(key, _MISSING) is not mine[key]:
                    return False
        return True

    cdef bint _was_uncancelled(self) except -1:
        """Tell whether the coroutine took back a cancellation of before its first wait, which has reached the gate."""
        cdef bint is_waking = self.state == SPARE_GIVEN or self.state == SPARE_OVER
        return is_waking and self.task is not None and not self.task.cancelling()

    cdef bint _is_untouched(self) except -1:
        """Tell whether nobody has hold of the task, waits for it, named it, cancelled it or set an attribute."""
        return (
            Py_REFCNT(self.task) == self._task_references
            and Py_REFCNT(self._context) == self._context_references
            and getweakrefcount(self.task) == 0
            and not self.task._callbacks
            and self.task.get_name() is self._name
            and not self._gate.done()
            and PyDict_Size(PyObject_GenericGetDict(self.task, NULL)) == 0
        )

    cdef int _open_gate(self) except -1:
        if self._gate is not None and not self._gate.done() and not self._loop.is_closed():
            self._gate.set_result(None)
        return 0
