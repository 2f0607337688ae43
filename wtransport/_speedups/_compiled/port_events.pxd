"""The events of a QUIC port on their way, and what a driver asks of the engine that they are for; see the twin."""


cdef class PortEvents:
    cdef object _receive_datagrams
    cdef object _next_event
    cdef dict _readers
    cdef object _violation
    cdef object _stream_bytes
    cdef object _datagrams_arrived
    cdef Py_ssize_t _datagrams_at  # the slot of such an event, or 0
    cdef public dict sessions
    cdef public object events
    cdef public object now
    cdef public object opens_stream
    cdef public bint has_failed
    cdef public bint is_closed
    cdef public object datagrams_to_send
    cdef public object deadlines

    cdef bint deliver(self, list datagrams) except -1
