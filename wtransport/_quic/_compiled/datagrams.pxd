"""Datagrams that wait to be sent, for the frame writer."""

cimport cython

from ..._speedups._compiled.ring cimport Ring


@cython.final
@cython.no_gc
cdef class OutgoingDatagrams:
    cdef Ring ring
    cdef readonly Py_ssize_t dropped  # as no packet could hold them any more

    cdef int push(self, bytes data) except -1
    cdef bint drop_oversized(self, Py_ssize_t packet_room) noexcept
