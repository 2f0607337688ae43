"""Frames of the peer as they stand in a packet (RFC 9000, section 19; RFC 9221)."""

from libc.stdint cimport int64_t


cdef enum FrameType:
    PADDING = 0x00
    PING = 0x01
    ACK = 0x02
    ACK_ECN = 0x03
    RESET_STREAM = 0x04
    STOP_SENDING = 0x05
    STREAM = 0x08  # to 0x0F
    STREAM_FIN = 0x01
    STREAM_LENGTH = 0x02
    STREAM_OFFSET = 0x04
    MAX_DATA = 0x10
    MAX_STREAM_DATA = 0x11
    MAX_STREAMS_BIDI = 0x12
    MAX_STREAMS_UNI = 0x13
    DATA_BLOCKED = 0x14
    STREAM_DATA_BLOCKED = 0x15
    STREAMS_BLOCKED_BIDI = 0x16
    STREAMS_BLOCKED_UNI = 0x17
    RESET_STREAM_AT = 0x24
    DATAGRAM = 0x30
    DATAGRAM_LENGTH = 0x31


cdef struct Frame:
    int type
    int64_t[4] fields  # STREAM: id and offset; ACK: none; others: as in the RFC's order
    const unsigned char* data  # of STREAM and DATAGRAM; of an ACK all that is behind the type
    Py_ssize_t size


# Reads one frame; returns its size, or 0 when it is none of the above or not well formed.
cdef Py_ssize_t read_frame(const unsigned char* payload, Py_ssize_t size, Frame* frame) noexcept nogil
