"""Protection of QUIC packets, by whichever library there is (RFC 9001, section 5)."""

from libc.stdint cimport uint64_t


cdef enum:
    IV_SIZE = 12
    TAG_SIZE = 16
    SAMPLE_SIZE = 16
    MASK_SIZE = 5
    MAX_NUMBER_SIZE = 4  # bytes of a packet number on the wire


cdef class PacketKeys:
    """The keys of one direction and key phase."""

    cdef unsigned char[IV_SIZE] _iv
    cdef readonly uint64_t sealed
    cdef uint64_t first_sealed  # numbers of the first packet protected, and of the lowest read
    cdef uint64_t lowest_opened

    cdef int seal(
        self, unsigned char* packet, Py_ssize_t header_size, Py_ssize_t payload_size, int number_size, uint64_t number
    ) except -1
    cdef int unmask(
        self,
        const unsigned char* packet,
        Py_ssize_t size,
        Py_ssize_t number_offset,
        unsigned char* header,
        uint64_t* truncated,
    ) noexcept
    cdef Py_ssize_t open(
        self,
        const unsigned char* header,
        Py_ssize_t header_size,
        const unsigned char* sealed,
        Py_ssize_t sealed_size,
        uint64_t number,
        unsigned char* out,
    ) noexcept

    cdef void _nonce(self, uint64_t number, unsigned char* nonce) noexcept
    # What a library does, in subclasses; 0, or -1 when it failed, never with an exception set.
    cdef int _encrypt(
        self,
        const unsigned char* nonce,
        const unsigned char* header,
        Py_ssize_t header_size,
        unsigned char* payload,
        Py_ssize_t payload_size,
    ) noexcept
    cdef int _decrypt(
        self,
        const unsigned char* nonce,
        const unsigned char* header,
        Py_ssize_t header_size,
        const unsigned char* sealed,
        Py_ssize_t sealed_size,
        unsigned char* out,
    ) noexcept
    cdef int _mask(self, const unsigned char* sample, unsigned char* mask) noexcept


cdef uint64_t decode_packet_number(uint64_t truncated, int size, uint64_t expected) noexcept nogil
