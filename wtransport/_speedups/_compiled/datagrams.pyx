# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""HTTP datagrams and their bounded queue; the specification is the twin in ``_pure/datagrams.py``."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from .arguments cimport as_index
from .ring cimport ring_at, ring_clear, ring_free, ring_pop, ring_push
from .wire cimport read_varint, write_varint

from math import isfinite

from .._constants import MAX_QUARTER_STREAM_ID
from .._inputs import as_bytes, as_seconds, check_buffer, check_int

cdef int64_t _MAX_QUARTER_STREAM_ID = MAX_QUARTER_STREAM_ID

# Largest limit kept as it is; memory ends long before, so a larger one is the same as this one.
cdef Py_ssize_t _LARGEST_LIMIT = (<size_t> -1) >> 2


def encode_datagram(quarter_stream_id, payload):
    """Return the payload of a QUIC DATAGRAM frame."""
    cdef unsigned char[8] header
    cdef int64_t quarter = as_index("quarter_stream_id", quarter_stream_id, _MAX_QUARTER_STREAM_ID + 1)
    if quarter < 0 or quarter > _MAX_QUARTER_STREAM_ID:
        raise ValueError("quarter_stream_id must be in 0..2**60-1")
    cdef bytes body = payload if type(payload) is bytes else as_bytes(payload)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    cdef int header_size = write_varint(header, quarter)
    cdef bytes datagram = PyBytes_FromStringAndSize(NULL, header_size + size)
    cdef char* out = PyBytes_AS_STRING(datagram)
    memcpy(out, header, header_size)
    memcpy(out + header_size, PyBytes_AS_STRING(body), size)
    return datagram


def decode_datagram(data):
    """Read the quarter stream id of a QUIC DATAGRAM frame's payload; None if data ends before the id does."""
    cdef bytes window
    cdef int64_t quarter = 0
    cdef int length
    if type(data) is bytes:
        window = data
    else:
        check_buffer(data)
        window = bytes(data[:8])
    length = read_varint(<const unsigned char*> PyBytes_AS_STRING(window), PyBytes_GET_SIZE(window), &quarter)
    if length == 0:
        return None
    if quarter > _MAX_QUARTER_STREAM_ID:
        raise ValueError("quarter stream id is above 2**60-1")
    return quarter, length


def sort_datagrams(datagrams):
    """Take the quarter stream ids off the payloads of QUIC DATAGRAM frames; see the twin."""
    cdef list runs = [], payloads = None
    cdef int64_t quarter = 0, last = -1
    cdef Py_ssize_t size
    cdef const char* bytes_of
    cdef int length
    if type(datagrams) is not list:
        raise TypeError("datagrams must be a list")
    for data in <list> datagrams:
        if type(data) is not bytes:
            raise TypeError("each of the datagrams must be bytes")
        bytes_of = PyBytes_AS_STRING(data)
        size = PyBytes_GET_SIZE(data)
        length = read_varint(<const unsigned char*> bytes_of, size, &quarter)
        if length == 0 or quarter > _MAX_QUARTER_STREAM_ID:
            runs.append((-1, []))
            break
        if payloads is None or quarter != last:
            last = quarter
            payloads = []
            runs.append((quarter, payloads))
        payloads.append(PyBytes_FromStringAndSize(bytes_of + length, size - length))
    return runs


cdef class DatagramQueue:
    """DatagramQueue(max_items, max_bytes=0, max_age=0.0, drop_newest=False)\n--\n\nA queue of datagrams that never grows past its limits."""

    def __cinit__(self, max_items, max_bytes=0, max_age=0.0, drop_newest=False):
        check_int("max_items", max_items)
        check_int("max_bytes", max_bytes)
        max_age = as_seconds("max_age", max_age)
        if max_items < 1:
            raise ValueError("max_items must be at least 1")
        if max_bytes < 0:
            raise ValueError("max_bytes must not be negative")
        if max_age < 0 or not isfinite(max_age):
            raise ValueError("max_age must be finite and not negative")
        self._max_items = min(max_items, _LARGEST_LIMIT)
        self._max_bytes = min(max_bytes, _LARGEST_LIMIT)
        self._max_age = max_age
        self._drop_newest = bool(drop_newest)

    def __dealloc__(self):
        ring_free(&self._ring)

    def __len__(self):
        """Return how many datagrams are kept."""
        return self._ring.count

    @property
    def nbytes(self):
        """Payload bytes kept."""
        return self._nbytes

    def push(self, data, now=0.0):
        """Add a datagram at the end; False if this datagram was dropped."""
        cdef bytes item = data if type(data) is bytes else as_bytes(data)
        return self._push(item, PyFloat_AS_DOUBLE(now) if type(now) is float else as_seconds("now", now))

    def extend(self, datagrams):
        """Push each of a list of datagrams, at time 0."""
        if type(datagrams) is not list:
            raise TypeError("datagrams must be a list")
        for data in <list> datagrams:
            self._push(data if type(data) is bytes else as_bytes(data), 0.0)

    cdef bint _push(self, bytes item, double time) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(item)
        if self._max_age:
            self._expire(time)
        if self._is_full(size):
            if self._drop_newest or (self._max_bytes and size > self._max_bytes):
                self.dropped_full += 1
                return False
            while self._is_full(size):
                self._drop_oldest()
                self.dropped_full += 1
        ring_push(&self._ring, item, time)
        self._nbytes += size
        self.pushed += 1
        return True

    def pop(self, now=0.0):
        """Remove and return the oldest datagram that is not expired, or None if there is none."""
        return self._pop(PyFloat_AS_DOUBLE(now) if type(now) is float else as_seconds("now", now))

    cdef object _pop(self, double time):
        if self._max_age:
            self._expire(time)
        if self._ring.count == 0:
            return None
        self.popped += 1
        return self._drop_oldest()

    def drain(self, now=0.0):
        """Remove and return all datagrams that are not expired, oldest first."""
        cdef double time = PyFloat_AS_DOUBLE(now) if type(now) is float else as_seconds("now", now)
        cdef Py_ssize_t i
        if self._max_age:
            self._expire(time)
        drained = [<bytes> ring_at(&self._ring, i).item for i in range(self._ring.count)]
        self.popped += self._ring.count
        self._clear()
        return drained

    def clear(self):
        """Forget all datagrams; no counter changes."""
        self._clear()

    cdef void _clear(self) noexcept:
        ring_clear(&self._ring)
        self._nbytes = 0

    cdef bint _is_full(self, Py_ssize_t size) noexcept:
        """Whether a datagram of size bytes does not fit now."""
        if self._ring.count >= self._max_items:
            return True
        return self._max_bytes != 0 and size > self._max_bytes - self._nbytes

    cdef int _expire(self, double now) except -1:
        while self._ring.count and now - ring_at(&self._ring, 0).time > self._max_age:
            self._drop_oldest()
            self.dropped_expired += 1
        return 0

    cdef bytes _drop_oldest(self):
        cdef bytes item = ring_pop(&self._ring)
        self._nbytes -= PyBytes_GET_SIZE(item)
        return item


cdef class DatagramInbox(DatagramQueue):
    """DatagramInbox(max_items, max_bytes=0)\n--\n\nWhat the peer sent to a session and nobody has taken."""

    def arrive(self, datagrams):
        """Count and keep a list of datagrams; True if the inbox was empty before."""
        if type(datagrams) is not list:
            raise TypeError("datagrams must be a list")
        return self.take_in(datagrams)

    cdef bint take_in(self, list datagrams) except -1:
        cdef Py_ssize_t size = 0
        cdef bint was_empty = self._ring.count == 0
        for data in datagrams:
            if type(data) is not bytes:
                raise TypeError("each of the datagrams must be bytes")
            size += PyBytes_GET_SIZE(data)
        self.received += len(datagrams)
        self.bytes_received += size
        for data in datagrams:
            self._push(data, 0.0)
        return was_empty


cdef class DatagramTap:
    """DatagramTap(queue)\n--\n\nWhere handlers take datagrams from a queue; a reader that has asked gets them, too."""

    def __init__(self, DatagramQueue queue not None):
        self._queue = queue

    def take_for_handlers(self):
        """Hand out the oldest datagram, or None."""
        return self.next_one()

    cdef object next_one(self):
        data = self._queue._pop(0.0)
        if self.is_pulled and data is not None:
            self._copy(data)
        return data

    def leave_to_reader(self):
        """Take note that no handler takes what is there."""
        raise NotImplementedError

    def _copy(self, data):
        raise NotImplementedError


cdef int64_t one_session(list datagrams, list payloads) except -2:
    """Fill `payloads` with what stands behind the quarter stream id, and return that; -1 where it is not the same."""
    cdef int64_t quarter = 0, first = -1
    cdef Py_ssize_t size
    cdef const char* start
    cdef int length
    for data in datagrams:
        if type(data) is not bytes:
            raise TypeError("each of the datagrams must be bytes")
        start = PyBytes_AS_STRING(data)
        size = PyBytes_GET_SIZE(data)
        length = read_varint(<const unsigned char*> start, size, &quarter)
        if length == 0 or quarter > _MAX_QUARTER_STREAM_ID or (first >= 0 and quarter != first):
            return -1
        first = quarter
        payloads.append(PyBytes_FromStringAndSize(start + length, size - length))
    return first
