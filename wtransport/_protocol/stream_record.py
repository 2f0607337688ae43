"""What one WebTransport data stream is, what came of it so far, and what it may still do (draft-16, 4.2 to 4.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._speedups import DataStream
from ..exceptions import StreamError
from ..types import StreamDirection, StreamState
from .readers import StreamReader

if TYPE_CHECKING:
    from .session import SessionCore

__all__ = ["StreamRecord"]


class StreamRecord(DataStream, StreamReader):
    """The state of a stream and what can be told from it alone; `StreamCore` changes it."""

    __slots__ = ()

    session: SessionCore
    send_error: StreamError | None
    receive_error: StreamError | None

    # What it is and what it may do.

    @property
    def is_unidirectional(self) -> bool:
        """Tell whether only the opener may send."""
        return bool(self.stream_id & 2)

    @property
    def direction(self) -> StreamDirection:
        """Return the direction as seen from this end."""
        if not self.is_unidirectional:
            return StreamDirection.BIDIRECTIONAL
        return StreamDirection.SEND_ONLY if self.is_local else StreamDirection.RECEIVE_ONLY

    @property
    def can_receive(self) -> bool:
        """Tell whether more may come, or something is left to read."""
        return not self.receiving_over or len(self._inbox) > 0

    @property
    def receive_offset(self) -> int:
        """Return how far the peer's bytes are accounted for, with the header."""
        return self._header_size + self.bytes_received + self._missing

    @property
    def state(self) -> StreamState:
        """Return the state that the public API shows."""
        if self._reset_received:
            return StreamState.RESET_RECEIVED
        if self._reset_sent:
            return StreamState.RESET_SENT
        if not self.can_send and self.receiving_over:
            return StreamState.CLOSED
        if self.is_unidirectional or (self.can_send and not self.receiving_over):
            return StreamState.OPEN
        return StreamState.HALF_CLOSED_REMOTE if self.can_send else StreamState.HALF_CLOSED_LOCAL

    # What can be read.

    def peek(self) -> bytes:
        """Return a copy of the bytes that can be read, which stay; for diagnostics."""
        data = self._inbox.take()
        self._inbox.append(data)
        return data

    def find(self, separator: bytes, start: int = 0) -> int:
        """Return the index of a separator in the bytes that can be read, or -1."""
        return self._inbox.find(separator, start)
