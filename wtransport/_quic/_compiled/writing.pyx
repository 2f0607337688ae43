# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Writes the frames of one stream; the specification is the twin in ``_quic/frame_writer.py``.

A frame asks for the same room as in the twin, which is for some a little more than it takes, so that both write the same
packets. Where the twin raises, FULL is returned; nothing has changed then.
"""

from __future__ import annotations

from libc.stdint cimport int64_t

from ..._speedups._compiled.wire cimport varint_length, write_varint
from .flow cimport ReceiveWindow
from .frame_types cimport (
    DATA_BLOCKED,
    MAX_STREAM_DATA,
    RESET_STREAM,
    RESET_STREAM_AT,
    STOP_SENDING,
    STREAM,
    STREAM_DATA_BLOCKED,
    STREAM_LENGTH,
    STREAM_OFFSET,
)
from .sending cimport NextFrame, SendHalf
from .sent cimport (
    FRAME_DATA_BLOCKED,
    FRAME_MAX_STREAM_DATA,
    FRAME_RESET,
    FRAME_STOP_SENDING,
    FRAME_STREAM,
    FRAME_STREAM_DATA_BLOCKED,
    FrameList,
    SentFrame,
    frames_push,
)
from .streams cimport QuicStream
from .table cimport StreamTable

cdef enum:
    MAX_LENGTH = 0x3FFF  # of a STREAM frame's data: its length takes two bytes


cdef class StreamWriter:
    """Where frames are written to, and how those of streams are written."""

    def __cinit__(self, StreamTable table not None):
        self.table = table

    cdef void begin(self, unsigned char* out, Py_ssize_t room, FrameList* frames) noexcept:
        """Write to `out` from now on, at most `room` bytes; frames whose fate matters are added to the list."""
        self.out = out
        self.room = room
        self.sent = frames
        self.is_cut = False

    cdef bint fits(self, Py_ssize_t size) noexcept:
        """Tell whether a frame of so many bytes may be written; if not, the packet counts as cut."""
        if self.room < size:
            self.is_cut = True
            return False
        return True

    cdef void put(self, int64_t value) noexcept:
        """Write a field of a frame that fits."""
        cdef int size = write_varint(self.out, value)
        self.out += size
        self.room -= size

    cdef int write_stream(self, QuicStream stream) except -1:
        """Write what a stream has for this packet."""
        cdef ReceiveWindow window = stream.receive.window
        cdef int written
        if stream.receive.final_offset < 0:
            if window.announced != window.limit and self._write_max_stream_data(stream) == FULL:
                return FULL
            if stream.receive.stop_pending and self._write_stop_sending(stream) == FULL:
                return FULL
        written = self._write_data(stream)
        if written == ALL and stream.send.reset_pending:
            return self._write_reset(stream)
        return written

    cdef int _write_data(self, QuicStream stream) except -1:
        cdef StreamTable table = self.table
        cdef SendHalf send = stream.send
        cdef int64_t credit = table.peer.max_data - table.data_used
        cdef int64_t offset
        cdef Py_ssize_t overhead, room
        cdef NextFrame frame
        cdef SentFrame* sent
        if not send.is_ready(credit):
            return self._write_blocked(stream) if send.end > send.offset else ALL
        offset = send.upcoming_offset()
        overhead = 3 + varint_length(stream.stream_id) + (varint_length(offset) if offset else 0)
        room = min(self.room - overhead, MAX_LENGTH)
        if (room < MIN_STREAM_ROOM and room < send.upcoming_size()) or not send.take(room, credit, &frame):
            self.is_cut = True
            return FULL
        send.copy(&frame, self.out + overhead)
        sent = frames_push(self.sent, FRAME_STREAM, stream)
        sent.offset = frame.offset
        sent.size = <unsigned int> frame.size
        sent.fin = frame.fin
        self.put(STREAM | STREAM_LENGTH | (STREAM_OFFSET if offset else 0) | frame.fin)
        self.put(stream.stream_id)
        if offset:
            self.put(offset)
        self.out[0] = <unsigned char> (0x40 | frame.size >> 8)
        self.out[1] = <unsigned char> (frame.size & 0xFF)
        self.out += 2 + frame.size
        self.room -= 2 + frame.size
        table.account_sent(stream, frame.new_bytes)
        if send.is_ready(1):
            return SOME
        if send.offset == send.limit and send.end > send.offset:
            return self._write_blocked(stream)
        return ALL

    cdef int _write_blocked(self, QuicStream stream) except -1:
        """Tell the peer, once for each limit, that a stream has more than the limit lets go (RFC 9000, 4.1)."""
        cdef StreamTable table = self.table
        cdef SendHalf send = stream.send
        cdef int64_t limit = table.peer.max_data
        if table.data_used >= limit:
            table.waiting_for_max_data[stream] = None
            if table.blocked_at != limit:
                if not self.fits(ONE_FIELD):
                    return FULL
                frames_push(self.sent, FRAME_DATA_BLOCKED, None).offset = limit
                self.put(DATA_BLOCKED)
                self.put(limit)
                table.blocked_at = limit
        elif send.blocked_at != send.limit:
            if not self.fits(TWO_FIELDS):
                return FULL
            frames_push(self.sent, FRAME_STREAM_DATA_BLOCKED, stream).offset = send.limit
            self.put(STREAM_DATA_BLOCKED)
            self.put(stream.stream_id)
            self.put(send.limit)
            send.blocked_at = send.limit
        return ALL

    cdef int _write_max_stream_data(self, QuicStream stream) except -1:
        cdef ReceiveWindow window = stream.receive.window
        if not self.fits(TWO_FIELDS):
            return FULL
        frames_push(self.sent, FRAME_MAX_STREAM_DATA, stream).offset = window.limit
        self.put(MAX_STREAM_DATA)
        self.put(stream.stream_id)
        self.put(window.limit)
        window.announced = window.limit
        return ALL

    cdef int _write_stop_sending(self, QuicStream stream) except -1:
        if not self.fits(TWO_FIELDS):
            return FULL
        frames_push(self.sent, FRAME_STOP_SENDING, stream)
        self.put(STOP_SENDING)
        self.put(stream.stream_id)
        self.put(stream.receive.stop_code)
        stream.receive.stop_pending = False
        return ALL

    cdef int _write_reset(self, QuicStream stream) except -1:
        """Write the reset, with the size of what it does not take back where the peer knows such a frame."""
        cdef SendHalf send = stream.send
        cdef bint peer_takes_it = self.table.peer.reset_stream_at
        cdef bint is_partial = peer_takes_it and send.reliable_size > 0
        if not send.reset_may_go(peer_takes_it):
            return ALL
        if not self.fits(FOUR_FIELDS if is_partial else THREE_FIELDS):
            return FULL
        frames_push(self.sent, FRAME_RESET, stream)
        self.put(RESET_STREAM_AT if is_partial else RESET_STREAM)
        self.put(stream.stream_id)
        self.put(send.code)
        self.put(send.offset)
        if is_partial:
            self.put(send.reliable_size)
        send.reset_pending = False
        return ALL
