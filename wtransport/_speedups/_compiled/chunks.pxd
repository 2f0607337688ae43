"""The queue of a stream's unread bytes, for the stream."""

from .ring cimport Ring


cdef class ChunkQueue:
    cdef Ring _ring
    cdef Py_ssize_t _offset  # bytes of the oldest chunk already taken
    cdef Py_ssize_t _size

    cpdef append(self, data)
    cpdef bytes take(self, max_bytes=*)

    cdef Py_ssize_t _chunk_size(self, Py_ssize_t index) noexcept
    cdef bytes _pop(self)
    cdef bytes _join(self, Py_ssize_t count)
    cdef Py_ssize_t _find(self, const char* wanted, Py_ssize_t length, Py_ssize_t start) noexcept
    cdef bint _matches(self, const char* wanted, Py_ssize_t length, Py_ssize_t index, Py_ssize_t position) noexcept
