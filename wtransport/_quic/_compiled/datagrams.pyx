# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Datagrams that wait to be sent; the twin is a deque of bytes."""

from __future__ import annotations

cimport cython
from cpython.bytes cimport PyBytes_GET_SIZE

from ..._speedups._compiled.ring cimport ring_at, ring_free, ring_pop, ring_push
from ..._speedups._compiled.wire cimport varint_length

from ..._speedups._inputs import as_bytes


@cython.final
@cython.no_gc
cdef class OutgoingDatagrams:
    """Datagrams that wait to be sent, oldest first."""

    def __dealloc__(self):
        ring_free(&self.ring)

    def __len__(self):
        """Return how many wait."""
        return self.ring.count

    def append(self, data):
        """Add one at the end."""
        self.push(data if type(data) is bytes else as_bytes(data))

    def extend(self, datagrams):
        """Add some at the end."""
        for data in datagrams:
            self.append(data)

    cdef int push(self, bytes data) except -1:
        return ring_push(&self.ring, data, 0.0)

    cdef bint drop_oversized(self, Py_ssize_t packet_room) noexcept:
        """Drop datagrams at the head that no packet holds any more; True when there were any."""
        cdef Py_ssize_t before = self.ring.count, size
        while self.ring.count:
            size = PyBytes_GET_SIZE(<bytes> ring_at(&self.ring, 0).item)
            if 1 + varint_length(size) + size <= packet_room:
                break
            ring_pop(&self.ring)
        self.dropped += before - self.ring.count
        return self.ring.count < before
