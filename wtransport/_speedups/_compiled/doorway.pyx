# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""Where the datagrams of a server's socket come in; the specification is the twin in ``_pure/doorway.py``."""

from __future__ import annotations

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from libc.string cimport memcmp

from .clock cimport is_system_clock, read_clock
from .driver_loop cimport DriverLoop


from .._constants import LONG_HEADER as _LONG_HEADER

cdef unsigned char LONG_HEADER = _LONG_HEADER


@cython.final
cdef class Doorway:
    """Doorway(*, routes, waiting, outlet, clock, id_size, turn_time, on_others, on_backlog)\n--\n\nLets datagrams in."""

    cdef dict routes
    cdef object waiting
    cdef object outlet
    cdef object clock
    cdef object on_others
    cdef object on_backlog
    cdef bytes last_id  # that was looked for, with its hash
    cdef bint is_monotonic
    cdef Py_ssize_t id_size
    cdef double turn_time

    def __init__(self, *, dict routes, waiting, outlet, clock, Py_ssize_t id_size, double turn_time, on_others, on_backlog):
        self.routes = routes
        self.waiting = waiting
        self.outlet = outlet
        self.clock = clock
        self.is_monotonic = is_system_clock(clock)
        self.last_id = b""
        self.id_size = id_size
        self.turn_time = turn_time
        self.on_others = on_others
        self.on_backlog = on_backlog

    def datagrams_received(self, datagrams):
        """Take datagrams, in the order in which they came."""
        cdef DriverLoop connection
        cdef double now
        if len(datagrams) == 1 and not self.waiting:
            connection = self.find(datagrams[0][0])
            if connection is not None and connection._outlet is self.outlet:
                now = read_clock(self.clock, self.is_monotonic)
                if connection.take_batch(datagrams, now, now + self.turn_time):
                    self.on_backlog(connection)
                return
        self.on_others(datagrams)

    cdef DriverLoop find(self, object data):
        """The connection of a packet with a short header, or None."""
        cdef PyObject* found
        cdef const char* packet
        cdef Py_ssize_t size
        if not PyBytes_CheckExact(data):
            return None
        size = PyBytes_GET_SIZE(data)
        packet = PyBytes_AS_STRING(data)
        if size == 0 or <unsigned char> packet[0] & LONG_HEADER:
            return None
        size = min(self.id_size, size - 1)
        if PyBytes_GET_SIZE(self.last_id) != size or memcmp(PyBytes_AS_STRING(self.last_id), packet + 1, size):
            self.last_id = PyBytes_FromStringAndSize(packet + 1, size)
        found = PyDict_GetItemWithError(self.routes, self.last_id)
        if found is NULL or not isinstance(<object> found, DriverLoop):
            return None
        return <DriverLoop> found
