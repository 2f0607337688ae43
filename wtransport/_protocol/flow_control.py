"""Session flow control: what each side may send and open in one session (draft-16, section 5).

`SendAllowance` holds the limits the peer set for us, `ReceiveAllowance` those we set for the peer. Both count even
while flow control is off, because the counts are shown in diagnostics; only limits are then without effect.
"""

from __future__ import annotations

from .._speedups import ReceiveCredit, SendCredit
from ..constants import MAX_PROTOCOL_STREAMS_LIMIT, ErrorCodes
from .violations import SessionViolation

__all__ = ["ReceiveAllowance", "SendAllowance", "SessionFlow"]


class SendAllowance(SendCredit):
    """The peer's limits on us."""

    __slots__ = ("blocked_data_at", "blocked_streams_at")

    def __init__(self, *, enabled: bool, max_data: int, max_streams_bidi: int, max_streams_uni: int) -> None:
        """Begin with the peer's SETTINGS; a limit that is absent there is 0 (draft-16, 5.1)."""
        super().__init__(enabled=enabled, max_data=max_data)
        self.max_streams = [max_streams_bidi, max_streams_uni]
        self.blocked_data_at = -1
        self.blocked_streams_at = [-1, -1]

    @property
    def data_credit(self) -> int:
        """Return how many body bytes may be sent now."""
        return self.max_data - self.data_sent

    def raise_max_data(self, limit: int) -> bool:
        """Take a limit from a WT_MAX_DATA capsule; True when it is higher than before."""
        if limit <= self.max_data:
            return False
        self.max_data = limit
        return True

    def raise_max_streams(self, limit: int, *, unidirectional: bool) -> bool:
        """Take a limit from a WT_MAX_STREAMS capsule; True when it is higher than before."""
        if limit <= self.max_streams[unidirectional]:
            return False
        self.max_streams[unidirectional] = limit
        return True

    def should_report_blocked_data(self) -> bool:
        """Tell, once for each limit, that the limit on data holds us back."""
        if not self.enabled or self.blocked_data_at == self.max_data:
            return False
        self.blocked_data_at = self.max_data
        return True

    def should_report_blocked_streams(self, *, unidirectional: bool) -> bool:
        """Tell, once for each limit, that a limit on streams holds us back."""
        limit = self.max_streams[unidirectional]
        if not self.enabled or self.blocked_streams_at[unidirectional] == limit:
            return False
        self.blocked_streams_at[unidirectional] = limit
        return True


class ReceiveAllowance(ReceiveCredit):
    """Our limits on the peer, which follow what the program reads and the streams that end."""

    __slots__ = ()

    def __init__(
        self,
        *,
        enabled: bool,
        auto: bool,
        data_window: int,
        stream_windows: tuple[int, int],
        increments: tuple[int, int] = (1, 1),
    ) -> None:
        """Begin with the windows of our SETTINGS.

        Args:
            enabled: flow control is in force.
            auto: limits extend by themselves; otherwise only by `grant_data` and `grant_streams`.
            data_window: bytes that may be unread.
            stream_windows: bidirectional and unidirectional streams that may be open at a time.
            increments: how many ended streams of each direction are worth a capsule.
        """
        super().__init__(enabled=enabled, auto=auto, data_window=data_window)
        self.stream_windows = stream_windows
        self.increments = increments
        self.max_streams = list(stream_windows)

    def refuse(self) -> None:
        """Say that the peer sent more than it may.

        Raises:
            SessionViolation: always.
        """
        raise SessionViolation(ErrorCodes.WT_FLOW_CONTROL_ERROR, f"the peer sent over {self.max_data} bytes")

    def skip(self, nbytes: int) -> int | None:
        """Count body bytes of the peer that will never arrive as received and read; return as `consume` does.

        Raises:
            SessionViolation: the peer sent more than it may.
        """
        self.data_consumed += nbytes
        self.receive(nbytes)
        return self.consume(0)

    def settle(self) -> int:
        """Count everything as read, for good; return how many bytes were not."""
        unread = self.data_received - self.data_consumed
        self.data_consumed = self.data_received
        return unread

    def open_stream(self, *, unidirectional: bool) -> None:
        """Count a stream that the peer opened.

        Raises:
            SessionViolation: the peer opened more than it may.
        """
        if not self.count_stream(unidirectional=unidirectional):
            self.refuse_stream(unidirectional=unidirectional)

    def refuse_stream(self, *, unidirectional: bool) -> None:
        """Say that the peer opened more than it may.

        Raises:
            SessionViolation: always.
        """
        limit = self.max_streams[unidirectional]
        raise SessionViolation(ErrorCodes.WT_FLOW_CONTROL_ERROR, f"the peer opened over {limit} streams")

    def streams_allowed(self, *, unidirectional: bool) -> int:
        """Return how many streams of a direction the peer may have open at a time now."""
        return self.max_streams[unidirectional] - self.streams_closed[unidirectional]

    def grant_streams(self, limit: int, *, unidirectional: bool) -> int | None:
        """Raise the limit on streams; None when it is no raise."""
        return super().grant_streams(min(limit, MAX_PROTOCOL_STREAMS_LIMIT), unidirectional=unidirectional)


class SessionFlow:
    """Both directions of one session; the properties are named as in `SessionDiagnostics`.

    "local" is what this end may send and open, "peer" what the other end may.
    """

    __slots__ = ("receive", "send")

    def __init__(self, send: SendAllowance, receive: ReceiveAllowance) -> None:
        self.send = send
        self.receive = receive

    @property
    def local_max_data(self) -> int:
        """Bytes we may send in all."""
        return self.send.max_data

    @property
    def local_data_sent(self) -> int:
        """Bytes we sent."""
        return self.send.data_sent

    @property
    def peer_max_data(self) -> int:
        """Bytes the peer may send in all."""
        return self.receive.max_data

    @property
    def peer_data_sent(self) -> int:
        """Bytes the peer sent."""
        return self.receive.data_received

    @property
    def local_max_streams_bidi(self) -> int:
        """Bidirectional streams we may open in all."""
        return self.send.max_streams[0]

    @property
    def local_streams_bidi_opened(self) -> int:
        """Bidirectional streams we opened."""
        return self.send.streams_opened[0]

    @property
    def peer_max_streams_bidi(self) -> int:
        """Bidirectional streams the peer may open in all."""
        return self.receive.max_streams[0]

    @property
    def peer_streams_bidi_opened(self) -> int:
        """Bidirectional streams the peer opened."""
        return self.receive.streams_opened[0]

    @property
    def local_max_streams_uni(self) -> int:
        """Unidirectional streams we may open in all."""
        return self.send.max_streams[1]

    @property
    def local_streams_uni_opened(self) -> int:
        """Unidirectional streams we opened."""
        return self.send.streams_opened[1]

    @property
    def peer_max_streams_uni(self) -> int:
        """Unidirectional streams the peer may open in all."""
        return self.receive.max_streams[1]

    @property
    def peer_streams_uni_opened(self) -> int:
        """Unidirectional streams the peer opened."""
        return self.receive.streams_opened[1]
