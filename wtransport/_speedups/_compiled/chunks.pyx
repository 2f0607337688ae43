# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""The bytes of a stream that nobody has read yet; the specification is the twin in ``_pure/chunks.py``."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr, memcpy

from .arguments cimport as_index
from .ring cimport ring_at, ring_clear, ring_free, ring_pop, ring_push

from .._inputs import as_bytes


cdef class ChunkQueue:
    """ChunkQueue()\n--\n\nA queue of bytes that keeps the chunks as they came and copies only where a read cuts or joins them."""

    def __dealloc__(self):
        ring_free(&self._ring)

    def __len__(self):
        """Return how many bytes are kept."""
        return self._size

    cpdef append(self, data):
        """Add bytes at the end; bytes are kept as they are, anything else is copied."""
        cdef bytes chunk = data if type(data) is bytes else as_bytes(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(chunk)
        if size:
            ring_push(&self._ring, chunk, 0.0)
            self._size += size

    cpdef bytes take(self, max_bytes=-1):
        """Remove and return bytes from the front: min(max_bytes, len(self)) of them, -1 for all."""
        cdef Py_ssize_t count = as_index("max_bytes", max_bytes, self._size)
        cdef Py_ssize_t offset = self._offset
        cdef bytes chunk
        if count < 0:
            if count < -1:
                raise ValueError("max_bytes must be -1 or more")
            count = self._size
        if count == 0:
            return b""
        cdef Py_ssize_t chunk_size = self._chunk_size(0)
        if count > chunk_size - offset:
            return self._join(count)
        self._size -= count
        if count == chunk_size - offset:
            chunk = self._pop()
            if offset == 0:
                return chunk
        else:
            chunk = <bytes> ring_at(&self._ring, 0).item
            self._offset = offset + count
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(chunk) + offset, count)

    def find(self, separator, start=0):
        """Return the index of the first separator at or after start, or -1."""
        cdef bytes wanted = as_bytes(separator)
        cdef Py_ssize_t begin_search = as_index("start", start, self._size)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(wanted)
        if length == 0:
            raise ValueError("separator must not be empty")
        if begin_search < 0:
            raise ValueError("start must not be negative")
        if length > self._size - begin_search:
            return -1
        return self._find(PyBytes_AS_STRING(wanted), length, begin_search)

    def clear(self):
        """Forget all bytes."""
        ring_clear(&self._ring)
        self._offset = 0
        self._size = 0

    cdef Py_ssize_t _chunk_size(self, Py_ssize_t index) noexcept:
        return PyBytes_GET_SIZE(<object> ring_at(&self._ring, index).item)

    cdef bytes _pop(self):
        """Let go of the oldest chunk."""
        self._offset = 0
        return ring_pop(&self._ring)

    cdef bytes _join(self, Py_ssize_t count):
        """Take count bytes, 0 < count <= size, that lie in more than one chunk."""
        cdef bytes joined = PyBytes_FromStringAndSize(NULL, count)
        cdef char* out = PyBytes_AS_STRING(joined)
        cdef Py_ssize_t piece
        cdef const char* raw
        self._size -= count
        while count:
            raw = PyBytes_AS_STRING(<object> ring_at(&self._ring, 0).item)
            piece = self._chunk_size(0) - self._offset
            if piece > count:
                memcpy(out, raw + self._offset, count)
                self._offset += count
                break
            memcpy(out, raw + self._offset, piece)
            self._pop()
            out += piece
            count -= piece
        return joined

    cdef Py_ssize_t _find(self, const char* wanted, Py_ssize_t length, Py_ssize_t start) noexcept:
        """Search from start on; start + length <= size, which the caller has checked."""
        # From the end, like the twin: a reader that waits for more asks again from close to the end.
        cdef Py_ssize_t index = self._ring.count
        cdef Py_ssize_t begin = self._size
        cdef Py_ssize_t position, chunk_size
        cdef const char* raw
        cdef const char* hit
        while begin > start:
            index -= 1
            begin -= self._chunk_size(index)
        position = start - begin
        while index < self._ring.count:
            raw = PyBytes_AS_STRING(<object> ring_at(&self._ring, index).item)
            chunk_size = self._chunk_size(index)
            while position < chunk_size:
                hit = <const char*> memchr(raw + position, wanted[0], chunk_size - position)
                if hit == NULL:
                    break
                position = hit - raw
                if begin + position + length > self._size:
                    return -1
                if self._matches(wanted, length, index, position):
                    return begin + position
                position += 1
            index += 1
            begin += chunk_size
            position = 0
        return -1

    cdef bint _matches(
        self, const char* wanted, Py_ssize_t length, Py_ssize_t index, Py_ssize_t position
    ) noexcept:
        """Whether the bytes from position of a chunk on are those wanted; there are length of them."""
        cdef const char* raw = PyBytes_AS_STRING(<object> ring_at(&self._ring, index).item)
        cdef Py_ssize_t chunk_size = self._chunk_size(index)
        cdef Py_ssize_t i
        for i in range(length):
            while position == chunk_size:
                index += 1
                position = 0
                raw = PyBytes_AS_STRING(<object> ring_at(&self._ring, index).item)
                chunk_size = self._chunk_size(index)
            if raw[position] != wanted[i]:
                return False
            position += 1
        return True
