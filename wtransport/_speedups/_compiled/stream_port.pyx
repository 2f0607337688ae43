# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""The port of a connection, as far as it is asked without calls by name; the compiled data path derives from it."""

from __future__ import annotations

from libc.stdint cimport int64_t


cdef class StreamPort:
    """StreamPort()\n--\n\nWhat every stream asks of its connection."""

    cdef int64_t begin_stream(self, bint unidirectional, header) except -2:
        raise NotImplementedError

    cdef int flush_begun(self) except -1:
        raise NotImplementedError

    cdef int put(self, int64_t stream_id, data, bint end_stream) except -1:
        raise NotImplementedError

    cdef int credit(self, int64_t stream_id, int64_t nbytes) except -1:
        raise NotImplementedError

    cdef int free_place(self, int64_t stream_id) except -1:
        raise NotImplementedError

    cdef int64_t count_unsent(self, int64_t stream_id) except -1:
        raise NotImplementedError

    cdef int64_t count_room(self, int64_t stream_id) except -1:
        raise NotImplementedError
