# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Fills packets with the frames of streams, limits and datagrams; the specification is ``_quic/frame_writer.py``."""

from __future__ import annotations

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport fmax, fmin
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from ..._speedups._compiled.ring cimport Ring, ring_at, ring_pop
from ..._speedups._compiled.wire cimport varint_length
from .datagrams cimport OutgoingDatagrams
from .flow cimport ReceiveWindow, StreamLimit
from .frame_types cimport DATAGRAM_LENGTH, MAX_DATA, MAX_STREAMS_BIDI, STREAMS_BLOCKED_BIDI
from .line cimport line_at, line_pop, line_push
from .sent cimport (
    FRAME_DATA_BLOCKED,
    FRAME_LIMIT,
    FRAME_MAX_STREAM_DATA,
    FRAME_RESET,
    FRAME_STOP_SENDING,
    FRAME_STREAM,
    FRAME_STREAMS_BLOCKED_BIDI,
    FrameList,
    SentFrame,
    frames_free,
    frames_push,
)
from .streams cimport QuicStream
from .table cimport StreamTable
from .writing cimport ALL, FULL, MIN_STREAM_ROOM, ONE_FIELD, StreamWriter

from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilderStop

from ..._speedups._inputs import as_bytes
from ..frame_writer import MAX_TURN_BYTES, TURN_BYTES, TURNS_PER_WINDOW

cdef object _ACKED = QuicDeliveryState.ACKED
cdef double _TURN_BYTES = TURN_BYTES
cdef double _MAX_TURN_BYTES = MAX_TURN_BYTES
cdef double _TURNS_PER_WINDOW = TURNS_PER_WINDOW


@cython.final
cdef class _SentFrames:
    """A packet's frames, as a delivery handler of aioquic's."""

    cdef FrameWriter writer
    cdef FrameList frames

    def __dealloc__(self):
        frames_free(&self.frames)

    def __call__(self, state):
        """Settle the packet's fate."""
        cdef bint acknowledged = state is _ACKED
        cdef Py_ssize_t i
        for i in range(self.frames.count):
            self.writer.on_fate(&self.frames.items[i], acknowledged)
        frames_free(&self.frames)


cdef class FrameWriter(StreamWriter):
    """Serves the ready streams of a table, and a queue of datagrams, packet by packet."""

    def __cinit__(self, StreamTable table not None):
        self.datagrams = OutgoingDatagrams()
        self.turn_bytes = TURN_BYTES

    @property
    def has_work(self):
        """Tell whether anything waits to be written."""
        return self.has_frames()

    @property
    def datagrams_dropped(self):
        """Return how many datagrams were dropped, as no packet could hold them any more."""
        return self.datagrams.dropped

    def write(self, builder):
        """Fill the current packet of aioquic's builder; QuicPacketBuilderStop when not all fits."""
        self._push_to(builder, False)

    def write_limits(self, builder):
        """Announce MAX_DATA and MAX_STREAMS where they changed, and STREAMS_BLOCKED where we are."""
        if self.table.limits_due or self.table.blocked_due[0] or self.table.blocked_due[1]:
            self._push_to(builder, True)

    def queue_datagram(self, data):
        """Queue a datagram; what streams had ready before the queue's first one goes out ahead of it."""
        self.push_datagram(data if type(data) is bytes else as_bytes(data))

    def drop_oversized_datagrams(self, Py_ssize_t packet_room):
        """Drop datagrams at the head that no packet holds any more; True when there were any."""
        return self.datagrams.drop_oversized(packet_room)

    cdef bint has_frames(self) noexcept:
        cdef StreamTable table = self.table
        return (
            table.line.count != 0
            or self.datagrams.ring.count != 0
            or table.limits_due
            or table.blocked_due[0]
            or table.blocked_due[1]
        )

    cdef void size_turns(self, double window) noexcept:
        """Let streams take turns that fit a congestion window; see `turn_bytes` of the twin's module."""
        self.turn_bytes = <Py_ssize_t> fmin(fmax(window / _TURNS_PER_WINDOW, _TURN_BYTES), _MAX_TURN_BYTES)

    cdef int push_datagram(self, bytes data) except -1:
        if self.datagrams.ring.count == 0 and self.table.line.count:
            self.streams_first = True
        return self.datagrams.push(data)

    cdef Py_ssize_t fill(self, unsigned char* out, Py_ssize_t room, FrameList* frames) except -1:
        self.begin(out, room, frames)
        if self._write_limits() != FULL:
            self._write_turns()
        return self.out - out

    cdef int on_fate(self, SentFrame* frame, bint acknowledged) except -1:
        """Settle a frame: each is acknowledged or lost exactly once."""
        cdef StreamTable table = self.table
        cdef QuicStream stream
        if frame.kind == FRAME_LIMIT:
            if not acknowledged:
                if isinstance(<object> frame.owner, ReceiveWindow):
                    (<ReceiveWindow> frame.owner).announced = 0
                else:
                    (<StreamLimit> frame.owner).announced = 0
                table.limits_due = True
            return 0
        if frame.kind == FRAME_DATA_BLOCKED:
            # A lost word of being blocked is repeated only while that is so (RFC 9000, 13.3).
            return 0 if acknowledged else table.repeat_data_blocked(frame.offset)
        if frame.kind >= FRAME_STREAMS_BLOCKED_BIDI:
            if not acknowledged:
                table.repeat_streams_blocked(frame.offset, frame.kind != FRAME_STREAMS_BLOCKED_BIDI)
            return 0
        stream = <QuicStream> frame.owner
        if frame.kind == FRAME_STREAM:
            stream.send.settle(acknowledged, frame.offset, frame.size, frame.fin)
            if not acknowledged:
                return table.line_up(stream)
            if stream.send.is_finished:
                return table.forget_if_over(stream)
            # A plain reset had to wait for the header.
            return table.line_up(stream) if stream.send.reset_pending else 0
        if frame.kind == FRAME_RESET:
            stream.send.settle_reset(acknowledged)
            return table.forget_if_over(stream) if acknowledged else table.line_up(stream)
        if acknowledged:
            return 0
        if frame.kind == FRAME_STOP_SENDING:
            stream.receive.stop_pending = True
        elif frame.kind == FRAME_MAX_STREAM_DATA:
            stream.receive.window.announced = 0
        elif stream.send.limit == <int64_t> frame.offset:  # STREAM_DATA_BLOCKED
            stream.send.blocked_at = -1
        else:
            return 0
        return table.line_up(stream)

    # With aioquic's packet builder.

    cdef int _push_to(self, object builder, bint limits) except -1:
        """Write one kind of frames, or those of streams and datagrams, into the builder's packet."""
        cdef Py_ssize_t room = builder.remaining_flight_space, size
        cdef _SentFrames sent = _SentFrames.__new__(_SentFrames)
        cdef bytes scratch = PyBytes_FromStringAndSize(NULL, max(room, 0))
        cdef unsigned char* out = <unsigned char*> PyBytes_AS_STRING(scratch)
        sent.writer = self
        self.begin(out, room, &sent.frames)
        if limits:
            self._write_limits()
        else:
            self._write_turns()
        size = self.out - out
        if size:
            buf = builder.start_frame(out[0], size, sent if sent.frames.count else None, ())
            buf.push_bytes(PyBytes_FromStringAndSize(<const char*> out + 1, size - 1))
        if self.is_cut:
            raise QuicPacketBuilderStop
        return 0

    # Frames, into the packet that `begin` named.

    cdef int _write_limits(self) except -1:
        cdef StreamTable table = self.table
        cdef ReceiveWindow window = table.receive_window
        cdef int unidirectional
        cdef int64_t limit
        if table.limits_due:
            if window.announced != window.limit:
                if self._announce(MAX_DATA, window, window.limit) == FULL:
                    return FULL
                window.announced = window.limit
            for unidirectional in range(2):
                if self._announce_streams(table.peer_limits[unidirectional], unidirectional) == FULL:
                    return FULL
            table.limits_due = False
        for unidirectional in range(2):
            if table.blocked_due[unidirectional]:
                if not self.fits(ONE_FIELD):
                    return FULL
                limit = table.streams_allowed(unidirectional)
                frames_push(self.sent, FRAME_STREAMS_BLOCKED_BIDI + unidirectional, None).offset = limit
                self.put(STREAMS_BLOCKED_BIDI + unidirectional)
                self.put(limit)
                table.blocked_due[unidirectional] = False
        return ALL

    cdef int _announce_streams(self, StreamLimit limit, bint unidirectional) except -1:
        if limit.is_worth_announcing():
            if self._announce(MAX_STREAMS_BIDI + unidirectional, limit, limit.limit) == FULL:
                return FULL
            limit.announced = limit.limit
        return ALL

    cdef int _announce(self, int64_t frame_type, object owner, int64_t limit) except -1:
        if not self.fits(ONE_FIELD):
            return FULL
        frames_push(self.sent, FRAME_LIMIT, owner).offset = limit
        self.put(frame_type)
        self.put(limit)
        return ALL

    cdef int _write_turns(self) except -1:
        """Let streams and datagrams go first in turns, so that neither starves the other.

        A turn ends with being served: who finds no room, as in a packet shared with a long acknowledgement or beyond
        the congestion window, is first in the next packet too.
        """
        cdef bint streams_first = self.streams_first
        cdef unsigned char* before = self.out
        cdef int written = self._write_streams() if streams_first else self._write_datagrams()
        if self.out == before and written == FULL:
            return FULL
        if self.out != before:
            self.streams_first = not streams_first
        return self._write_datagrams() if streams_first else self._write_streams()

    cdef int _write_datagrams(self) except -1:
        cdef Ring* ring = &self.datagrams.ring
        cdef bytes data
        cdef Py_ssize_t size
        while ring.count:
            size = PyBytes_GET_SIZE(<bytes> ring_at(ring, 0).item)
            if not self.fits(1 + varint_length(size) + size):
                return FULL
            data = ring_pop(ring)
            self.put(DATAGRAM_LENGTH)
            self.put(size)
            memcpy(self.out, PyBytes_AS_STRING(data), size)
            self.out += size
            self.room -= size
        return ALL

    cdef int _write_streams(self) except -1:
        """Serve ready streams in turn, each for `turn_bytes` at most or one frame."""
        cdef StreamTable table = self.table
        cdef QuicStream stream
        cdef unsigned char* before
        cdef int written
        while table.line.count:
            stream = line_at(&table.line, 0)
            before = self.out
            written = self.write_stream(stream)
            if written == FULL:
                return FULL
            self.turn += self.out - before
            if written == ALL or self.turn + (self.out - before) > self.turn_bytes:
                self.turn = 0
                line_pop(&table.line)
                if written == ALL:
                    stream.is_queued = False
                    continue
                line_push(&table.line, stream)
            if self.room < MIN_STREAM_ROOM:
                break  # the packet is as good as full
        return ALL
