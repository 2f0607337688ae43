# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Headers of packets as they stand in a datagram (RFC 9000, section 17; RFC 9369, 3.2)."""

from __future__ import annotations

from libc.stdint cimport int64_t, uint32_t

from ..._speedups._compiled.wire cimport read_varint

cdef enum:
    LONG_HEADER = 0x80
    FIXED_BIT = 0x40
    MAX_CONNECTION_ID = 20

cdef uint32_t VERSION_2 = 0x6B3343CF


cdef bint read_header(
    const unsigned char* data, Py_ssize_t size, Py_ssize_t start, Py_ssize_t connection_id_size, Header* header
) noexcept nogil:
    """Read where everything is in a packet; False when it is cut, or of another kind than those of `HeaderKind`."""
    cdef Py_ssize_t position = start + 1
    cdef int64_t length = 0
    cdef int used
    header.start = start
    header.version = 0
    if not data[start] & LONG_HEADER:
        header.kind = KIND_SHORT
        header.destination = position
        header.destination_size = connection_id_size
        header.source = header.source_size = 0
        header.number_offset = 1 + header.destination_size
        header.end = size
        return header.number_offset <= size - start
    if size - position < 6 or not data[start] & FIXED_BIT:
        return False
    header.version = (
        <uint32_t> data[position] << 24 | <uint32_t> data[position + 1] << 16
        | <uint32_t> data[position + 2] << 8 | data[position + 3]
    )
    header.kind = data[start] >> 4 & 3
    if header.version == VERSION_2:
        header.kind = (header.kind - 1) & 3
    position += 4
    header.destination_size = data[position]
    header.destination = position + 1
    position += 1 + header.destination_size
    if header.destination_size > MAX_CONNECTION_ID or position >= size:
        return False
    header.source_size = data[position]
    header.source = position + 1
    position += 1 + header.source_size
    if header.source_size > MAX_CONNECTION_ID or position > size:
        return False
    if header.kind == KIND_INITIAL:
        used = read_varint(data + position, size - position, &length)
        if not used or length > size - position - used:
            return False
        position += used + length
    elif header.kind != KIND_HANDSHAKE:
        return False
    used = read_varint(data + position, size - position, &length)
    if not used or length > size - position - used:
        return False
    position += used
    header.number_offset = position - start
    header.end = position + length
    return True
