# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Which packet numbers have arrived: for refusing duplicates (RFC 9000, 12.3), and for acknowledgements (13.2.3).

Both are bounded. Ranges beyond the limit are dropped from below, and what was in and below them counts as received from
then on: a packet is never accepted that can no longer be acknowledged.
"""

from __future__ import annotations

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint64_t
from libc.string cimport memmove, memset


@cython.final
@cython.no_gc
cdef class ReceivedPackets:
    """The packets received in one space; takes the places of aioquic's ``ack_queue`` and ``received_packets``."""

    def __dealloc__(self):
        PyMem_Free(self.bounds)

    def add(self, number: int):
        """Take note of a packet; nothing happens when it is known already."""
        self.note(number)

    def __contains__(self, number):
        """Tell whether a packet is a duplicate, or so old that it must count as one."""
        return self.is_duplicate(number)

    def __len__(self):
        """Return the number of ranges to acknowledge."""
        return self.count

    def __getitem__(self, Py_ssize_t index):
        """Return a range to acknowledge; they ascend."""
        if index < 0:
            index += self.count
        if not 0 <= index < self.count:
            raise IndexError("no such range")
        return range(self.bounds[2 * index], self.bounds[2 * index + 1])

    def shift(self):
        """Give up the oldest range."""
        first = self[0]
        self.floor = max(self.floor, self.bounds[1])
        self._remove(0, 1)
        return first

    def subtract(self, uint64_t start, uint64_t stop):
        """Acknowledge nothing below stop any more; start is 0."""
        if start:
            raise ValueError("ranges are given up from below only")
        self.forget_below(stop)

    cdef bint is_duplicate(self, uint64_t number) noexcept:
        if number >= self.top:
            return False
        if number < self.floor:
            return True
        return (self.bits[(number // 64) % WINDOW_WORDS] >> (number % 64)) & 1

    cdef int note(self, uint64_t number) except -1:
        cdef Py_ssize_t place = self.count
        cdef uint64_t* bounds = self.bounds
        self._mark(number)
        # The usual packet is the next one.
        if place and bounds[2 * place - 1] == number:
            bounds[2 * place - 1] += 1
            return 0
        while place and bounds[2 * place - 2] > number:
            place -= 1
        # All ranges from `place` on begin behind the number; the one before may hold it, or end at it.
        if place and number <= bounds[2 * place - 1]:
            if number < bounds[2 * place - 1]:
                return 0
            bounds[2 * place - 1] += 1
            if place < self.count and bounds[2 * place] == number + 1:
                bounds[2 * place - 1] = bounds[2 * place + 1]
                self._remove(place, 1)
        elif place < self.count and bounds[2 * place] == number + 1:
            bounds[2 * place] = number
        else:
            self._insert(place, number, number + 1)
            if self.count > MAX_RANGES:
                self.floor = max(self.floor, self.bounds[1])
                self._remove(0, 1)
        return 0

    cdef void forget_below(self, uint64_t stop) noexcept:
        cdef Py_ssize_t gone = 0
        while gone < self.count and self.bounds[2 * gone + 1] <= stop:
            gone += 1
        self._remove(0, gone)
        if self.count and self.bounds[0] < stop:
            self.bounds[0] = stop

    cdef void _mark(self, uint64_t number) noexcept:
        cdef uint64_t missing
        if number >= self.top:
            if number - self.top >= WINDOW:
                memset(self.bits, 0, sizeof(self.bits))
            else:
                for missing in range(self.top, number + 1):
                    self.bits[(missing // 64) % WINDOW_WORDS] &= ~(<uint64_t> 1 << (missing % 64))
            self.top = number + 1
            if self.top > WINDOW and self.floor < self.top - WINDOW:
                self.floor = self.top - WINDOW
        elif number < self.floor:
            return
        self.bits[(number // 64) % WINDOW_WORDS] |= <uint64_t> 1 << (number % 64)

    cdef int _insert(self, Py_ssize_t place, uint64_t start, uint64_t stop) except -1:
        cdef Py_ssize_t capacity
        cdef uint64_t* bounds
        if self.count == self.capacity:
            capacity = 2 * self.capacity if self.capacity else 2
            bounds = <uint64_t*> PyMem_Realloc(self.bounds, 2 * capacity * sizeof(uint64_t))
            if bounds == NULL:
                raise MemoryError
            self.bounds = bounds
            self.capacity = capacity
        bounds = &self.bounds[2 * place]
        memmove(bounds + 2, bounds, 2 * (self.count - place) * sizeof(uint64_t))
        bounds[0] = start
        bounds[1] = stop
        self.count += 1
        return 0

    cdef void _remove(self, Py_ssize_t first, Py_ssize_t count) noexcept:
        cdef uint64_t* bounds = &self.bounds[2 * first]
        if count:
            memmove(bounds, bounds + 2 * count, 2 * (self.count - first - count) * sizeof(uint64_t))
            self.count -= count
