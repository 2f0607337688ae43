# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""What each side of a session may send and open; the specification is the twin in ``_pure/credit.py``."""

from __future__ import annotations

from libc.stdint cimport int64_t


cdef class SendCredit:
    """SendCredit(*, enabled, max_data)\n--\n\nThe peer's limits on the bytes that we send and the streams that we open."""

    def __init__(self, *, bint enabled, int64_t max_data):
        self.enabled = enabled
        self.max_data = max_data
        self.data_sent = 0
        self.max_streams = [0, 0]
        self.streams_opened = [0, 0]

    def can_open(self, *, bint unidirectional):
        """Tell whether one more stream may be opened."""
        return self.may_open(unidirectional)

    cdef bint may_open(self, bint unidirectional) except -1:
        return not self.enabled or self.streams_opened[unidirectional] < self.max_streams[unidirectional]


cdef class ReceiveCredit:
    """ReceiveCredit(*, enabled, auto, data_window)\n--\n\nOur limits on the peer, which follow what the program reads."""

    def __init__(self, *, bint enabled, bint auto, int64_t data_window):
        self.enabled = enabled
        self.auto = auto
        self.data_window = self.max_data = data_window
        self.data_received = 0
        self.data_consumed = 0
        self.stream_windows = (0, 0)
        self.increments = (1, 1)
        self.max_streams = [0, 0]
        self.streams_opened = [0, 0]
        self.streams_closed = [0, 0]

    def receive(self, int64_t nbytes):
        """Count bytes of the peer; `refuse` what is over the limit."""
        self.count(nbytes)

    def refuse(self):
        """Called when the peer has sent too much; a subclass says what that means."""
        raise NotImplementedError

    def consume(self, int64_t nbytes):
        """Count bytes as read; return the new limit when it is worth announcing (half a window was read)."""
        cdef int64_t limit = self.give_back(nbytes)
        return None if limit < 0 else limit

    def grant_data(self, int64_t limit):
        """Raise the limit; None when it is no raise (limits never shrink)."""
        if limit <= self.max_data:
            return None
        self.max_data = limit
        return limit

    def count_stream(self, *, bint unidirectional):
        """Count a stream that the peer opened; False when it is over the limit."""
        return self.stream_opened(unidirectional)

    def close_stream(self, *, bint unidirectional):
        """Count a stream of the peer as ended; return the new limit when it is worth announcing."""
        return self.stream_closed(unidirectional)

    def grant_streams(self, limit, *, bint unidirectional):
        """Raise the limit on streams; None when it is no raise."""
        if limit <= self.max_streams[unidirectional]:
            return None
        self.max_streams[unidirectional] = limit
        return limit

    cdef bint stream_opened(self, bint unidirectional) except -1:
        cdef object opened = self.streams_opened[unidirectional] + 1
        self.streams_opened[unidirectional] = opened
        return not self.enabled or opened <= self.max_streams[unidirectional]

    cdef object stream_closed(self, bint unidirectional):
        cdef int64_t closed = <int64_t> self.streams_closed[unidirectional] + 1
        cdef int64_t window, limit, step
        self.streams_closed[unidirectional] = closed
        if not (self.enabled and self.auto):
            return None
        window = self.stream_windows[unidirectional]
        limit = closed + window
        step = self.increments[unidirectional]
        step = max(1, min(step, window // 2))
        if limit - <int64_t> self.max_streams[unidirectional] < step:
            return None
        return self.grant_streams(limit, unidirectional=unidirectional)

    cdef int count(self, int64_t nbytes) except -1:
        self.data_received += nbytes
        if self.enabled and self.data_received > self.max_data:
            self.refuse()
        return 0

    cdef int64_t give_back(self, int64_t nbytes) noexcept:
        cdef int64_t limit
        self.data_consumed += nbytes
        if not (self.enabled and self.auto) or self.max_data - self.data_consumed > self.data_window // 2:
            return -1
        limit = self.data_consumed + self.data_window
        if limit <= self.max_data:
            return -1
        self.max_data = limit
        return limit
