"""Joins the bytes of one stream into fewer events, while nobody has taken the last one and nothing else happened since.

What is done with an event costs the same whether it tells of one packet's bytes or of ten packets'.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .port import StreamBytes

MAX_EVENT_BYTES = 16_384
"""Bytes of a stream in one event. A full window can be behind a gap; dealing with all of its bytes in one go takes a
second if they are frames of three bytes."""


class StreamBytesEvents:
    """Makes the events of arrived bytes.

    The last one in the queue may still grow: who takes it out of the queue calls `complete` if it is `growing`.
    """

    __slots__ = ("_emit", "_parts", "_queue", "_size", "growing")

    def __init__(self, emit: Callable[[Any], None], queue: deque[Any] | None) -> None:
        """`emit` reports an event; `queue` is where it puts them, None when they are never to grow afterwards."""
        self.growing: StreamBytes | None = None
        self._emit = emit
        self._queue = queue
        self._parts: list[bytes] = []
        self._size = 0

    def report(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        """Report bytes that are in order; long ones, from behind a gap, not all at once."""
        if len(data) <= MAX_EVENT_BYTES:
            self._report_piece(stream_id, data, end_stream)
            return
        for start in range(0, len(data), MAX_EVENT_BYTES):
            stop = start + MAX_EVENT_BYTES
            self._report_piece(stream_id, data[start:stop], end_stream and stop >= len(data))

    def complete(self) -> None:
        """Let the growing event have all its bytes; it does not grow any more."""
        if self.growing is not None:
            if len(self._parts) > 1:
                self.growing.data = b"".join(self._parts)
            self._parts.clear()
            self.growing = None

    def _report_piece(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        growing, queue = self.growing, self._queue
        if growing is not None:
            size = self._size + len(data)
            if growing.stream_id == stream_id and size <= MAX_EVENT_BYTES and queue and queue[-1] is growing:
                growing.end_stream = end_stream
                self._parts.append(data)
                self._size = size
                return
            self.complete()
        event = StreamBytes(stream_id, data, end_stream)
        self._emit(event)
        if queue is not None:
            self.growing = event
            self._parts.append(data)
            self._size = len(data)
