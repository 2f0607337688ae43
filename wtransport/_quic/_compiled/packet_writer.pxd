"""The sending side of the data path."""

from .handshake_writer cimport HandshakeWriter
from .sent cimport FrameList


cdef class PacketWriter(HandshakeWriter):
    cdef bint may_write(self) except -1
    cdef int write_packets(self, list datagrams, double now) except -1

    cdef bint _is_plain(self) except -1
    cdef bint _has_no_crypto(self) except -1
    cdef bytes _identity(self)
    cdef Py_ssize_t _write_frames(
        self, unsigned char* body, Py_ssize_t room, Py_ssize_t flight, double now, FrameList* frames, bint* is_eliciting
    ) except -1
    cdef object _seal(self, unsigned char* packet, Py_ssize_t header_size, int number_size, Py_ssize_t size)
