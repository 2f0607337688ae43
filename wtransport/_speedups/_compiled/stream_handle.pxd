"""The handle of a stream, for the stream that wakes it."""


cdef class StreamHandle:
    cdef public object _session
    cdef public object _core
    cdef public object _created_at
    cdef public object _closed_at
    cdef public object _events
    cdef public object _reader
    cdef public object _reader_future
    cdef public object _writers

    cdef int bind_to(self, session, core) except -1
    # Whether there was a reader that sleeps.
    cdef bint wake_sleeper(self) except -1
    # Whether nobody can listen, so that all is done.
    cdef bint finish_unheard(self) except -1
    cdef int let_go(self) except -1


# A handle, not bound yet, of a class that derives from `StreamHandle` and has no constructor that must run.
cdef StreamHandle new_handle(type cls)
