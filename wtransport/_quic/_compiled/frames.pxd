"""The writer of the frames of streams, limits and datagrams, for the packet codec.

    cdef FrameList frames                     # empty
    size = writer.fill(out, room, &frames)    # 0: there is nothing to write, or nothing of it fits (writer.is_cut)
    ... later, for each of the frames, exactly once:
    writer.on_fate(&frames.items[i], acknowledged)

The frames keep their references to their owners; `on_fate` takes none of them.
"""

from libc.stdint cimport int64_t

from .datagrams cimport OutgoingDatagrams
from .flow cimport StreamLimit
from .sent cimport FrameList, SentFrame
from .writing cimport StreamWriter


cdef class FrameWriter(StreamWriter):
    cdef readonly OutgoingDatagrams datagrams
    cdef public Py_ssize_t turn_bytes  # that a stream sends in a row while others wait; see the twin
    cdef bint streams_first
    cdef Py_ssize_t turn  # bytes that who stands first in line has sent since then

    # MAX_DATA and the like, then streams and datagrams in turns; returns the bytes written. With nothing written and
    # `is_cut` in a packet that is empty, datagrams may be too large for any: see `datagrams.drop_oversized`.
    cdef Py_ssize_t fill(self, unsigned char* out, Py_ssize_t room, FrameList* frames) except -1
    cdef int on_fate(self, SentFrame* frame, bint acknowledged) except -1
    cdef bint has_frames(self) noexcept
    cdef void size_turns(self, double window) noexcept
    cdef int push_datagram(self, bytes data) except -1

    cdef int _push_to(self, object builder, bint limits) except -1
    cdef int _write_limits(self) except -1
    cdef int _announce_streams(self, StreamLimit limit, bint unidirectional) except -1
    cdef int _announce(self, int64_t frame_type, object owner, int64_t limit) except -1
    cdef int _write_turns(self) except -1
    cdef int _write_datagrams(self) except -1
    cdef int _write_streams(self) except -1
