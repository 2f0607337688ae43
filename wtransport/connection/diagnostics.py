"""What a connection tells about itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._protocol.traffic import TrafficStats
from ..types import ConnectionId, ConnectionState

__all__ = ["ConnectionDiagnostics"]


@dataclass(kw_only=True)
class ConnectionDiagnostics:
    """A snapshot of one connection.

    Attributes:
        connection_id: the id of this connection at this end.
        state: its state.
        is_client: this end began it.
        connected_at: seconds since the epoch when the peer's SETTINGS had come; None before.
        closed_at: seconds since the epoch when it was over; None before.
        max_datagram_size: bytes that a datagram may have now; it follows the path.
        remote_max_datagram_frame_size: largest DATAGRAM frame that the peer takes, in bytes; 0: none.
        session_count: sessions that are open or being opened.
        stream_count: WebTransport streams that are not over.
        active_session_handles: sessions among them that have a handle.
        active_stream_handles: streams among them that have a handle.
        draft: the draft of WebTransport over HTTP/3 in force (2, 7, 14 or 16); None before the peer's SETTINGS.
        round_trip_time: smoothed, in seconds; 0.0 before the first measurement.
        traffic: what went through it since its beginning.
    """

    connection_id: ConnectionId
    state: ConnectionState
    is_client: bool
    connected_at: float | None
    closed_at: float | None
    max_datagram_size: int
    remote_max_datagram_frame_size: int
    session_count: int
    stream_count: int
    active_session_handles: int
    active_stream_handles: int
    draft: int | None = None
    round_trip_time: float = 0.0
    traffic: TrafficStats = field(default_factory=TrafficStats)
