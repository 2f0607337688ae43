# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""The bytes that each side of a session may send; the specification is the twin in ``_pure/credit.py``."""

from __future__ import annotations

from libc.stdint cimport int64_t


cdef class SendCredit:
    """SendCredit(*, enabled, max_data)\n--\n\nThe peer's limit on the bytes that we send."""

    def __init__(self, *, bint enabled, int64_t max_data):
        self.enabled = enabled
        self.max_data = max_data
        self.data_sent = 0


cdef class ReceiveCredit:
    """ReceiveCredit(*, enabled, auto, data_window)\n--\n\nOur limit on the bytes that the peer sends."""

    def __init__(self, *, bint enabled, bint auto, int64_t data_window):
        self.enabled = enabled
        self.auto = auto
        self.data_window = self.max_data = data_window
        self.data_received = 0
        self.data_consumed = 0

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
