"""One WebTransport data stream, for the session that keeps it."""

from libc.stdint cimport int64_t

from .chunks cimport ChunkQueue
from .credit cimport ReceiveCredit, SendCredit


cdef class DataStream:
    cdef public int64_t stream_id
    cdef object key  # the id as an object: dictionaries find the one that they know more quickly than an equal one
    cdef public object session
    cdef public object handle
    cdef public object reset_code
    cdef public object stop_code
    cdef public object send_error
    cdef public object receive_error
    cdef public int64_t bytes_sent
    cdef public int64_t bytes_received
    cdef public int64_t bytes_dropped
    cdef public int64_t bytes_discarded
    cdef public bint is_local
    cdef public bint wants_readable
    cdef public bint wants_writable
    cdef public bint can_send
    cdef public bint receiving_over
    cdef public bint awaits_settling
    cdef public bint _sending_over
    cdef public bint _reset_sent
    cdef public bint _reset_received
    cdef public bint _has_pending_fin
    cdef public bint _is_taken
    cdef public int64_t _header_size
    cdef public int64_t _credited
    cdef public int64_t _missing
    cdef public object _expected  # what a program asks for, however much
    cdef public object _low_water
    cdef public ChunkQueue _inbox
    cdef public ChunkQueue _outbox
    cdef SendCredit _sending
    cdef ReceiveCredit _receiving

    cdef int begin(
        self,
        int64_t stream_id,
        session,
        SendCredit sending,
        ReceiveCredit receiving,
        bint is_local,
        int64_t header_size,
    ) except -1
    # What `read` returns.
    cdef object take_out(self, max_bytes)
    cdef int put(self, data, bint end_stream) except -1
    cdef int take_data(self, bytes data, bint end_stream) except -1
    cdef int finish(self) except -1
    cdef bint _was_aborted(self) noexcept
    cdef bint _done_with(self) noexcept
    cdef int _take(self) except -1
    cdef int _give_credit(self, int64_t nbytes) except -1


# One of a class that derives from `DataStream` and has no constructor of its own; it is still to `begin`.
cdef DataStream new_stream(cls)


cdef class StreamSignal:
    cdef public object stream


cdef class StreamBytes:
    cdef public object stream_id
    cdef public object data
    cdef public object end_stream


# One of a class that derives from `StreamBytes` and has no constructor of its own.
cdef StreamBytes new_stream_bytes(cls, stream_id, data, end_stream)
