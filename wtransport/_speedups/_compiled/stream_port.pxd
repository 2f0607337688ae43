"""The port of a connection, for the kernels that ask it something for every stream.

Another port than a `StreamPort` is asked by the names of `QuicPort`.
"""

from libc.stdint cimport int64_t


cdef class StreamPort:
    # Opens a stream that begins with a header; -1 when the peer allows no more. `flush_begun` is to follow.
    cdef int64_t begin_stream(self, bint unidirectional, header) except -2
    cdef int flush_begun(self) except -1
    cdef int put(self, int64_t stream_id, data, bint end_stream) except -1
    cdef int credit(self, int64_t stream_id, int64_t nbytes) except -1
    cdef int free_place(self, int64_t stream_id) except -1
    cdef int64_t count_unsent(self, int64_t stream_id) except -1
    cdef int64_t count_room(self, int64_t stream_id) except -1


cdef inline int send_on(object port, int64_t stream_id, data, bint end_stream) except -1:
    """`QuicPort.send_stream`."""
    if isinstance(port, StreamPort):
        return (<StreamPort> port).put(stream_id, data, end_stream)
    port.send_stream(stream_id, data, end_stream)
    return 0


cdef inline int consume_on(object port, int64_t stream_id, int64_t nbytes) except -1:
    """`QuicPort.consume`."""
    if isinstance(port, StreamPort):
        return (<StreamPort> port).credit(stream_id, nbytes)
    port.consume(stream_id, nbytes)
    return 0


cdef inline int release_on(object port, int64_t stream_id) except -1:
    """`QuicPort.release_stream`."""
    if isinstance(port, StreamPort):
        return (<StreamPort> port).free_place(stream_id)
    port.release_stream(stream_id)
    return 0


cdef inline int64_t unsent_on(object port, int64_t stream_id) except -1:
    """`QuicPort.unsent_bytes`."""
    return (<StreamPort> port).count_unsent(stream_id) if isinstance(port, StreamPort) else port.unsent_bytes(stream_id)


cdef inline int64_t room_on(object port, int64_t stream_id) except -1:
    """`QuicPort.send_room`."""
    return (<StreamPort> port).count_room(stream_id) if isinstance(port, StreamPort) else port.send_room(stream_id)
