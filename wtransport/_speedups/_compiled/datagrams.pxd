"""The queue of datagrams and a session's inbox, for what sorts the events of a connection."""

from libc.stdint cimport int64_t

from .ring cimport Ring


cdef class DatagramQueue:
    cdef Ring _ring
    cdef Py_ssize_t _max_items
    cdef Py_ssize_t _max_bytes
    cdef Py_ssize_t _nbytes
    cdef double _max_age
    cdef bint _drop_newest
    cdef readonly Py_ssize_t pushed
    cdef readonly Py_ssize_t popped
    cdef readonly Py_ssize_t dropped_full
    cdef readonly Py_ssize_t dropped_expired

    cdef bint _push(self, bytes item, double time) except -1
    cdef object _pop(self, double time)
    cdef void _clear(self) noexcept
    cdef bint _is_full(self, Py_ssize_t size) noexcept
    cdef int _expire(self, double now) except -1
    cdef bytes _drop_oldest(self)


cdef class DatagramInbox(DatagramQueue):
    cdef public bint is_open
    cdef public object announce
    cdef readonly int64_t received
    cdef readonly int64_t bytes_received

    cdef bint take_in(self, list datagrams) except -1


cdef class DatagramTap:
    cdef readonly DatagramQueue _queue
    cdef public bint is_pulled
    cdef public bint is_handing_out

    cdef object next_one(self)


cdef int64_t one_session(list datagrams, list payloads) except -2
