"""Headers of packets as they stand in a datagram (RFC 9000, section 17; RFC 9369, 3.2)."""

from libc.stdint cimport uint32_t


cdef enum HeaderKind:
    KIND_INITIAL = 0  # of a long header as version 1 has it
    KIND_HANDSHAKE = 2
    KIND_SHORT = 4


cdef struct Header:
    int kind
    uint32_t version  # 0 of a short one
    Py_ssize_t start  # of the packet in its datagram
    Py_ssize_t number_offset  # of its packet number, from there
    Py_ssize_t end  # where the next one begins
    Py_ssize_t destination  # connection ids
    Py_ssize_t destination_size
    Py_ssize_t source
    Py_ssize_t source_size


cdef bint read_header(
    const unsigned char* data, Py_ssize_t size, Py_ssize_t start, Py_ssize_t connection_id_size, Header* header
) noexcept nogil
