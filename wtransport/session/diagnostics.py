"""What a session tells about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..types import Headers, SessionId, SessionState, StreamId

__all__ = ["SessionDiagnostics"]


@dataclass(kw_only=True)
class SessionDiagnostics:
    """A snapshot of one session.

    "local" is what this end may send and open and has sent and opened, "peer" the same of the other end. Limits count
    from the beginning of the session; where neither the peer nor this end set one they are 0.

    Attributes:
        session_id: the id of the session.
        control_stream_id: the QUIC stream of its CONNECT request.
        state: its state.
        path: the path of the request, with its query.
        headers: the fields of the request.
        created_at: seconds since the epoch when the handle was made.
        local_max_data: bytes that this end may send.
        local_data_sent: bytes that it sent.
        peer_max_data: bytes that the peer may send.
        peer_data_sent: bytes that it sent.
        local_max_streams_bidi: bidirectional streams that this end may open.
        local_streams_bidi_opened: those it opened.
        peer_max_streams_bidi: bidirectional streams that the peer may open.
        peer_streams_bidi_opened: those it opened.
        local_max_streams_uni: unidirectional streams that this end may open.
        local_streams_uni_opened: those it opened.
        peer_max_streams_uni: unidirectional streams that the peer may open.
        peer_streams_uni_opened: those it opened.
        pending_bidi_stream_futures: futures of `create_bidirectional_stream` calls that wait for credit.
        pending_uni_stream_futures: the same of `create_unidirectional_stream`.
        datagrams_sent: datagrams handed to the transport.
        datagram_bytes_sent: their bytes.
        datagrams_received: datagrams that arrived.
        datagram_bytes_received: their bytes.
        close_code: the code with which either end closed the session; None while open and after an abnormal end.
        close_reason: the text that came with it, or what ended the session.
        closed_at: seconds since the epoch when it ended.
        ready_at: seconds since the epoch when it was accepted.
        streams_closed: streams of either end that ended in order.
        streams_aborted: streams that ended with a reset, a stop request, or the session.
        bytes_dropped: bytes written here that were never sent, since their stream was aborted; `local_data_sent` is
            without them.
        bytes_discarded: bytes of `peer_data_sent` that the program did not get, since their stream was aborted.
        datagrams_dropped: datagrams that arrived and gave way to later ones, as nobody took them.
    """

    session_id: SessionId
    control_stream_id: StreamId
    state: SessionState
    path: str
    headers: Headers
    created_at: float
    local_max_data: int
    local_data_sent: int
    peer_max_data: int
    peer_data_sent: int
    local_max_streams_bidi: int
    local_streams_bidi_opened: int
    peer_max_streams_bidi: int
    peer_streams_bidi_opened: int
    local_max_streams_uni: int
    local_streams_uni_opened: int
    peer_max_streams_uni: int
    peer_streams_uni_opened: int
    pending_bidi_stream_futures: list[Any]
    pending_uni_stream_futures: list[Any]
    datagrams_sent: int
    datagram_bytes_sent: int
    datagrams_received: int
    datagram_bytes_received: int
    close_code: int | None
    close_reason: str | None
    closed_at: float | None
    ready_at: float | None
    streams_closed: int = 0
    streams_aborted: int = 0
    bytes_dropped: int = 0
    bytes_discarded: int = 0
    datagrams_dropped: int = 0
