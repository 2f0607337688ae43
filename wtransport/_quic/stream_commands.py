"""What a connection is asked for every stream and packet, and how one hears what came of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aioquic.quic import events as aioquic_events

from .port import StreamStopped

if TYPE_CHECKING:
    from .aioquic_connection import StreamingConnection
    from .port import QuicEvent
    from .stream_table import StreamTable

__all__ = ["StreamCommands"]

STREAMS_PER_FLUSH = 64
"""Streams of ours after which a flush is asked for at once: who begins many in one turn keeps the peer waiting."""


def _ignore(*_: object) -> None:
    """Stand in for a hook that nobody set."""


class StreamCommands:
    """The part of a port that runs for each stream and packet; it has a compiled twin.

    A subclass translates aioquic's own events (``_translate``), says how the connection ended (``_end``) and whether it
    is over (``is_terminated``), and when to ask whether the peer is there (``_kept_alive``).
    """

    def __init__(self, connection: StreamingConnection, least_quiet: float) -> None:
        """Serve a connection, of which the table of streams and the queue of events are used.

        Silence for `least_quiet` seconds is short enough not to be looked at; infinity never asks `_kept_alive`.
        """
        self._least_quiet = least_quiet
        self.request_flush: Callable[[], None] = _ignore
        self.request_prompt_flush: Callable[[bool], None] | None = None
        self.request_flush_at_once: Callable[[], None] | None = None
        self.unsent_bytes: Callable[[int], int] = connection.table.unsent_bytes
        self.send_room: Callable[[int], int] = connection.table.send_room
        self._connection = connection
        self._table: StreamTable = connection.table
        self._queue: deque[Any] = connection.events
        self._end_reported = False
        self._begun = 0  # streams since the last time that a flush was asked for at once

    def next_event(self) -> QuicEvent | None:
        """Return the next event, or None."""
        connection = self._connection
        while self._queue and (event := connection.pop_event()) is not None:
            translated = self._translate(event) if isinstance(event, aioquic_events.QuicEvent) else event
            if translated is not None and not self._end_reported:
                if isinstance(translated, StreamStopped) and self._table.stop_told(translated.stream_id):
                    self.request_flush()
                return translated
        if not self._end_reported and connection.close_event is not None:
            self._end_reported = True
            return self._end()
        return None

    def open_stream(self, *, unidirectional: bool) -> int | None:
        """Open a stream and return its id; None when the peer allows no more now."""
        stream_id = self._table.open(unidirectional=unidirectional)
        if stream_id is None:
            self.request_flush()
        return stream_id

    def send_stream_header(self, stream_id: int, data: bytes) -> None:
        """Queue the bytes that a new stream of ours begins with; they arrive even if it is reset later."""
        self._table.write_header(self._table.streams[stream_id], data)
        self._begun += 1
        if self._begun < STREAMS_PER_FLUSH or self.request_flush_at_once is None:
            self.request_flush()
        else:
            self._begun = 0
            self.request_flush_at_once()

    def send_stream(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        """Queue stream bytes; without effect on a stream whose sending side is over. Its end is sent promptly."""
        if self._table.send(stream_id, data, end_stream):
            if end_stream:
                self.flush_promptly(is_whole=False)
            else:
                self.request_flush()

    def flush_promptly(self, *, is_whole: bool) -> None:
        """Ask for a flush that is not to wait for others' commands, if that can be asked for."""
        if self.request_prompt_flush is None:
            self.request_flush()
        else:
            self.request_prompt_flush(is_whole)

    def consume(self, stream_id: int, nbytes: int) -> None:
        """Give back credit for bytes that were read, or will not be."""
        if self._table.consume(stream_id, nbytes):
            self.request_flush()

    def release_stream(self, stream_id: int) -> None:
        """Let the peer open another stream in place of this one, at once or as soon as it is over."""
        if self._table.release(stream_id):
            self.request_flush()

    def next_deadline(self) -> float | None:
        """Return when `handle_timeout` must be called next, or None."""
        connection = self._connection
        timer = connection.deadline
        if timer is None or (connection.close_event is not None and self.is_terminated):
            return None
        if timer <= connection.heard_at + self._least_quiet or self._end_reported:
            return timer
        return self._kept_alive(timer)

    @property
    def is_paced(self) -> bool:
        """Whether packets are held back by pacing."""
        return self._connection.is_paced

    # What a subclass has to say.

    @property
    def is_terminated(self) -> bool:
        raise NotImplementedError

    def _kept_alive(self, timer: float) -> float:
        """Return the deadline, or when to ask whether the peer is there if that is earlier."""
        raise NotImplementedError

    def _translate(self, event: Any) -> QuicEvent | None:
        raise NotImplementedError

    def _end(self) -> QuicEvent:
        raise NotImplementedError
