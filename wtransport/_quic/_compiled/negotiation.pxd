"""What two ends tell each other once."""

from .packet_writer cimport PacketWriter


cdef class Negotiation(PacketWriter):
    cdef bint _keeps_version(self) except -1
    cdef bint _take_known(self, bytes data) except -1
    cdef bint _has_room_for(self, number) except -1
