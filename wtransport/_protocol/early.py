"""Streams and datagrams that overtook the CONNECT, or the answer to it, of their session (draft-16, section 4.6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from .readers import StreamReader
from .stream import StreamCore

__all__ = ["EarlyArrivals", "EarlyStream"]


class EarlyStream(StreamReader):
    """A data stream of the peer whose session is not open yet: keeps what arrives, and replays it.

    The bytes keep their QUIC flow-control credit, which bounds them.
    """

    __slots__ = ("_end", "_end_stream", "_pieces", "_stop_code", "header_size", "session_id", "stream_id")

    def __init__(self, stream_id: int, session_id: int, header_size: int) -> None:
        """`header_size` is that of the header, which was read already."""
        self.stream_id = stream_id
        self.session_id = session_id
        self.header_size = header_size
        self._pieces: list[bytes] = []
        self._end_stream = False
        self._end: tuple[int, int] | None = None
        self._stop_code: int | None = None

    def on_data(self, data: bytes, end_stream: bool) -> None:
        """Keep bytes."""
        if data:
            self._pieces.append(data)
        self._end_stream |= end_stream

    def on_reset(self, wire_code: int, final_size: int) -> None:
        """Keep the reset."""
        self._end = (wire_code, final_size)

    def on_stopped(self, wire_code: int, unsent: int) -> None:
        """Keep the wish."""
        self._stop_code = wire_code

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing more will come."""
        return self._end_stream or self._end is not None

    @property
    def nbytes(self) -> int:
        """Return how many bytes are kept."""
        return sum(map(len, self._pieces))

    @property
    def final_size(self) -> int:
        """Return the size that a reset gave, with the header; 0 without a reset."""
        return 0 if self._end is None else self._end[1]

    def replay(self, stream: StreamCore) -> None:
        """Give everything to the stream's own state."""
        if self._pieces or self._end_stream:
            stream.on_data(b"".join(self._pieces), self._end_stream)
        if self._end is not None:
            stream.on_reset(*self._end)
        if self._stop_code is not None:
            stream.on_stopped(self._stop_code, 0)


@dataclass(slots=True)
class _Waiting:
    """What waits for one session, since when."""

    since: float
    streams: list[EarlyStream] = field(default_factory=list)
    datagrams: list[bytes] = field(default_factory=list)


class EarlyArrivals:
    """Everything that waits for sessions, within bounds.

    Args:
        max_per_session: streams, and as many datagrams, kept for one session.
        max_total: streams and datagrams kept for all sessions together.
        ttl: seconds after which a session that did not come is given up.
    """

    __slots__ = ("_max_per_session", "_max_total", "_total", "_ttl", "datagrams_dropped", "waiting")

    def __init__(self, *, max_per_session: int, max_total: int, ttl: float) -> None:
        """Begin empty."""
        self.datagrams_dropped = 0
        self._max_per_session = max_per_session
        self._max_total = max_total
        self._ttl = ttl
        self._total = 0
        self.waiting: dict[int, _Waiting] = {}  # in the order of their arrival, so the first expires first

    def add_stream(self, stream: EarlyStream, now: float, *, is_known: bool) -> bool:
        """Keep a stream; False when there is no room.

        A session whose CONNECT we know (`is_known`) may have as many as the peer's stream credit lets it open.
        """
        waiting = self._waiting_for(stream.session_id, now)
        if not is_known and (len(waiting.streams) >= self._max_per_session or self._total >= self._max_total):
            return False
        waiting.streams.append(stream)
        self._total += 1
        return True

    def add_datagram(self, session_id: int, data: bytes, now: float) -> bool:
        """Keep a datagram; one too many is dropped and counted, as the network might have done, and False returned."""
        waiting = self._waiting_for(session_id, now)
        if len(waiting.datagrams) >= self._max_per_session or self._total >= self._max_total:
            self.datagrams_dropped += 1
            return False
        waiting.datagrams.append(data)
        self._total += 1
        return True

    def _waiting_for(self, session_id: int, now: float) -> _Waiting:
        waiting = self.waiting.get(session_id)
        if waiting is None:
            waiting = self.waiting[session_id] = _Waiting(now)
        return waiting

    def has_datagrams(self, session_id: int) -> bool:
        """Tell whether datagrams wait for a session."""
        waiting = self.waiting.get(session_id)
        return waiting is not None and bool(waiting.datagrams)

    def take(self, session_id: int) -> tuple[list[EarlyStream], list[bytes]]:
        """Hand out what waits for a session."""
        waiting = self.waiting.pop(session_id, None)
        if waiting is None:
            return [], []
        self._total -= len(waiting.streams) + len(waiting.datagrams)
        return waiting.streams, waiting.datagrams

    def postpone(self, session_id: int, now: float) -> None:
        """Let what waits for a session wait anew: its CONNECT is here, only the answer takes its time."""
        waiting = self.waiting.pop(session_id, None)
        if waiting is not None:
            waiting.since = now
            self.waiting[session_id] = waiting

    def clear(self) -> None:
        """Forget everything."""
        self.waiting.clear()
        self._total = 0

    def next_deadline(self) -> float | None:
        """Return when the next session is given up, or None."""
        for waiting in self.waiting.values():
            return waiting.since + self._ttl
        return None

    def expired(self, now: float) -> list[int]:
        """Return the sessions whose time is over; `take` what waits for them."""
        return [session_id for session_id, waiting in self.waiting.items() if now >= waiting.since + self._ttl]
