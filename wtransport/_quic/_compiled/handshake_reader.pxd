"""The receiving side of a handshake."""

from .headers cimport Header
from .space cimport PacketSpace
from .tls_reader cimport TlsReader


cdef class HandshakeReader(TlsReader):
    cdef int _look_at(self, bytes data, object address, Header* headers) except -1
    cdef bint _fits(self, const unsigned char* data, Py_ssize_t size, Header* header) except -1
    cdef bint _is_from_peer(self, const unsigned char* data, Header* header) except -1
    cdef bint _take_packet(self, bytes data, Header* header, object path, double now) except -1
    cdef Py_ssize_t _take_ack(
        self, object context, PacketSpace space, const unsigned char* data, Py_ssize_t size, bint is_ecn
    ) except -1
    cdef object _act_on(self, object context, object buf)
