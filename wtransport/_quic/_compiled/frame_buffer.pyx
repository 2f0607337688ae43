# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""What a packet is built with: a record of it, and the place where its frames are written."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy

from ..._speedups._compiled.wire cimport varint_length, write_varint

from aioquic._buffer import BufferWriteError


cdef class SentRecord:
    """What is kept of a packet until it is acknowledged: aioquic's ``QuicSentPacket``."""


cdef class FrameBuffer:
    """Where a frame's fields are written: what is needed of aioquic's ``Buffer``."""

    def __cinit__(self, Py_ssize_t capacity):
        self.data = <unsigned char*> PyMem_Malloc(capacity)
        if self.data == NULL:
            raise MemoryError
        self.capacity = capacity

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef unsigned char* place(self, Py_ssize_t size) except NULL:
        """Return where the next `size` bytes go."""
        cdef unsigned char* place = self.data + self.position
        if size > self.capacity - self.position:
            raise BufferWriteError("Write out of bounds")
        self.position += size
        return place

    def push_uint8(self, unsigned char value):
        """Write a byte."""
        self.place(1)[0] = value

    def push_uint16(self, value):
        """Write two bytes."""
        cdef uint32_t number = value
        cdef unsigned char* place = self.place(2)
        place[0], place[1] = number >> 8 & 0xFF, number & 0xFF

    def push_uint_var(self, value):
        """Write a varint."""
        if not 0 <= value < 1 << 62:
            raise ValueError("Integer is too big for a variable-length integer")
        cdef int64_t number = value
        write_varint(self.place(varint_length(number)), number)

    def push_bytes(self, value):
        """Write bytes."""
        cdef bytes data = value if type(value) is bytes else bytes(value)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        memcpy(self.place(size), PyBytes_AS_STRING(data), size)
