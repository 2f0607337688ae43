# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Flow-control windows; the specification is the twin in ``_quic/flow.py``."""

from __future__ import annotations

cimport cython
from libc.stdint cimport int64_t

from ..flow import MAX_STREAM_COUNT

cdef int64_t _MAX_STREAM_COUNT = MAX_STREAM_COUNT


@cython.final
@cython.no_gc
cdef class ReceiveWindow:
    """Credit that we give the peer on one stream or on the connection."""

    def __init__(self, int64_t window):
        self.begin(window)

    def consume(self, int64_t nbytes):
        """Count bytes as read; return True when a new limit is worth announcing."""
        return self.give_back(nbytes)

    @property
    def is_due(self):
        """Tell whether the current limit was not announced yet, or its announcement was lost."""
        return self.announced != self.limit

    cdef void begin(self, int64_t window) noexcept:
        self.window = self.limit = self.announced = window

    cdef bint give_back(self, int64_t nbytes) noexcept:
        self.consumed += nbytes
        if self.limit - self.consumed > self.window >> 1:
            return False
        self.limit = self.consumed + self.window
        return True


@cython.final
@cython.no_gc
cdef class StreamLimit:
    """How many streams of one direction the peer may open in all."""

    def __init__(self, int64_t window):
        self.window = self.limit = self.announced = window

    def widen(self, int64_t window):
        """Let at least `window` streams be alive at a time; return True when that is a new limit to announce."""
        cdef int64_t more = min(window - self.window, _MAX_STREAM_COUNT - self.limit)
        if more <= 0:
            return False
        self.window += more
        self.limit += more
        self.announced = 0  # at once, however few of the old ones were used
        return True

    def stream_closed(self):
        """Let the peer open another stream; return True when a new limit is worth announcing."""
        return self.free_one()

    @property
    def is_due(self):
        """Tell whether the current limit is worth announcing."""
        return self.is_worth_announcing()

    cdef bint free_one(self) noexcept:
        self.limit += 1
        return self.announced - self.opened <= self.window >> 1

    cdef bint is_worth_announcing(self) noexcept:
        return self.announced != self.limit and self.announced - self.opened <= self.window >> 1


@cython.final
@cython.no_gc
cdef class RemoteLimits:
    """What the peer's transport parameters and frames allow us: a copy of `PeerLimits`, with the same attributes."""

    def __init__(self, limits):
        self.max_data = limits.max_data
        self.max_stream_data_bidi_local = limits.max_stream_data_bidi_local
        self.max_stream_data_bidi_remote = limits.max_stream_data_bidi_remote
        self.max_stream_data_uni = limits.max_stream_data_uni
        self.max_streams_bidi = limits.max_streams_bidi
        self.max_streams_uni = limits.max_streams_uni
        self.reset_stream_at = limits.reset_stream_at
