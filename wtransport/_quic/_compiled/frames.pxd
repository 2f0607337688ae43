"""The writer of the frames of streams, limits and datagrams, for the packet codec.

    frames: FrameList = empty
    size = writer.fill(out, room, &frames)    # 0: there is nothing to write, or nothing of it fits (writer.is_cut)
    ... later, for each of the frames, exactly once:
    writer.on_fate(&frames.items[i], acknowledged)

The frames keep their owners' references; `on_fate` takes none of them.
"""

cimport cython

from ..._speedups._compiled.ring cimport Ring
from .sent cimport FrameList, SentFrame
from .streams cimport QuicStream
from .table cimport StreamTable


@cython.final
@cython.no_gc
cdef class OutgoingDatagrams:
    cdef Ring ring

    cdef int push(self, bytes data) except -1


@cython.final
cdef class FrameWriter:
    cdef readonly OutgoingDatagrams datagrams
    cdef readonly StreamTable table
    cdef bint streams_first
    # After `fill`: something did not fit, so that there is more to write.
    cdef bint is_cut
    # While filling: where the next frame begins, and the bytes that are left.
    cdef unsigned char* out
    cdef Py_ssize_t room
    cdef FrameList* sent
    cdef unsigned char* scratch
    cdef Py_ssize_t scratch_size

    # MAX_DATA and the like, then streams and datagrams in turns; returns the bytes written. `drop_oversized_datagrams`
    # first when nothing fits into a packet that is empty.
    cdef Py_ssize_t fill(self, unsigned char* out, Py_ssize_t room, FrameList* frames) except -1
    cdef int on_fate(self, SentFrame* frame, bint acknowledged) except -1
    cdef bint has_frames(self) noexcept
    cdef int push_datagram(self, bytes data) except -1
