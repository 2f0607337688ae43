"""What one WebTransport data stream is, what came of it so far, and what it may still do (draft-16, 4.2 to 4.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._speedups import ChunkQueue
from ..exceptions import StreamError
from ..types import StreamDirection, StreamState
from .readers import StreamReader

if TYPE_CHECKING:
    from .session import SessionCore

__all__ = ["StreamRecord"]


class StreamRecord(StreamReader):
    """The state of a stream and what can be told from it alone; `StreamCore` changes it."""

    __slots__ = (
        "_credited",
        "_expected",
        "_has_pending_fin",
        "_header_size",
        "_inbox",
        "_is_taken",
        "_low_water",
        "_missing",
        "_outbox",
        "_reset_received",
        "_reset_sent",
        "_sending_over",
        "awaits_settling",
        "bytes_discarded",
        "bytes_dropped",
        "bytes_received",
        "bytes_sent",
        "can_send",
        "handle",
        "is_local",
        "receive_error",
        "receiving_over",
        "reset_code",
        "send_error",
        "session",
        "stop_code",
        "stream_id",
        "wants_readable",
        "wants_writable",
    )

    def __init__(self, stream_id: int, session: SessionCore, *, is_local: bool, header_size: int = 0) -> None:
        """`header_size` is that of the header the peer wrote, 0 for a stream of ours."""
        self.stream_id = stream_id
        self.session = session
        self.is_local = is_local
        self.handle: Any = None
        self.wants_readable = False
        self.wants_writable = False
        self.bytes_sent = 0
        self.bytes_received = 0
        self.bytes_dropped = 0  # written, and never sent
        self.bytes_discarded = 0  # sent by the peer, and never read
        self.reset_code: int | None = None
        self.stop_code: int | None = None
        self.send_error: StreamError | None = None
        self.receive_error: StreamError | None = None
        is_one_way = stream_id & 2 != 0
        self.can_send = is_local or not is_one_way  # more may be written
        self.receiving_over = is_local and is_one_way  # nothing more will come; some of it may not have been read yet
        self.awaits_settling = False  # it is over and still holds its place
        self._sending_over = not self.can_send
        self._reset_sent = False
        self._reset_received = False
        self._header_size = header_size
        self._inbox = ChunkQueue()
        self._credited = 0  # bytes of the inbox whose credit was given back before they were read
        self._expected = 0
        self._missing = 0  # bytes that the peer sent before its reset, and that did not arrive
        self._outbox: ChunkQueue | None = None  # bytes that credit does not cover yet; few streams ever have any
        self._has_pending_fin = False
        self._low_water = 0
        self._is_taken = is_local

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
    def is_receiving(self) -> bool:
        """Tell whether the end of the peer's sending side has not come yet."""
        return not self.receiving_over

    @property
    def is_aborted(self) -> bool:
        """Tell whether a side of it ended with a reset, a stop request or the session."""
        return self._reset_sent or self._reset_received or bool(self.send_error or self.receive_error)

    @property
    def is_done_with(self) -> bool:
        """Tell whether nothing is left for the program: it has the stream, and read all that is of use to it."""
        return self._is_taken and (self._reset_received or not self._inbox)

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

    @property
    def buffered(self) -> int:
        """Return how many bytes can be read now."""
        return len(self._inbox)

    @property
    def at_eof(self) -> bool:
        """Tell whether the peer's FIN was reached and nothing is left to read."""
        return self.receiving_over and self.receive_error is None and not self._inbox

    def peek(self) -> bytes:
        """Return a copy of the bytes that can be read, which stay; for diagnostics."""
        data = self._inbox.take()
        self._inbox.append(data)
        return data

    def find(self, separator: bytes, start: int = 0) -> int:
        """Return the index of a separator in the bytes that can be read, or -1."""
        return self._inbox.find(separator, start)
