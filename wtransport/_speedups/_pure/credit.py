"""The bytes that each side of a session may send, and has sent (draft-16, section 5)."""

from __future__ import annotations

__all__ = ["ReceiveCredit", "SendCredit"]


class SendCredit:
    """The peer's limit on the bytes that we send. They count even while flow control is off."""

    __slots__ = ("data_sent", "enabled", "max_data")

    def __init__(self, *, enabled: bool, max_data: int) -> None:
        """Begin with nothing sent; the limit is of effect only when `enabled`."""
        self.enabled = enabled
        self.max_data = max_data
        self.data_sent = 0


class ReceiveCredit:
    """Our limit on the bytes that the peer sends, which follows what the program reads."""

    __slots__ = ("auto", "data_consumed", "data_received", "data_window", "enabled", "max_data")

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
