"""QUIC flow-control windows whose credit follows what the program read (RFC 9000, section 4)."""

from __future__ import annotations

MAX_STREAM_COUNT = 2**60
"""Streams of one kind that a connection can have in all (RFC 9000, 4.6)."""


class ReceiveWindow:
    """Credit that we give the peer on one stream or on the connection.

    The limit is always at most ``consumed + window``, so that never more than ``window`` unread bytes can pile up.
    """

    __slots__ = ("announced", "consumed", "limit", "received", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.limit = window
        self.announced = window
        self.received = 0
        self.consumed = 0

    def consume(self, nbytes: int) -> bool:
        """Count bytes as read; return True when a new limit is worth announcing.

        Half a window is given back at a time: more often costs frames, more rarely stalls the peer.
        """
        self.consumed += nbytes
        if self.limit - self.consumed > self.window // 2:
            return False
        self.limit = self.consumed + self.window
        return True

    @property
    def is_due(self) -> bool:
        """Tell whether the current limit was not announced yet, or its announcement was lost."""
        return self.announced != self.limit


class StreamLimit:
    """How many streams of one direction the peer may open in all: ``window`` of them may be alive at a time."""

    __slots__ = ("announced", "limit", "opened", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.limit = window
        self.announced = window
        self.opened = 0

    def widen(self, window: int) -> bool:
        """Let at least `window` streams be alive at a time; return True when that is a new limit to announce."""
        more = min(window - self.window, MAX_STREAM_COUNT - self.limit)
        if more <= 0:
            return False
        self.window += more
        self.limit += more
        self.announced = 0  # at once, however few of the old ones were used
        return True

    def stream_closed(self) -> bool:
        """Let the peer open another stream; return True when a new limit is worth announcing."""
        self.limit += 1
        return self.announced - self.opened <= self.window // 2

    @property
    def is_due(self) -> bool:
        """Tell whether the current limit is worth announcing."""
        return self.announced != self.limit and self.announced - self.opened <= self.window // 2
