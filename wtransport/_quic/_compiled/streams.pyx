# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""A stream and its two halves; the specification is the twin in ``_quic/streams.py``."""

from __future__ import annotations

cimport cython
from libc.stdint cimport int64_t

from .receiving cimport ReceiveHalf
from .sending cimport SendHalf


@cython.final
@cython.no_gc
cdef class QuicStream:
    """One QUIC stream: two halves, and whether it waits to be served by the packet writer."""

    def __cinit__(self):
        self.send = SendHalf.__new__(SendHalf)
        self.receive = ReceiveHalf.__new__(ReceiveHalf)

    def __init__(self, int64_t stream_id, SendHalf send not None, ReceiveHalf receive not None):
        self.stream_id = stream_id
        self.send = send
        self.receive = receive

    @property
    def is_finished(self):
        """Tell whether both halves are over, so that the state may go."""
        return self.send.is_finished and self.receive.is_finished


cdef QuicStream new_stream(int64_t stream_id, int64_t limit, int64_t window):
    cdef QuicStream stream = QuicStream.__new__(QuicStream)
    stream.stream_id = stream_id
    stream.send.begin(limit)
    stream.receive.begin(window)
    return stream
