# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""The sending half of a stream; the specification is the twin in ``_quic/streams.py``.

Here a sent frame keeps no bytes: the half has the chunks that the program wrote until all of a chunk was acknowledged,
and a frame is a range of them. Each range that was taken is settled exactly once.
"""

from __future__ import annotations

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from .outgoing cimport (
    Chunk,
    LostFrame,
    chunk_at,
    chunk_push,
    chunk_release,
    chunks_drop_first,
    chunks_drop_last,
    chunks_free,
    lost_free,
    lost_pop,
    lost_push,
)

from ..._speedups._inputs import as_bytes


@cython.final
@cython.no_gc
cdef class SendHalf:
    """The sending side of a stream."""

    def __init__(self, *, int64_t limit, bint writable=True):
        self.begin(limit)
        self.is_finished = not writable

    def __dealloc__(self):
        chunks_free(&self.chunks)
        lost_free(&self.lost)

    @property
    def final_size(self):
        """The offset of the FIN, or None."""
        return None if self.final_offset < 0 else self.final_offset

    @property
    def reset_code(self):
        """The code of the reset, or None."""
        return None if self.code < 0 else self.code

    @property
    def unsent(self):
        """Return the number of bytes that were never sent."""
        return self.end - self.offset

    @property
    def room(self):
        """Return how many more bytes could be written that the peer's credit covers; 0 when none can be written."""
        return room_of(self)

    @property
    def is_open(self):
        """Tell whether more may be written."""
        return self.accepts()

    cpdef write_header(self, data):
        """Queue the bytes that a new stream begins with, which a reset does not take back."""
        self.queue(data if type(data) is bytes else as_bytes(data))
        self.reliable_size = self.end - self.offset

    cpdef write(self, data, bint end_stream):
        """Queue bytes; the caller has checked `is_open`."""
        self.queue(data if type(data) is bytes else as_bytes(data))
        if end_stream:
            self.finish()

    def reset(self, int64_t error_code):
        """Drop what is queued beyond the header, and have the reset sent; False when the half is already over."""
        return self.give_up(error_code)

    def is_reset_due(self, *, bint peer_takes_reset_stream_at):
        """Tell whether the reset may go out now."""
        return self.reset_may_go(peer_takes_reset_stream_at)

    def has_frame(self, int64_t connection_credit):
        """Tell whether `next_frame` would give something, with this much connection-level credit."""
        return self.is_ready(connection_credit)

    @property
    def next_size(self):
        """Return how many bytes of data the next frame could carry."""
        return self.upcoming_size()

    @property
    def next_offset(self):
        """Return the offset of the next frame, which its header must hold."""
        return self.upcoming_offset()

    def next_frame(self, Py_ssize_t max_size, int64_t connection_credit):
        """Take the next STREAM frame of at most `max_size` bytes of data, or None when nothing may be sent."""
        cdef NextFrame frame
        if not self.take(max_size, connection_credit, &frame):
            return None
        cdef bytes data = PyBytes_FromStringAndSize(NULL, frame.size)
        self.copy(&frame, <unsigned char*> PyBytes_AS_STRING(data))
        return frame.offset, data, frame.fin, frame.new_bytes

    def on_frame_delivery(self, bint acknowledged, int64_t offset, bytes data not None, bint fin):
        """Settle a STREAM frame that was acknowledged, or declared lost and is now to be sent again."""
        self.settle(acknowledged, offset, PyBytes_GET_SIZE(data), fin)

    def on_reset_delivery(self, bint acknowledged):
        """Settle a frame with the reset that was acknowledged, or declared lost and is now to be sent again."""
        self.settle_reset(acknowledged)

    cdef bint accepts(self) noexcept:
        return self.final_offset < 0 and self.code < 0 and not self.is_finished

    cdef void begin(self, int64_t limit) noexcept:
        self.limit = limit
        self.blocked_at = self.low_water = self.final_offset = self.code = -1

    cdef int queue(self, bytes data) except -1:
        """Add bytes at the end."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        if size:
            chunk_push(&self.chunks, data, self.end, size)
            self.end += size
        return 0

    cdef void finish(self) noexcept:
        """Let the FIN follow what is queued."""
        self.final_offset = self.end
        self.fin_pending = True

    cdef bint give_up(self, int64_t error_code) except -1:
        cdef int64_t kept = max(self.offset, self.reliable_size)
        cdef Py_ssize_t count = self.lost.count
        cdef Py_ssize_t i
        cdef LostFrame frame
        if self.code >= 0 or self.is_finished:
            return False
        self.code = error_code
        self.reset_pending = True
        self.fin_pending = False
        self.taken_back = self.end - kept
        self.end = kept
        while self.chunks.count and chunk_at(&self.chunks, self.chunks.count - 1).start >= self.reliable_size:
            chunks_drop_last(&self.chunks)
        self.cursor = min(self.cursor, self.chunks.count)
        # What is put back takes no more room than what was looked at.
        self.lost.count = 0
        for i in range(count):
            frame = self.lost.items[i]
            self._lose(frame.offset, frame.size, False)
        return True

    cdef bint reset_may_go(self, bint peer_takes_reset_stream_at) noexcept:
        cdef int64_t sent = self.offset if peer_takes_reset_stream_at else self.reliable_acknowledged
        return self.reset_pending and sent >= self.reliable_size

    cdef bint is_ready(self, int64_t connection_credit) noexcept:
        if self.lost.count:
            return True
        if self.end > self.offset:
            return self.offset < self.limit and connection_credit > 0
        return self.fin_pending

    cdef int64_t upcoming_size(self) noexcept:
        return self.lost.items[0].size if self.lost.count else min(self.end, self.limit) - self.offset

    cdef int64_t upcoming_offset(self) noexcept:
        return self.lost.items[0].offset if self.lost.count else self.offset

    cdef bint take(self, Py_ssize_t max_size, int64_t connection_credit, NextFrame* frame) noexcept:
        """Take the next frame, whose bytes are to be copied before anything else happens; False if there is none."""
        cdef int64_t size = 0
        cdef Chunk* chunk
        if max_size < 0:
            return False
        if self.lost.count:
            if max_size == 0 and self.lost.items[0].size:
                return False
            self._take_lost(max_size, frame)
            return True
        if self.end > self.offset:
            size = min(min(self.end, self.limit) - self.offset, min(connection_credit, max_size))
            if size <= 0:
                return False
        elif not self.fin_pending:
            return False
        frame.offset = self.offset
        frame.size = frame.new_bytes = size
        frame.chunk = self.cursor
        self.offset += size
        while self.cursor < self.chunks.count:
            chunk = chunk_at(&self.chunks, self.cursor)
            if self.offset < chunk.start + chunk.size:
                break
            self.cursor += 1
        frame.fin = self.fin_pending and self.offset == self.final_offset
        if frame.fin:
            self.fin_pending = False
        return True

    cdef int copy(self, const NextFrame* frame, unsigned char* out) except -1:
        """Copy the bytes of a frame that was just taken."""
        cdef int64_t offset = frame.offset
        cdef Py_ssize_t left = frame.size, index = frame.chunk, size
        cdef Chunk* chunk
        while left:
            chunk = chunk_at(&self.chunks, index) if index < self.chunks.count else NULL
            if chunk == NULL or chunk.data == NULL or not 0 <= offset - chunk.start < chunk.size:
                raise RuntimeError("bytes of a stream are to be sent that were acknowledged")
            size = min(left, chunk.start + chunk.size - offset)
            memcpy(out, PyBytes_AS_STRING(<bytes> chunk.data) + (offset - chunk.start), size)
            out += size
            offset += size
            left -= size
            index += 1
        return 0

    cdef int settle(self, bint acknowledged, int64_t offset, Py_ssize_t size, bint fin) except -1:
        if not acknowledged:
            return self._lose(offset, size, fin)
        if offset < self.reliable_size:
            self.reliable_acknowledged += min(size, self.reliable_size - offset)
        if self.code >= 0:
            self._check_reset_finished()
            return 0
        self.acknowledged += size
        self._acknowledge(offset, size)
        self.fin_acknowledged |= fin
        self.is_finished |= self.fin_acknowledged and self.acknowledged == self.final_offset
        return 0

    cdef void settle_reset(self, bint acknowledged) noexcept:
        if acknowledged:
            self.reset_acknowledged = True
            self._check_reset_finished()
        else:
            self.reset_pending = True

    cdef Py_ssize_t _find(self, int64_t offset) noexcept:
        """Return the index of the last chunk that begins at or before an offset, or -1."""
        cdef Py_ssize_t low = 0, high = self.chunks.count, middle
        while low < high:
            middle = (low + high) >> 1
            if chunk_at(&self.chunks, middle).start <= offset:
                low = middle + 1
            else:
                high = middle
        return low - 1

    cdef void _acknowledge(self, int64_t offset, Py_ssize_t size) noexcept:
        """Count bytes as arrived, and let go of the chunks that arrived as a whole."""
        cdef Py_ssize_t index = max(self._find(offset), 0)
        cdef int64_t end = offset + size
        cdef Chunk* chunk
        while index < self.chunks.count:
            chunk = chunk_at(&self.chunks, index)
            if chunk.start >= end:
                break
            chunk.pending -= max(min(end, chunk.start + chunk.size) - max(offset, chunk.start), 0)
            if chunk.pending <= 0 and index < self.cursor:
                chunk_release(chunk)
            index += 1
        while self.cursor and chunk_at(&self.chunks, 0).data == NULL:
            chunks_drop_first(&self.chunks)
            self.cursor -= 1

    cdef int _lose(self, int64_t offset, Py_ssize_t size, bint fin) except -1:
        """Put a lost frame in line, or what a reset left of it (RESET_STREAM_AT, section 5)."""
        if self.code < 0:
            lost_push(&self.lost, offset, size, fin)
        elif offset < self.reliable_size:
            lost_push(&self.lost, offset, min(size, self.reliable_size - offset), False)
        return 0

    cdef void _take_lost(self, Py_ssize_t max_size, NextFrame* frame) noexcept:
        cdef LostFrame* first = &self.lost.items[0]
        frame.offset = first.offset
        frame.size = min(first.size, max_size)
        frame.new_bytes = 0
        frame.fin = first.fin and first.size <= max_size
        frame.chunk = max(self._find(first.offset), 0)
        if first.size <= max_size:
            lost_pop(&self.lost)
        else:
            first.offset += max_size
            first.size -= max_size

    cdef void _check_reset_finished(self) noexcept:
        if self.reset_acknowledged and self.reliable_acknowledged == self.reliable_size:
            self.is_finished = True
