# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Datagrams from the program straight into the writer's queue; the twin is ``_quic/datagram_sender.py``."""

from __future__ import annotations

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from .connection_state cimport ConnectionState
from .frames cimport FrameWriter
from .stream_commands cimport StreamCommands

from ..._speedups._inputs import as_bytes


@cython.final
cdef class DatagramSender:
    """Puts a prefix before each datagram and queues it; see the twin."""

    cdef StreamCommands port
    cdef ConnectionState connection
    cdef bytes prefix
    cdef public Py_ssize_t limit
    cdef readonly Py_ssize_t sent
    cdef readonly Py_ssize_t bytes_sent

    def __cinit__(self, StreamCommands port not None, ConnectionState connection not None, bytes prefix not None):
        self.port = port
        self.connection = connection
        self.prefix = prefix
        self.limit = -1

    def send(self, data):
        """Queue a datagram; False when it is not ``bytes``, or larger than the limit, or the queue is full."""
        return PyBytes_CheckExact(data) and PyBytes_GET_SIZE(data) <= self.limit and self.queue(data)

    def push(self, data):
        """Queue a datagram that is known to fit into a packet; False when the queue is full."""
        return self.queue(data if PyBytes_CheckExact(data) else as_bytes(data))

    cdef bint queue(self, bytes data) except -1:
        cdef FrameWriter writer = self.connection._writer
        cdef Py_ssize_t before = PyBytes_GET_SIZE(self.prefix), size = PyBytes_GET_SIZE(data)
        cdef bytes whole
        cdef char* out
        if writer.datagrams.ring.count >= self.connection._max_queued_datagrams:
            self.connection._datagrams_refused = True
            self.port.request_flush()
            return False
        whole = PyBytes_FromStringAndSize(NULL, before + size)
        out = PyBytes_AS_STRING(whole)
        memcpy(out, PyBytes_AS_STRING(self.prefix), before)
        memcpy(out + before, PyBytes_AS_STRING(data), size)
        writer.push_datagram(whole)
        self.sent += 1
        self.bytes_sent += size
        self.port.ask_promptly(True)
        return True
