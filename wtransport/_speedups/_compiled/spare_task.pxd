"""A task made in advance, for what runs coroutines."""


cdef enum SpareState:
    SPARE_NEW  # its first turn is to come
    SPARE_READY
    SPARE_RUNNING
    SPARE_GIVEN  # a coroutine has it, and it does not wait for what that waits for yet
    SPARE_TAKEN
    SPARE_OVER


cdef class SpareTask:
    cdef readonly object task
    cdef object _loop
    cdef object _context
    cdef object _name
    cdef object _gate
    cdef object _coroutine
    cdef object _awaited
    cdef object _error
    cdef bint _is_future
    cdef SpareState state
    cdef unsigned long _thread
    cdef Py_ssize_t _task_references
    cdef Py_ssize_t _context_references

    cdef bint begin_with(self, coroutine) except -1
    cdef int let_go(self) except -1
    cdef object _go_on(self, value)
    cdef object _take(self)
    cdef int _give(self, awaited, error) except -1
    cdef int _be_ready_again(self) except -1
    cdef bint _is_in_same_context(self) except -1
    cdef bint _was_uncancelled(self) except -1
    cdef bint _is_untouched(self) except -1
    cdef int _open_gate(self) except -1
