"""The sending side of a handshake."""

from .packet_reader cimport PacketReader
from .space cimport PacketSpace


cdef class HandshakeWriter(PacketReader):
    cdef bint _may_build(self) except -1
    cdef bint _is_due(self, double now) except -1
    cdef int _write_early(self, object builder, object epoch, double now) except -1
    cdef int _write_late(self, object builder, double now) except -1
    cdef int _write_for_connection(self, object builder) except -1
    cdef int _write_acknowledgement(self, object builder, PacketSpace space, double now) except -1
    cdef bint _write_crypto(self, object builder, object sender) except -1
    cdef list _sent(self, object builder, object path, double now)
