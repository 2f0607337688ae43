"""The receiving side of the data path."""

from libc.stdint cimport uint64_t

from .handshake_reader cimport HandshakeReader
from .parsing cimport Frame


cdef class PacketReader(HandshakeReader):
    cdef int read_packet(self, object data, object address, double now) except -1

    cdef int _act(self, Frame* frame, double now) except -1
    cdef int _take_datagram(self, Frame* frame) except -1
