"""Events of arrived bytes, for the stream table and for whoever takes events out of the queue."""

from cpython.ref cimport PyObject
from libc.stdint cimport int64_t


cdef class StreamBytesEvents:
    cdef readonly object growing  # the event that may still grow, or None
    cdef object emit
    cdef object queue
    cdef int64_t stream_id
    cdef Py_ssize_t size
    # The bytes of the growing event, with room for more, once there is more than it began with; owned.
    cdef PyObject* buffer

    cdef bint may_grow(self, int64_t stream_id, Py_ssize_t size) except -1
    cdef int grow(self, const unsigned char* data, Py_ssize_t size, bint end_stream) except -1
    cdef int report(self, int64_t stream_id, bytes data, bint end_stream) except -1
    cdef int settle(self) except -1

    cdef int _report_piece(self, int64_t stream_id, bytes data, bint end_stream) except -1
