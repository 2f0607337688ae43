# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Protection of QUIC packets, by whichever library there is (RFC 9001, section 5)."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

KEY_SIZES = {"aes-128-gcm": 16, "aes-256-gcm": 32, "chacha20-poly1305": 32}
"""Bytes of the key, and of the header protection key, of each cipher (RFC 9001, 5.3)."""

cdef enum:
    LONG_HEADER = 0x80
    LONG_MASK = 0x0F
    SHORT_MASK = 0x1F


cdef uint64_t decode_packet_number(uint64_t truncated, int size, uint64_t expected) noexcept nogil:
    """Return the packet number closest to the expected one that ends with these bytes (RFC 9000, A.3)."""
    cdef uint64_t window = (<uint64_t> 1) << (8 * size)
    cdef uint64_t half = window >> 1
    cdef uint64_t candidate = (expected & ~(window - 1)) | truncated
    if candidate + half <= expected and candidate < ((<uint64_t> 1) << 62) - window:
        return candidate + window
    if candidate > expected + half and candidate >= window:
        return candidate - window
    return candidate


cdef class PacketKeys:
    """PacketKeys(cipher, key, iv, header_key)\n--\n\nThe keys of one direction and key phase; what the ciphers are made with is a subclass's."""

    def __cinit__(self, cipher, bytes key not None, bytes iv not None, bytes header_key not None):
        size = KEY_SIZES.get(cipher)
        if size is None:
            raise ValueError(f"unknown cipher: {cipher}")
        if len(key) != size or len(header_key) != size or len(iv) != IV_SIZE:
            raise ValueError("a key or the IV is not of the cipher's size")
        memcpy(self._iv, PyBytes_AS_STRING(iv), IV_SIZE)
        self.lowest_opened = <uint64_t> -1

    cdef int seal(
        self, unsigned char* packet, Py_ssize_t header_size, Py_ssize_t payload_size, int number_size, uint64_t number
    ) except -1:
        """Protect a packet in place: its header, which ends with the packet number, its payload and 16 free bytes.

        Packet number and payload together are at least 4 bytes, so that there is a sample (RFC 9001, 5.4.2).
        """
        cdef unsigned char[IV_SIZE] nonce
        cdef unsigned char[MASK_SIZE] mask
        cdef unsigned char* place = packet + header_size - number_size
        cdef int i
        self._nonce(number, nonce)
        if (
            self._encrypt(nonce, packet, header_size, packet + header_size, payload_size)
            or self._mask(place + MAX_NUMBER_SIZE, mask)
        ):
            raise RuntimeError("the packet could not be encrypted")
        packet[0] ^= mask[0] & (LONG_MASK if packet[0] & LONG_HEADER else SHORT_MASK)
        for i in range(number_size):
            place[i] ^= mask[1 + i]
        if not self.sealed:
            self.first_sealed = number
        self.sealed += 1
        return 0

    cdef int unmask(
        self,
        const unsigned char* packet,
        Py_ssize_t size,
        Py_ssize_t number_offset,
        unsigned char* header,
        uint64_t* truncated,
    ) noexcept:
        """Write the header without its protection, of number_offset + 4 bytes at most.

        Returns the size of the packet number, 1 to 4, or 0 when the packet is too short to have a sample.
        """
        cdef unsigned char[MASK_SIZE] mask
        cdef uint64_t number = 0
        cdef int number_size, i
        if size < number_offset + MAX_NUMBER_SIZE + SAMPLE_SIZE:
            return 0
        if self._mask(packet + number_offset + MAX_NUMBER_SIZE, mask):
            return 0
        memcpy(header, packet, number_offset)
        header[0] ^= mask[0] & (LONG_MASK if packet[0] & LONG_HEADER else SHORT_MASK)
        number_size = (header[0] & 3) + 1
        for i in range(number_size):
            header[number_offset + i] = packet[number_offset + i] ^ mask[1 + i]
            number = number << 8 | header[number_offset + i]
        truncated[0] = number
        return number_size

    cdef Py_ssize_t open(
        self,
        const unsigned char* header,
        Py_ssize_t header_size,
        const unsigned char* sealed,
        Py_ssize_t sealed_size,
        uint64_t number,
        unsigned char* out,
    ) noexcept:
        """Write the payload of a packet; returns its size, or -1 when the packet is not authentic.

        `out` has sealed_size - 16 bytes; what is in them afterwards counts only when the packet is authentic.
        """
        cdef unsigned char[IV_SIZE] nonce
        if sealed_size < TAG_SIZE:
            return -1
        self._nonce(number, nonce)
        if self._decrypt(nonce, header, header_size, sealed, sealed_size, out):
            return -1
        if number < self.lowest_opened:
            self.lowest_opened = number
        return sealed_size - TAG_SIZE

    cdef void _nonce(self, uint64_t number, unsigned char* nonce) noexcept:
        """Write the IV with the packet number added without carry (RFC 9001, 5.3)."""
        cdef int i
        memcpy(nonce, self._iv, IV_SIZE)
        for i in range(8):
            nonce[IV_SIZE - 1 - i] ^= (number >> (8 * i)) & 0xFF

    cdef int _encrypt(
        self,
        const unsigned char* nonce,
        const unsigned char* header,
        Py_ssize_t header_size,
        unsigned char* payload,
        Py_ssize_t payload_size,
    ) noexcept:
        return -1

    cdef int _decrypt(
        self,
        const unsigned char* nonce,
        const unsigned char* header,
        Py_ssize_t header_size,
        const unsigned char* sealed,
        Py_ssize_t sealed_size,
        unsigned char* out,
    ) noexcept:
        return -1

    cdef int _mask(self, const unsigned char* sample, unsigned char* mask) noexcept:
        return -1

    # For what is not on the data path, and tests.

    def protect(self, bytes header not None, bytes payload not None, number):
        """Return a protected packet.

        Args:
            header: ends with the packet number, whose size is in its first byte.
            payload: at least so many bytes that packet number and payload are 4.
            number: the packet number, 0..2**62-1.
        """
        cdef Py_ssize_t header_size = len(header)
        cdef Py_ssize_t payload_size = len(payload)
        cdef int number_size = (header[0] & 3) + 1
        if header_size <= number_size or number_size + payload_size < MAX_NUMBER_SIZE:
            raise ValueError("no packet is so short")
        packet = PyBytes_FromStringAndSize(NULL, header_size + payload_size + TAG_SIZE)
        cdef unsigned char* out = <unsigned char*> PyBytes_AS_STRING(packet)
        memcpy(out, PyBytes_AS_STRING(header), header_size)
        memcpy(out + header_size, PyBytes_AS_STRING(payload), payload_size)
        self.seal(out, header_size, payload_size, number_size, number)
        return packet

    def unprotect(self, bytes packet not None, Py_ssize_t number_offset, expected):
        """Return header, payload and number of a packet; None when it is too short or not authentic.

        Args:
            packet: one whole packet.
            number_offset: where its packet number stands, 1 at least.
            expected: the packet number that is expected next.
        """
        cdef Py_ssize_t size = PyBytes_GET_SIZE(packet)
        cdef const unsigned char* data = <const unsigned char*> PyBytes_AS_STRING(packet)
        cdef uint64_t number = 0
        if number_offset < 1 or size < number_offset + MAX_NUMBER_SIZE + SAMPLE_SIZE:
            return None
        header = PyBytes_FromStringAndSize(NULL, number_offset + MAX_NUMBER_SIZE)
        cdef unsigned char* plain = <unsigned char*> PyBytes_AS_STRING(header)
        cdef int number_size = self.unmask(data, size, number_offset, plain, &number)
        if number_size == 0:
            return None
        number = decode_packet_number(number, number_size, expected)
        cdef Py_ssize_t header_size = number_offset + number_size
        payload = PyBytes_FromStringAndSize(NULL, size - header_size - TAG_SIZE)
        cdef unsigned char* out = <unsigned char*> PyBytes_AS_STRING(payload)
        if self.open(plain, header_size, data + header_size, size - header_size, number, out) < 0:
            return None
        return header[:header_size], payload, number
