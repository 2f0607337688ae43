# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Joins the bytes of one stream into fewer events; the specification is the twin in ``_quic/stream_bytes.py``.

A growing event's bytes are written one after the other into an object of the largest size, which is cut at the end.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE, _PyBytes_Resize
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from ..._speedups._compiled.data_stream cimport new_stream_bytes

from ..port import StreamBytes
from ..stream_bytes import MAX_EVENT_BYTES

cdef Py_ssize_t _MAX_EVENT_BYTES = MAX_EVENT_BYTES


cdef class StreamBytesEvents:
    """Makes the events of arrived bytes."""

    def __cinit__(self, emit, queue):
        self.emit = emit
        self.queue = queue

    def __dealloc__(self):
        Py_XDECREF(self.buffer)

    def complete(self):
        """Let the growing event have all its bytes; it does not grow any more."""
        self.settle()

    cdef bint may_grow(self, int64_t stream_id, Py_ssize_t size) except -1:
        """Tell whether so many more bytes of a stream belong to the growing event."""
        return (
            self.growing is not None
            and self.stream_id == stream_id
            and self.size + size <= _MAX_EVENT_BYTES
            and len(self.queue) != 0
            and self.queue[-1] is self.growing
        )

    cdef int grow(self, const unsigned char* data, Py_ssize_t size, bint end_stream) except -1:
        """Add bytes to the growing event."""
        cdef bytes buffer, begun
        if size:
            if self.buffer == NULL:
                begun = self.growing.data
                buffer = PyBytes_FromStringAndSize(NULL, _MAX_EVENT_BYTES)
                memcpy(PyBytes_AS_STRING(buffer), PyBytes_AS_STRING(begun), PyBytes_GET_SIZE(begun))
                Py_INCREF(buffer)
                self.buffer = <PyObject*> buffer
            memcpy(PyBytes_AS_STRING(<bytes> self.buffer) + self.size, data, size)
            self.size += size
        if end_stream:
            self.growing.end_stream = True
        return 0

    cdef int report(self, int64_t stream_id, bytes data, bint end_stream) except -1:
        """Report bytes that are in order; long ones, from behind a gap, not all at once."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data), start, stop
        if size <= _MAX_EVENT_BYTES:
            return self._report_piece(stream_id, data, end_stream)
        for start in range(0, size, _MAX_EVENT_BYTES):
            stop = start + _MAX_EVENT_BYTES
            self._report_piece(stream_id, data[start:stop], end_stream and stop >= size)
        return 0

    cdef int settle(self) except -1:
        """`complete`."""
        cdef PyObject* buffer = self.buffer
        cdef object event = self.growing
        self.buffer = NULL
        self.growing = None
        if buffer != NULL:
            _PyBytes_Resize(&buffer, self.size)
            data = <object> buffer
            Py_XDECREF(buffer)
            event.data = data
        return 0

    cdef int _report_piece(self, int64_t stream_id, bytes data, bint end_stream) except -1:
        cdef object event
        if self.growing is not None:
            if self.may_grow(stream_id, PyBytes_GET_SIZE(data)):
                return self.grow(
                    <const unsigned char*> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), end_stream
                )
            self.settle()
        event = new_stream_bytes(StreamBytes, stream_id, data, end_stream)
        self.emit(event)
        if self.queue is not None:
            self.growing = event
            self.stream_id = stream_id
            self.size = PyBytes_GET_SIZE(data)
        return 0
