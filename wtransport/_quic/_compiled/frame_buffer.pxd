"""What a packet is built with: a record of it, and the place where its frames are written."""

from libc.stdint cimport int64_t


cdef class SentRecord:
    cdef public object epoch
    cdef public bint in_flight
    cdef public bint is_ack_eliciting
    cdef public bint is_crypto_packet
    cdef public int64_t packet_number
    cdef public object packet_type
    cdef public object sent_time
    cdef public int64_t sent_bytes
    cdef public list delivery_handlers
    cdef public list quic_logger_frames


cdef class FrameBuffer:
    cdef unsigned char* data
    cdef Py_ssize_t position
    cdef Py_ssize_t capacity

    cdef unsigned char* place(self, Py_ssize_t size) except NULL
