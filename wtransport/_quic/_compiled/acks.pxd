"""ACK frames as they come (RFC 9000, section 19.3), behind their type."""

from libc.stdint cimport int64_t

from ..._speedups._compiled.wire cimport read_varint


cdef inline Py_ssize_t ack_size(const unsigned char* data, Py_ssize_t size, bint is_ecn) noexcept nogil:
    """Return how many bytes the frame takes; -1 when it is cut or a packet number is negative. Nothing else changes."""
    cdef int64_t lowest, delay, ranges, length, gap
    cdef Py_ssize_t at = 0
    cdef int step
    step = read_varint(data, size, &lowest)
    if not step:
        return -1
    at += step
    step = read_varint(data + at, size - at, &delay)
    if not step:
        return -1
    at += step
    step = read_varint(data + at, size - at, &ranges)
    if not step:
        return -1
    at += step
    step = read_varint(data + at, size - at, &length)
    if not step or length > lowest:
        return -1
    at += step
    lowest -= length
    while ranges:
        step = read_varint(data + at, size - at, &gap)
        if not step:
            return -1
        at += step
        step = read_varint(data + at, size - at, &length)
        if not step or gap + 2 > lowest or length > lowest - gap - 2:
            return -1
        at += step
        lowest -= gap + 2 + length
        ranges -= 1
    if is_ecn:
        ranges = 3
        while ranges:
            step = read_varint(data + at, size - at, &gap)
            if not step:
                return -1
            at += step
            ranges -= 1
    return at
