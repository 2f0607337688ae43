"""What one QUIC connection lets its peer have, and keeps for sending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .path_mtu import BASE_UDP_PAYLOAD

MAX_CLOSE_REASON_BYTES = 256
"""Bytes of UTF-8 of the text in CONNECTION_CLOSE; the rest is cut off. While the handshake lasts the frame goes out in
a packet of each kind, and all three must fit into one datagram of 1200 bytes."""


class TransportLimits(NamedTuple):
    """What one connection grants its peer, and what it keeps to in sending; looked up by for every connection."""

    stream_window: int
    """Bytes of one stream that may be unread."""
    connection_window: int
    """Bytes of all streams together that may be unread."""
    max_streams_bidi: int
    """Bidirectional streams the peer may have open at a time."""
    max_streams_uni: int
    """Unidirectional streams the peer may have open at a time."""
    max_queued_datagrams: int = 1024
    """Outgoing datagrams kept until congestion control lets them go."""
    max_udp_payload_size: int = BASE_UDP_PAYLOAD
    """Bytes of the largest UDP payload to try on an IPv4 path; the default tries nothing. Larger only where packets
    are not fragmented, or fragments would be mistaken for packets that pass."""


@dataclass(slots=True)
class PeerLimits:
    """What the peer's transport parameters allow us (RFC 9000, 18.2); the named side is the stream's opener's."""

    max_data: int = 0
    max_stream_data_bidi_local: int = 0
    max_stream_data_bidi_remote: int = 0
    max_stream_data_uni: int = 0
    max_streams_bidi: int = 0
    max_streams_uni: int = 0
    reset_stream_at: bool = False
    """The peer takes RESET_STREAM_AT frames."""
