"""Frames of the peer as they stand in a packet (RFC 9000, section 19; RFC 9221)."""

from libc.stdint cimport int64_t


cdef struct Frame:
    int type
    int64_t[4] fields  # STREAM: id and offset; ACK: none; others: as in the RFC's order
    const unsigned char* data  # of STREAM and DATAGRAM; of an ACK all that is behind the type
    Py_ssize_t size


# Reads one frame; returns its size, or 0 when it is none of `frame_types` or not well formed.
cdef Py_ssize_t read_frame(const unsigned char* payload, Py_ssize_t size, Frame* frame) noexcept nogil
