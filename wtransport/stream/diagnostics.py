"""What a stream tells about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..types import SessionId, StreamDirection, StreamId, StreamState

__all__ = ["StreamDiagnostics"]


@dataclass(kw_only=True)
class StreamDiagnostics:
    """A snapshot of one stream.

    Attributes:
        stream_id: the QUIC stream id.
        session_id: the id of the session it belongs to.
        direction: which ways data may flow, seen from here.
        state: its state.
        created_at: seconds since the epoch when the handle was made.
        bytes_sent: bytes of data given to the transport.
        bytes_received: bytes of data that arrived in order.
        read_buffer: a copy of the bytes that arrived and were not read.
        read_buffer_size: how many they are.
        pending_read_requests: the futures that readers sleep on; at most one.
        write_buffer: the writes that wait for room, first in line first, as (data, future, end_stream).
        close_code: the application code of the reset or stop request that ended a side of it, from either end.
        close_reason: what ended it abnormally, in words.
        closed_at: seconds since the epoch when both sides were over.
        bytes_dropped: those of `bytes_sent` that never went out: this end reset the stream, or the peer stopped it.
        bytes_discarded: bytes that the peer sent and that nobody will read: lost with a reset, or not wanted here.
        bytes_unsent: those of `bytes_sent` that still wait to be sent. A stream can be over, and even its session, with
            bytes left to send; as long as there are any, an abort by either end makes them `bytes_dropped`.
    """

    stream_id: StreamId
    session_id: SessionId
    direction: StreamDirection
    state: StreamState
    created_at: float
    bytes_sent: int
    bytes_received: int
    read_buffer: bytes
    read_buffer_size: int
    pending_read_requests: list[Any]
    write_buffer: list[tuple[bytes, Any, bool]]
    close_code: int | None
    close_reason: str | None
    closed_at: float | None
    bytes_dropped: int = 0
    bytes_discarded: int = 0
    bytes_unsent: int = 0
