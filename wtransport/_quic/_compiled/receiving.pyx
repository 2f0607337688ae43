# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""The receiving half of a stream; the specification is the twin in ``_quic/streams.py``."""

from __future__ import annotations

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memmove

from .flow cimport ReceiveWindow

from ..streams import MAX_PIECES, FinalSizeError, ResetCodeError, TooManyGapsError

cdef Py_ssize_t _MAX_PIECES = MAX_PIECES


@cython.final
@cython.no_gc
cdef class ReceiveHalf:
    """The receiving side of a stream: puts bytes in order and accounts for every one of them."""

    def __cinit__(self):
        self.window = ReceiveWindow.__new__(ReceiveWindow)

    def __init__(self, *, int64_t window, bint readable=True):
        self.begin(window)
        self.is_finished = not readable

    def __dealloc__(self):
        self._drop(0, self.piece_count)

    @property
    def final_size(self):
        """The offset where the stream ends, or None."""
        return None if self.final_offset < 0 else self.final_offset

    @property
    def reset_code(self):
        """The code of the peer's reset, which takes effect when the bytes that come before it are here; or None."""
        return None if self.code < 0 else self.code

    @property
    def kept(self):
        """Return where the bytes begin and end that are kept while some before them are missing; in order."""
        return [(self.pieces[i].start, self.pieces[i].end) for i in range(self.piece_count)]

    def stop(self, int64_t error_code):
        """Have STOP_SENDING sent; False when there is nothing to stop."""
        return self.stop_reading(error_code)

    def receive(self, int64_t offset, bytes data not None, bint fin):
        """Take one frame's bytes; return the bytes that are now in order, or None when there is nothing new."""
        return self.take(offset, <const unsigned char*> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), fin)

    def reset(self, int64_t error_code, int64_t final_size, int64_t reliable_size=0):
        """Take the peer's reset; return whether it takes effect now."""
        return self.take_reset(error_code, final_size, reliable_size)

    cdef int begin(self, int64_t window) except -1:
        self.window.begin(window)
        self.final_offset = self.code = -1
        return 0

    cdef bint stop_reading(self, int64_t error_code) noexcept:
        if self.is_stopped or self.is_finished:
            return False
        self.is_stopped = True
        self.stop_code = error_code
        self.is_finished = self.code >= 0
        self.stop_pending = not self.is_finished
        self._drop(0, self.piece_count)
        return True

    cdef bytes take(self, int64_t offset, const unsigned char* data, Py_ssize_t size, bint fin):
        """`receive`; the caller has checked that the end is an offset that a varint holds."""
        cdef int64_t end = offset + size
        cdef Py_ssize_t known
        cdef bytes ready
        self._check_final_size(end, fin)
        if end > self.window.received:
            self.window.received = end
        if self.is_finished:
            return None
        if self.is_stopped:
            # Nobody will read it: once the final size is known, missing bytes are of no interest.
            self.is_finished = self.final_offset >= 0
            return b"" if self.is_finished else None
        if offset > self.next_offset:
            if size:
                self._keep(offset, data, size)
            return None
        known = min(self.next_offset - offset, size)
        ready = self._advance(data + known, size - known)
        if self.code >= 0:
            self._try_reset()
        elif self.next_offset == self.final_offset:
            self.is_finished = True
            return ready
        return ready if PyBytes_GET_SIZE(ready) else None

    cdef Py_ssize_t extend(self, int64_t offset, Py_ssize_t size, bint fin) except -2:
        """Account for a frame that only continues what was handed out, and return how many of its bytes that has
        already; -1 when the frame is another one, for `take`.
        """
        cdef int64_t end = offset + size
        if offset > self.next_offset or end < self.next_offset or (end == self.next_offset and not fin):
            return -1
        if self.piece_count or self.is_finished or self.is_stopped or self.code >= 0:
            return -1
        self._check_final_size(end, fin)
        if end > self.window.received:
            self.window.received = end
        size = self.next_offset - offset
        self.next_offset = end
        self.is_finished = end == self.final_offset
        return size

    cdef bint take_reset(self, int64_t error_code, int64_t final_size, int64_t reliable_size) except -1:
        if self.final_offset >= 0 and final_size != self.final_offset:
            raise FinalSizeError("the final size of a stream changed")
        if final_size < self.window.received:
            raise FinalSizeError("bytes were received beyond the final size")
        if self.code >= 0 and error_code != self.code:
            raise ResetCodeError("the code of a stream's reset changed")
        self.window.received = self.final_offset = final_size
        if self.is_finished:
            return False
        if self.code < 0 or reliable_size < self.reliable_size:
            self.reliable_size = reliable_size  # a later frame may ask for less, never for more
        self.code = error_code
        return self._try_reset()

    cdef bint _try_reset(self) noexcept:
        """Let the peer's reset take effect if nothing that comes before it is missing."""
        if self.is_stopped or self.next_offset >= self.reliable_size:
            self.is_finished = True
            self._drop(0, self.piece_count)
        return self.is_finished

    cdef int _check_final_size(self, int64_t end, bint fin) except -1:
        if self.final_offset >= 0 and (end > self.final_offset or (fin and end != self.final_offset)):
            raise FinalSizeError("bytes beyond the final size of a stream, or another final size")
        if fin:
            if end < self.window.received:
                raise FinalSizeError("bytes were received beyond the final size")
            self.final_offset = end
        return 0

    cdef bytes _advance(self, const unsigned char* data, Py_ssize_t size):
        """Take bytes that are in order, and the pieces that they lead up to; return all of them."""
        cdef int64_t end = self.next_offset + size
        cdef int64_t reached = end
        cdef Py_ssize_t used = 0, i, skipped
        cdef Piece* piece
        while used < self.piece_count and self.pieces[used].start <= reached:
            reached = max(reached, self.pieces[used].end)
            used += 1
        cdef bytes ready = PyBytes_FromStringAndSize(NULL, reached - self.next_offset)
        cdef char* out = PyBytes_AS_STRING(ready)
        memcpy(out, data, size)
        out += size
        for i in range(used):
            piece = &self.pieces[i]
            if piece.end > end:
                skipped = end - piece.start
                memcpy(out, PyBytes_AS_STRING(<bytes> piece.data) + skipped, piece.end - end)
                out += piece.end - end
                end = piece.end
        self._drop(0, used)
        self.next_offset = reached
        return ready

    cdef int _keep(self, int64_t offset, const unsigned char* data, Py_ssize_t size) except -1:
        """Keep what is new of bytes beyond a gap; pieces that lie within them make way."""
        cdef int64_t end = offset + size
        cdef Py_ssize_t index = self._after(offset), stop
        cdef bytes kept
        if index and self.pieces[index - 1].end > offset:
            if self.pieces[index - 1].end >= end:
                return 0
            data += self.pieces[index - 1].end - offset
            offset = self.pieces[index - 1].end
        stop = index
        while stop < self.piece_count and self.pieces[stop].end <= end:
            stop += 1
        if stop < self.piece_count and self.pieces[stop].start < end:
            end = self.pieces[stop].start
        if end == offset:
            self._drop(index, stop)
            return 0  # the piece before and the one after have it all
        kept = PyBytes_FromStringAndSize(<const char*> data, end - offset)
        self._drop(index, stop)
        self._make_room()
        memmove(&self.pieces[index + 1], &self.pieces[index], (self.piece_count - index) * sizeof(Piece))
        Py_INCREF(kept)
        self.pieces[index].data = <PyObject*> kept
        self.pieces[index].start = offset
        self.pieces[index].end = end
        self.piece_count += 1
        if self.piece_count > _MAX_PIECES:
            self._join_adjacent()
        return 0

    cdef int _make_room(self) except -1:
        """See to it that one more piece can be kept."""
        cdef Py_ssize_t capacity
        cdef Piece* pieces
        if self.piece_count == self.piece_capacity:
            capacity = 2 * self.piece_capacity if self.piece_capacity else 8
            pieces = <Piece*> PyMem_Realloc(self.pieces, capacity * sizeof(Piece))
            if pieces == NULL:
                raise MemoryError
            self.pieces = pieces
            self.piece_capacity = capacity
        return 0

    cdef Py_ssize_t _after(self, int64_t offset) noexcept:
        """Return the index of the first piece that starts behind an offset."""
        cdef Py_ssize_t low = 0, high = self.piece_count, middle
        while low < high:
            middle = (low + high) >> 1
            if self.pieces[middle].start <= offset:
                low = middle + 1
            else:
                high = middle
        return low

    cdef void _drop(self, Py_ssize_t first, Py_ssize_t stop) noexcept:
        """Forget pieces; with the last one the memory goes too."""
        cdef Py_ssize_t i
        for i in range(first, stop):
            Py_DECREF(<object> self.pieces[i].data)
        if stop > first:
            memmove(&self.pieces[first], &self.pieces[stop], (self.piece_count - stop) * sizeof(Piece))
            self.piece_count -= stop - first
        if self.piece_count == 0 and self.piece_capacity:
            PyMem_Free(self.pieces)
            self.pieces = NULL
            self.piece_capacity = 0

    cdef int _join_adjacent(self) except -1:
        """Join pieces without gaps between them; the bytes are put together once, as in the twin."""
        cdef Py_ssize_t runs = 0, i, first, stop
        cdef bytes joined
        for i in range(self.piece_count):
            if i == 0 or self.pieces[i - 1].end != self.pieces[i].start:
                runs += 1
        if runs > _MAX_PIECES >> 1:
            raise TooManyGapsError(f"a stream has more than {_MAX_PIECES // 2} gaps")
        first = 0
        while first < self.piece_count:
            stop = first + 1
            while stop < self.piece_count and self.pieces[stop - 1].end == self.pieces[stop].start:
                stop += 1
            if stop > first + 1:
                joined = b"".join([<bytes> self.pieces[i].data for i in range(first, stop)])
                Py_INCREF(joined)
                Py_DECREF(<object> self.pieces[first].data)
                self.pieces[first].data = <PyObject*> joined
                self.pieces[first].end = self.pieces[stop - 1].end
                self._drop(first + 1, stop)
            first += 1
        return 0
