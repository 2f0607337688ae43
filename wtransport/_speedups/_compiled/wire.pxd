"""Varints in C memory (RFC 9000, section 16), inlined into every kernel.

Every function is given how many bytes it may read, or the caller has made sure of the room to write; no pointer is
kept.
"""

from libc.stdint cimport int64_t, uint64_t


cdef inline int varint_length(int64_t value) noexcept nogil:
    """Return how many bytes the shortest encoding takes; value is in 0..2**62-1."""
    if value < 0x40:
        return 1
    if value < 0x4000:
        return 2
    if value < 0x40000000:
        return 4
    return 8


cdef inline int write_varint(unsigned char* out, int64_t value) noexcept nogil:
    """Write the shortest encoding, at most 8 bytes, and return its length; value is in 0..2**62-1."""
    cdef int length = varint_length(value)
    cdef uint64_t bits = <uint64_t> value
    cdef int i
    for i in range(length - 1, 0, -1):
        out[i] = bits & 0xFF
        bits >>= 8
    # The first byte keeps its 6 bits; above them goes the base-2 logarithm of the length.
    if length == 1:
        out[0] = <unsigned char> bits
    elif length == 2:
        out[0] = <unsigned char> (bits | 0x40)
    elif length == 4:
        out[0] = <unsigned char> (bits | 0x80)
    else:
        out[0] = <unsigned char> (bits | 0xC0)
    return length


cdef inline int read_varint(const unsigned char* data, Py_ssize_t size, int64_t* value) noexcept nogil:
    """Read one varint from the first of size bytes and return its length, or 0 if more bytes are needed."""
    cdef int length, i
    cdef uint64_t bits
    if size < 1:
        return 0
    length = 1 << (data[0] >> 6)
    if size < length:
        return 0
    bits = data[0] & 0x3F
    for i in range(1, length):
        bits = (bits << 8) | data[i]
    value[0] = <int64_t> bits
    return length
