"""What each side of a session may send and open, and what it has (draft-16, section 5)."""

from __future__ import annotations

__all__ = ["ReceiveCredit", "SendCredit"]


class SendCredit:
    """The peer's limits on the bytes that we send and the streams that we open. These count without limits, too."""

    __slots__ = ("data_sent", "enabled", "max_data", "max_streams", "streams_opened")

    def __init__(self, *, enabled: bool, max_data: int) -> None:
        """Begin with nothing sent; the limit is of effect only when `enabled`."""
        self.enabled = enabled
        self.max_data = max_data
        self.data_sent = 0
        self.max_streams = [0, 0]  # by direction, bidirectional first
        self.streams_opened = [0, 0]

    def can_open(self, *, unidirectional: bool) -> bool:
        """Tell whether one more stream may be opened."""
        return not self.enabled or self.streams_opened[unidirectional] < self.max_streams[unidirectional]


class ReceiveCredit:
    """Our limits on the peer, which follow what the program reads and the streams that end."""

    # fmt: off
    __slots__ = (
        "auto", "data_consumed", "data_received", "data_window", "enabled", "increments", "max_data", "max_streams",
        "stream_windows", "streams_closed", "streams_opened",
    )
    # fmt: on

    def __init__(self, *, enabled: bool, auto: bool, data_window: int) -> None:
        """Begin with nothing received.

        Args:
            enabled: flow control is in force.
            auto: the limit extends by itself.
            data_window: bytes that may be unread; at first that is the limit.
        """
        self.enabled = enabled
        self.auto = auto
        self.data_window = self.max_data = data_window
        self.data_received = 0
        self.data_consumed = 0
        self.stream_windows = (0, 0)  # streams that may be open at a time, by direction, bidirectional first
        self.increments = (1, 1)  # ended streams that are worth a new limit
        self.max_streams = [0, 0]
        self.streams_opened = [0, 0]
        self.streams_closed = [0, 0]

    def receive(self, nbytes: int) -> None:
        """Count bytes of the peer; `refuse` what is over the limit."""
        self.data_received += nbytes
        if self.enabled and self.data_received > self.max_data:
            self.refuse()

    def refuse(self) -> None:
        """Called when the peer has sent too much; a subclass says what that means."""
        raise NotImplementedError

    def consume(self, nbytes: int) -> int | None:
        """Count bytes as read; return the new limit when it is worth announcing (half a window was read)."""
        self.data_consumed += nbytes
        if not (self.enabled and self.auto) or self.max_data - self.data_consumed > self.data_window // 2:
            return None
        return self.grant_data(self.data_consumed + self.data_window)

    def grant_data(self, limit: int) -> int | None:
        """Raise the limit; None when it is no raise (limits never shrink)."""
        if limit <= self.max_data:
            return None
        self.max_data = limit
        return limit

    def count_stream(self, *, unidirectional: bool) -> bool:
        """Count a stream that the peer opened; False when it is over the limit."""
        self.streams_opened[unidirectional] += 1
        return not self.enabled or self.streams_opened[unidirectional] <= self.max_streams[unidirectional]

    def close_stream(self, *, unidirectional: bool) -> int | None:
        """Count a stream of the peer as ended; return the new limit when it is worth announcing."""
        self.streams_closed[unidirectional] += 1
        if not (self.enabled and self.auto):
            return None
        window = self.stream_windows[unidirectional]
        limit = self.streams_closed[unidirectional] + window
        step = max(1, min(self.increments[unidirectional], window // 2))
        if limit - self.max_streams[unidirectional] < step:
            return None
        return self.grant_streams(limit, unidirectional=unidirectional)

    def grant_streams(self, limit: int, *, unidirectional: bool) -> int | None:
        """Raise the limit on streams; None when it is no raise."""
        if limit <= self.max_streams[unidirectional]:
            return None
        self.max_streams[unidirectional] = limit
        return limit
