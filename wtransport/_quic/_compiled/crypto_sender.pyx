# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""What of TLS is to be sent with keys of one epoch; aioquic's ``QuicStreamSender`` for CRYPTO frames (RFC 9000, 19.6).

Such a stream has no end and no flow control, and is over with the handshake: what was written stays until then.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE

from aioquic.quic.packet import QuicStreamFrame
from aioquic.quic.packet_builder import QuicDeliveryState
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.stream import QuicStreamReceiver

cdef object _LOST = QuicDeliveryState.LOST


cdef class CryptoSender:
    """CryptoSender()\n--\n\nThe sending half of a stream of TLS messages; see aioquic's sender for its methods."""

    def __cinit__(self):
        self._data = b""

    @property
    def buffer_is_empty(self):
        """Tell whether there is nothing to send."""
        return self.is_empty()

    cdef bint is_empty(self) noexcept:
        return self._next == PyBytes_GET_SIZE(self._data) and (self._lost is None or PyList_GET_SIZE(self._lost) == 0)

    @property
    def next_offset(self):
        """Return the offset of the next frame."""
        return self._lost[0][0] if self._lost else self._next

    def write(self, data):
        """Send some more bytes."""
        self._data += bytes(data)

    def get_frame(self, Py_ssize_t max_size):
        """Return a frame with so many bytes at most; None when there is nothing to send, or no room."""
        frame = self.take_frame(max_size)
        return None if frame is None else QuicStreamFrame(frame[1], False, frame[0])

    def take_frame(self, Py_ssize_t max_size):
        """Return a frame's offset and bytes, so many at most; None when there is nothing to send, or no room."""
        cdef Py_ssize_t start, stop, end
        if max_size <= 0:
            return None
        if self._lost:
            start, end = self._lost[0]
            stop = min(end, start + max_size)
            if stop < end:
                self._lost[0] = stop, end
            else:
                del self._lost[0]
        else:
            start = self._next
            stop = min(PyBytes_GET_SIZE(self._data), start + max_size)
            if stop == start:
                return None
            self._next = stop
        return start, self._data[start:stop]

    def on_data_delivery(self, delivery, Py_ssize_t start, Py_ssize_t stop, fin):
        """Take the fate of a frame."""
        if delivery is _LOST:
            if self._lost is None:
                self._lost = []
            if (start, stop) not in self._lost:
                self._lost.append((start, stop))
                self._lost.sort()
        elif self._lost and (start, stop) in self._lost:
            self._lost.remove((start, stop))  # late, not lost


cdef class MessageStream:
    """MessageStream()\n--\n\nA stream of TLS messages; the half that receives is made when something comes."""

    def __cinit__(self):
        self.sender = CryptoSender()

    @property
    def receiver(self):
        """The half that receives."""
        if self._receiver is None:
            self._receiver = MessageReceiver()
        return self._receiver


class MessageReceiver(QuicStreamReceiver):
    """The receiving half of such a stream, whose attributes are the class's until they change."""

    highest_offset = 0
    is_finished = False
    stop_pending = False
    _buffer_start = 0
    _final_size = None
    _stop_error_code = None
    _stream_id = None

    def __init__(self):
        self._buffer = bytearray()
        self._ranges = RangeSet()
