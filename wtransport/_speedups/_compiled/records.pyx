# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Type-length-value records, read incrementally; the specification is the twin in ``_pure/records.py``."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from .wire cimport read_varint, write_varint

from .._inputs import as_bytes, copy_limits

cdef enum State:
    IN_HEADER  # between two records, or inside a record header that is not complete
    IN_STREAMED  # inside a payload that is handed on piece by piece
    IN_WHOLE  # inside a payload that is kept until it is whole
    IN_SKIPPED  # inside a payload that nobody asked for


cdef bytes encode_record(int64_t record_type, object payload):
    """Return one record, its header in the fewest bytes."""
    cdef unsigned char[16] header
    cdef bytes body = payload if type(payload) is bytes else as_bytes(payload)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    cdef int header_size = write_varint(header, record_type)
    header_size += write_varint(header + header_size, size)
    cdef bytes record = PyBytes_FromStringAndSize(NULL, header_size + size)
    cdef char* out = PyBytes_AS_STRING(record)
    memcpy(out, header, header_size)
    memcpy(out + header_size, PyBytes_AS_STRING(body), size)
    return record


cdef class RecordParser:
    """Reads a byte stream as records; subclasses say which ones come whole, in pieces or not at all."""

    # A subclass's own __cinit__ comes after this one, with the same arguments, and says which of them it takes.
    def __cinit__(self, max_sizes, droppable=()):
        self._limits = copy_limits(max_sizes)
        self.droppable = frozenset()
        self._payload = bytearray()
        self.noun = "record"
        self.streamed_type = -1
        self._type = -1
        self._state = IN_HEADER

    @property
    def at_boundary(self):
        """Whether the bytes so far end with a complete record, so that the stream may end here."""
        return self._state == IN_HEADER and self._partial_size == 0 and self._error is None

    @property
    def failed(self):
        """Whether a record was over its limit; the next ``feed()`` raises."""
        return self._error is not None

    cdef list read(self, object data):
        """Take the next bytes of the stream and return what they complete."""
        cdef bytes chunk = data if type(data) is bytes else as_bytes(data)
        if self._error is not None:
            raise ValueError(self._error)
        cdef list results = []
        cdef const unsigned char* raw = <const unsigned char*> PyBytes_AS_STRING(chunk)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(chunk)
        cdef Py_ssize_t position = 0
        cdef Py_ssize_t end, used
        cdef int64_t length = 0
        while position < size:
            if self._state != IN_HEADER:
                end = size
                if self._remaining < size - position:
                    end = position + <Py_ssize_t> self._remaining
                self._read_payload(chunk, position, end, results)
                position = end
                continue
            used = self._read_header(raw + position, size - position, &length)
            if used == 0:
                break
            position += used
            if not self._begin(length, results):
                break
        if self._error is not None and not results:
            raise ValueError(self._error)
        return results

    cdef Py_ssize_t _read_header(self, const unsigned char* raw, Py_ssize_t available, int64_t* length) except -1:
        """Return how many of the available bytes complete a header, or keep them all and return 0."""
        cdef int before = self._partial_size
        cdef int fresh
        cdef int used, more
        if before:
            # The header began in an earlier chunk: continue its copy. A header that is still incomplete has fewer
            # bytes than the copy has room for, so what does not fit is never needed.
            fresh = 16 - before
            if available < fresh:
                fresh = <int> available
            memcpy(self._partial + before, raw, fresh)
            raw = self._partial
            available = before + fresh
        used = read_varint(raw, available, &self._type)
        more = read_varint(raw + used, available - used, length) if used else 0
        if more:
            self._partial_size = 0
            return used + more - before
        if not before:
            memcpy(self._partial, raw, available)  # at most 15 bytes, or the header were complete
        self._partial_size = <int> available
        return 0

    cdef int _begin(self, int64_t length, list results) except -1:
        """Enter the payload of a record of the type just read; 0 when it is over a limit that fails."""
        cdef object limit = self._limits.get(self._type)
        if limit is None:
            self._state = IN_STREAMED if self._type == self.streamed_type else IN_SKIPPED
        elif length <= <int64_t> limit:
            self._state = IN_WHOLE
        elif self._type in self.droppable:
            self._state = IN_SKIPPED
        else:
            self._error = f"{self.noun} of type {hex(self._type)} has {length} bytes, the limit is {limit}"
            return 0
        if self._state == IN_SKIPPED:
            self._emit(b"", False, results)
        self._remaining = length
        if length == 0:
            if self._state != IN_SKIPPED:
                self._emit(b"", True, results)
            self._state = IN_HEADER
        return 1

    cdef int _read_payload(self, bytes chunk, Py_ssize_t position, Py_ssize_t end, list results) except -1:
        """Take the bytes of the current payload that the chunk holds from position to end."""
        self._remaining -= end - position
        cdef bint ended = self._remaining == 0
        cdef bytes piece
        if self._state != IN_SKIPPED:
            if position == 0 and end == PyBytes_GET_SIZE(chunk):
                piece = chunk
            else:
                piece = PyBytes_FromStringAndSize(PyBytes_AS_STRING(chunk) + position, end - position)
            if self._state == IN_STREAMED:
                self._emit(piece, ended, results)
            elif ended and not self._payload:
                self._emit(piece, True, results)
            else:
                self._payload += piece
                if ended:
                    self._emit(bytes(self._payload), True, results)
                    self._payload = bytearray()
        if ended:
            self._state = IN_HEADER
        return 0

    cdef int _emit(self, bytes payload, bint ended, list results) except -1:
        if self.as_pairs:
            results.append((self._type, payload if ended else None))
        else:
            results.append((self._type, payload, ended))
        return 0
