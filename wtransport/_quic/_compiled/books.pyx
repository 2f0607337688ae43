# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""The books that the stream table keeps; the specification is the twin in ``_quic/stream_table.py``."""

from __future__ import annotations

from libc.stdint cimport int64_t

from .flow cimport ReceiveWindow, RemoteLimits, StreamLimit
from .line cimport line_at, line_free, line_push
from .receiving cimport ReceiveHalf
from .sending cimport SendHalf
from .stream_bytes cimport StreamBytesEvents
from .streams cimport QuicStream, new_stream

from ...constants import ErrorCodes
from ..limits import PeerLimits
from ..port import StreamDrained, StreamOver
from ..violations import TransportViolation

cdef object _NOTHING = PeerLimits()


cdef class StreamBooks:
    """What is known of all streams, who may open and send how much, and who stands in line to be served."""

    def __init__(self, *, bint is_client, limits, emit, queue=None):
        self.streams = {}
        self.waiting_for_max_data = {}
        self.receive_window = ReceiveWindow(limits.connection_window)
        self.bidi_limit = StreamLimit(limits.max_streams_bidi)
        self.uni_limit = StreamLimit(limits.max_streams_uni)
        self.peer_limits = self.bidi_limit, self.uni_limit
        self.peer = RemoteLimits(_NOTHING)
        self.blocked_at = -1
        self.is_client = is_client
        self.stream_window = limits.stream_window
        self.emit = emit
        self.arrived = StreamBytesEvents(emit, queue)
        self.ids_to_open[0] = not is_client
        self.ids_to_open[1] = self.ids_to_open[0] + 2

    def __dealloc__(self):
        line_free(&self.line)

    # What both twins show.

    @property
    def remote(self):
        """What the peer allows us; what is set is copied."""
        return self.peer

    @remote.setter
    def remote(self, limits):
        self.peer = RemoteLimits(limits)

    @property
    def ready(self):
        """Return the streams that stand in line to be served."""
        return [line_at(&self.line, i) for i in range(self.line.count)]

    @property
    def next_ids(self):
        """Return the ids of the streams that we open next, by direction."""
        return [self.ids_to_open[0], self.ids_to_open[1]]

    @property
    def send_credit(self):
        """Return how many new bytes the peer's MAX_DATA still allows."""
        return self.peer.max_data - self.data_used

    def remote_max_streams(self, *, bint unidirectional):
        """Return how many streams of a direction the peer lets us open in all."""
        return self.streams_allowed(unidirectional)

    def enqueue(self, QuicStream stream not None):
        """Put a stream in line to be served, unless it stands there already."""
        self.line_up(stream)

    def wait_for_max_data(self, QuicStream stream not None):
        """Remember that a stream can go on only when MAX_DATA rises."""
        self.waiting_for_max_data[stream] = None

    def sent(self, QuicStream stream not None, int64_t new_bytes):
        """Account for bytes sent for the first time."""
        self.account_sent(stream, new_bytes)

    def forget_if_finished(self, QuicStream stream not None):
        """Drop a stream's state once both halves are over."""
        self.forget_if_over(stream)

    # What is known.

    cdef QuicStream find(self, int64_t stream_id):
        cdef QuicStream stream = self.latest
        if stream is None or stream.stream_id != stream_id:
            stream = self.streams.get(stream_id)
            if stream is not None:
                self.latest = stream
        return stream

    cdef int add(self, QuicStream stream) except -1:
        self.streams[stream.stream_id] = self.latest = stream
        return 0

    # What the packet writer asks and tells.

    cdef int line_up(self, QuicStream stream) except -1:
        if not stream.is_queued:
            line_push(&self.line, stream)
            stream.is_queued = True
        return 0

    cdef int account_sent(self, QuicStream stream, int64_t new_bytes) except -1:
        cdef SendHalf send = stream.send
        self.data_used += new_bytes
        if send.low_water >= 0 and send.end - send.offset <= send.low_water:
            send.low_water = -1
            self.emit(StreamDrained(stream.stream_id))
        return 0

    cdef bint credit_read(self, int64_t stream_id, int64_t nbytes) except -1:
        """`consume`."""
        cdef bint due = self.receive_window.give_back(nbytes)
        cdef QuicStream stream = self.find(stream_id)
        self.limits_due |= due
        if stream is not None and stream.receive.final_offset < 0 and stream.receive.window.give_back(nbytes):
            self.line_up(stream)
            return True
        return due

    cdef int64_t streams_allowed(self, bint unidirectional) noexcept:
        return self.peer.max_streams_uni if unidirectional else self.peer.max_streams_bidi

    cdef int repeat_data_blocked(self, int64_t limit) except -1:
        """Tell the peer once more that its MAX_DATA holds us back, if this one still does."""
        cdef QuicStream stream
        if self.peer.max_data != limit:
            return 0
        for stream in self.waiting_for_max_data:
            if stream.send.end > stream.send.offset:
                self.blocked_at = -1
                return self.line_up(stream)
        return 0

    cdef void repeat_streams_blocked(self, int64_t limit, bint unidirectional) noexcept:
        """Tell the peer once more that its MAX_STREAMS holds us back, if this one still does."""
        if self.wants_streams[unidirectional] and self.streams_allowed(unidirectional) == limit:
            self.blocked_due[unidirectional] = True

    cdef int forget_if_over(self, QuicStream stream) except -1:
        if stream.send.is_finished and stream.receive.is_finished:
            self.forget(stream)
        return 0

    cdef int forget(self, QuicStream stream) except -1:
        """Drop a stream's state; one that owes a stop is kept until `stop_told`."""
        if stream.owes_stop:
            return 0
        if self.streams.pop(stream.stream_id, None) is None:
            return 0
        if stream is self.latest:
            self.latest = None
        if self.waiting_for_max_data:
            self.waiting_for_max_data.pop(stream, None)
        if (stream.stream_id & 1) == self.is_client:
            if stream.is_released:
                self.free_place(stream.stream_id)
            else:
                self.emit(StreamOver(stream.stream_id))
        return 0

    cdef bint free_place(self, int64_t stream_id) except -1:
        """Let the peer open another stream; True when that is now to be announced."""
        cdef StreamLimit limit = self.uni_limit if stream_id & 2 else self.bidi_limit
        cdef bint due = limit.free_one()
        self.limits_due |= due
        return due

    # Who is meant by a frame.

    cdef QuicStream receiving(self, int64_t stream_id):
        if stream_id & 2 and (stream_id & 1) != self.is_client:
            raise TransportViolation(ErrorCodes.STREAM_STATE_ERROR, "the stream is send-only")
        cdef QuicStream stream = self.find(stream_id)
        return self._of_peer(stream_id) if stream is None else stream

    cdef QuicStream sending(self, int64_t stream_id):
        if stream_id & 2 and (stream_id & 1) == self.is_client:
            raise TransportViolation(ErrorCodes.STREAM_STATE_ERROR, "the stream is receive-only")
        cdef QuicStream stream = self.find(stream_id)
        return self._of_peer(stream_id) if stream is None else stream

    cdef QuicStream _of_peer(self, int64_t stream_id):
        """Open the stream that a frame names, and every lower one of its kind (RFC 9000, 3.2)."""
        cdef bint unidirectional = (stream_id & 2) != 0
        cdef StreamLimit limit = self.uni_limit if unidirectional else self.bidi_limit
        cdef int64_t count = (stream_id >> 2) + 1
        cdef int64_t credit, number, opened_id
        cdef QuicStream stream = None
        if (stream_id & 1) != self.is_client:
            if stream_id < self.ids_to_open[unidirectional]:
                return None
            raise TransportViolation(ErrorCodes.STREAM_STATE_ERROR, "a frame names a stream that was not opened")
        if count <= limit.opened:
            return None
        if count > limit.limit:
            raise TransportViolation(ErrorCodes.STREAM_LIMIT_ERROR, "too many streams opened")
        credit = 0 if unidirectional else self.peer.max_stream_data_bidi_local
        for number in range(limit.opened, count):
            opened_id = (number << 2) | (stream_id & 3)
            stream = new_stream(opened_id, credit, self.stream_window)
            stream.send.is_finished = unidirectional
            self.add(stream)
        limit.opened = count
        if limit.is_worth_announcing():
            self.limits_due = True  # streams that closed earlier count from now on
        return stream

    cdef int check_credit(self, ReceiveHalf receive, int64_t end, int64_t new_bytes) except -1:
        """See to it that bytes up to an offset may be sent by the peer."""
        if end > receive.window.limit:
            raise TransportViolation(ErrorCodes.FLOW_CONTROL_ERROR, "over the stream's data limit")
        if self.receive_window.received + new_bytes > self.receive_window.limit:
            raise TransportViolation(ErrorCodes.FLOW_CONTROL_ERROR, "over the connection's data limit")
        return 0
