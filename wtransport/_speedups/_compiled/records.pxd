"""The record parser, for the kernels that are made of it."""

from libc.stdint cimport int64_t


cdef class RecordParser:
    cdef dict _limits
    cdef frozenset droppable
    cdef str _error
    cdef bytearray _payload
    cdef str noun
    cdef int64_t streamed_type
    cdef bint as_pairs
    cdef int64_t _type
    cdef int64_t _remaining
    cdef int _state
    cdef int _partial_size
    cdef unsigned char[16] _partial

    cdef list read(self, object data)
    cdef Py_ssize_t _read_header(self, const unsigned char* raw, Py_ssize_t available, int64_t* length) except -1
    cdef int _begin(self, int64_t length, list results) except -1
    cdef int _read_payload(self, bytes chunk, Py_ssize_t position, Py_ssize_t end, list results) except -1
    cdef int _emit(self, bytes payload, bint ended, list results) except -1


cdef bytes encode_record(int64_t record_type, object payload)
