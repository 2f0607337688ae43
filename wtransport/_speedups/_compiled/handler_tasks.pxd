"""Running handlers that are coroutines, for what calls handlers."""

from .spare_task cimport SpareTask


cdef class HandlerTasks:
    cdef public dict handling
    cdef SpareTask _spare
    cdef int _until_spare  # events without one before another is made; below 0 there are none any more
    cdef object _unbegun  # the last run of handlers in a task, unless it has begun

    # The task of what is left to be awaited; None if that began at once.
    cdef object go_on(self, awaitable, listener, tuple route, event, bint at_once)
    cdef bint _begin_at_once(self, run) except -1
    cdef int _consider_spare(self, loop) except -1
