"""How a connection comes to its end: GOAWAY, and a close that lets the sessions tell their ends first."""

from __future__ import annotations

from .._quic.port import QuicPort
from ..constants import MAX_VARINT
from . import limits

__all__ = ["ConnectionEnding", "check_close_code"]


def check_close_code(error_code: int) -> None:
    """Raise ValueError for a code that CONNECTION_CLOSE cannot have: it is a varint (RFC 9000, 19.19)."""
    if not 0 <= error_code <= MAX_VARINT:
        raise ValueError(f"error_code must be in 0..2**62-1, not {error_code}")


class ConnectionEnding:
    """What is known of a connection's end.

    Attributes:
        deadline: when a close waits no longer for CONNECT streams to end; None while none waits, or its time has not
            begun.
        is_closing: the program closed the connection.
        goaway_received: the peer takes no new sessions.
    """

    __slots__ = ("_end", "_goaway_sent", "_next_request_id", "_port", "deadline", "goaway_received", "is_closing")

    def __init__(self, port: QuicPort) -> None:
        """Begin with no end in sight."""
        self.deadline: float | None = None
        self.is_closing = False
        self.goaway_received = False
        self._end: tuple[int, str] | None = None
        self._goaway_sent: int | None = None
        self._next_request_id = 0
        self._port = port

    # Winding down (RFC 9114, 5.2).

    def request_seen(self, stream_id: int) -> None:
        """Take note of a request that was, or will be, answered: a GOAWAY to come does not take that back."""
        self._next_request_id = max(self._next_request_id, stream_id + 4)

    def refuses(self, stream_id: int) -> bool:
        """Tell whether a request comes too late."""
        return self._end is not None or (self._goaway_sent is not None and stream_id >= self._goaway_sent)

    def goaway(self, *, is_client: bool) -> int | None:
        """Return what our GOAWAY says, from now on; None when it was sent already."""
        if self._goaway_sent is not None:
            return None
        # A client's names a push id, of which there are none.
        self._goaway_sent = 0 if is_client else self._next_request_id
        return self._goaway_sent

    # Closing (draft-16, 6).

    def begin(self, error_code: int, reason: str) -> None:
        """Close the connection with this code and reason as soon as `finish` is called."""
        self._end = error_code, reason
        self.is_closing = True

    def start_clock(self, now: float) -> None:
        """Give the CONNECT streams so long to end, from the first time that something is sent."""
        if self._end is not None and self.deadline is None:
            self.deadline = now + limits.CLOSE_PROBE_TIMEOUTS * self._port.probe_timeout

    def finish(self) -> None:
        """Close, if that was asked for."""
        self.deadline = None
        if self._end is not None:
            self._port.close(*self._end)

    def clear(self) -> None:
        """Wait for nothing: the connection is closed."""
        self._end = self.deadline = None
        self.is_closing = False
