"""Writes what one stream has for a packet; the base of the frame writer."""

from libc.stdint cimport int64_t

from .sent cimport FrameList
from .streams cimport QuicStream
from .table cimport StreamTable

cdef enum:  # bytes that frames of so many varints take at most
    ONE_FIELD = 1 + 8
    TWO_FIELDS = 1 + 8 + 8
    THREE_FIELDS = 1 + 8 + 8 + 8
    FOUR_FIELDS = 1 + 8 + 8 + 8 + 8

cdef enum:
    MIN_STREAM_ROOM = 64  # bytes, as in the twin

cdef enum Written:
    FULL = 0  # what was to be written does not fit; `is_cut` is set
    ALL = 1
    SOME = 2  # there is more that may be sent


cdef class StreamWriter:
    cdef StreamTable table
    cdef readonly bint is_cut  # something did not fit into the packet, so that there is more to write
    # Where the next frame begins, the bytes that are left, and where the frames are noted that await their fate.
    cdef unsigned char* out
    cdef Py_ssize_t room
    cdef FrameList* sent

    cdef void begin(self, unsigned char* out, Py_ssize_t room, FrameList* frames) noexcept
    cdef bint fits(self, Py_ssize_t size) noexcept
    cdef void put(self, int64_t value) noexcept
    cdef int write_stream(self, QuicStream stream) except -1

    cdef int _write_data(self, QuicStream stream) except -1
    cdef int _write_blocked(self, QuicStream stream) except -1
    cdef int _write_max_stream_data(self, QuicStream stream) except -1
    cdef int _write_stop_sending(self, QuicStream stream) except -1
    cdef int _write_reset(self, QuicStream stream) except -1
