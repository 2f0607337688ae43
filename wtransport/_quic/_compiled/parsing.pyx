# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Frames of the peer as they stand in a packet (RFC 9000, section 19; RFC 9221).

Only the frames of a connection at work are known here, those of a handshake, of paths and of connection ids are not:
whoever reads a packet looks first whether all of it is known, and else leaves all of it to aioquic.
"""

from __future__ import annotations

from libc.stdint cimport int64_t

from ..._speedups._compiled.wire cimport read_varint
from .acks cimport ack_size
from .frame_types cimport (
    ACK,
    ACK_ECN,
    DATAGRAM,
    DATAGRAM_LENGTH,
    MAX_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    PADDING,
    PING,
    RESET_STREAM_AT,
    STREAM,
    STREAMS_BLOCKED_BIDI,
    STREAMS_BLOCKED_UNI,
    STREAM_LENGTH,
    STREAM_OFFSET,
)

cdef int64_t MAX_STREAM_COUNT = (<int64_t> 1) << 60

# Varints of each type's frame, 0 where it is not as simple as that.
cdef unsigned char[0x25] FIELDS = [
    0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 2, 1, 1, 1, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 4,
]


cdef Py_ssize_t read_frame(const unsigned char* payload, Py_ssize_t size, Frame* frame) noexcept nogil:
    cdef int kind = payload[0]
    frame.type = kind
    if STREAM <= kind < MAX_DATA:
        return _read_stream(payload, size, frame)
    if kind == DATAGRAM or kind == DATAGRAM_LENGTH:
        return _read_datagram(payload, size, frame)
    if kind == ACK or kind == ACK_ECN:
        return _read_ack(payload, size, frame)
    if kind == PING:
        return 1
    if kind == PADDING:
        return _skip_padding(payload, size)
    if kind <= RESET_STREAM_AT and FIELDS[kind]:
        return _read_fields(payload, size, FIELDS[kind], frame)
    return 0


cdef Py_ssize_t _skip_padding(const unsigned char* payload, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t end = 1
    while end < size and payload[end] == 0:
        end += 1
    return end


cdef Py_ssize_t _read_fields(const unsigned char* payload, Py_ssize_t size, int count, Frame* frame) noexcept nogil:
    cdef Py_ssize_t position = 1
    cdef int i, length
    for i in range(count):
        length = read_varint(payload + position, size - position, &frame.fields[i])
        if length == 0:
            return 0
        position += length
    if frame.fields[0] > MAX_STREAM_COUNT and _counts_streams(frame.type):
        return 0
    return position


cdef bint _counts_streams(int kind) noexcept nogil:
    return MAX_STREAMS_BIDI <= kind <= MAX_STREAMS_UNI or STREAMS_BLOCKED_BIDI <= kind <= STREAMS_BLOCKED_UNI


cdef Py_ssize_t _read_stream(const unsigned char* payload, Py_ssize_t size, Frame* frame) noexcept nogil:
    cdef Py_ssize_t position = 1
    cdef int64_t length
    cdef int used = read_varint(payload + 1, size - 1, &frame.fields[0])
    if used == 0:
        return 0
    position += used
    frame.fields[1] = 0
    if frame.type & STREAM_OFFSET:
        used = read_varint(payload + position, size - position, &frame.fields[1])
        if used == 0:
            return 0
        position += used
    length = size - position
    if frame.type & STREAM_LENGTH:
        used = read_varint(payload + position, size - position, &length)
        if used == 0 or length > size - position - used:
            return 0
        position += used
    frame.data = payload + position
    frame.size = length
    return position + length


cdef Py_ssize_t _read_datagram(const unsigned char* payload, Py_ssize_t size, Frame* frame) noexcept nogil:
    cdef int64_t length = size - 1
    cdef int used = 0
    if frame.type == DATAGRAM_LENGTH:
        used = read_varint(payload + 1, size - 1, &length)
        if used == 0 or length > size - 1 - used:
            return 0
    frame.data = payload + 1 + used
    frame.size = length
    return 1 + used + length


cdef Py_ssize_t _read_ack(const unsigned char* payload, Py_ssize_t size, Frame* frame) noexcept nogil:
    cdef Py_ssize_t length = ack_size(payload + 1, size - 1, frame.type == ACK_ECN)
    if length < 0:
        return 0
    frame.data = payload + 1
    frame.size = length
    return 1 + length
