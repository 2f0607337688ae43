"""A QUIC port in memory: what the engine sends stays where a test can see it, and events are whatever a test says."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from wtransport._quic import port as quic
from wtransport._quic.datagram_sender import DatagramSender

__all__ = ["PROBE_TIMEOUT", "MemoryPort", "PortStream"]

PROBE_TIMEOUT = 0.1
"""Seconds; what the port says it is."""


class PortStream:
    """What the port knows of a stream: what the engine sent, and how its two sides stand."""

    def __init__(self, *, can_send: bool, can_receive: bool) -> None:
        self.queued = bytearray()
        self.sent = bytearray()
        self.header_size = 0
        self.fin_queued = False
        self.reset_code: int | None = None
        self.stop_code: int | None = None
        self.delivered = 0
        self.consumed = 0
        self.low_water = -1
        self.room = 1 << 30
        self.wants_room = False
        self.send_over = not can_send
        self.receive_over = not can_receive
        self.peer_stop: int | None = None
        self.peer_sent = 0
        self.is_new = False
        self.early_stop: quic.StreamStopped | None = None

    def reset(self, error_code: int) -> int:
        """End the sending side, of which only the header still goes out; return how many queued bytes never do."""
        self.send_over = True
        self.reset_code = error_code
        header_left = max(self.header_size - len(self.sent), 0)
        self.sent += self.queued[:header_left]
        unsent = len(self.queued) - header_left
        self.queued.clear()
        return unsent

    @property
    def fin(self) -> bool:
        """Tell whether the FIN went out."""
        return self.fin_queued and not self.queued and self.reset_code is None


class MemoryPort:
    """Implements `QuicPort` without QUIC: what is sent is sent at once, unless `hold` keeps it."""

    def __init__(self, *, is_client: bool) -> None:
        self.is_client = is_client
        self.streams: dict[int, PortStream] = {}
        self.events: deque[quic.QuicEvent] = deque()
        self.datagrams: list[bytes] = []
        self.closes: list[tuple[int, str]] = []
        self.flushes = 0
        self.hold = False
        self.datagram_room = 1 << 30
        self.max_streams = [1 << 20, 1 << 20]
        self.local_max_streams_bidi = 1 << 20
        self.allowed_streams = [0, 0]
        self.released: list[int] = []
        self.max_datagram_payload = 1200
        self.remote_max_datagram_frame_size = 65535
        self.remote_has_reset_stream_at = True
        self.remote_address: Any = ("192.0.2.1", 4433)
        self.connection_id = b"01234567"
        self.is_terminated = False
        self.is_paced = False
        self.datagrams_dropped = 0
        self.probe_timeout = PROBE_TIMEOUT
        self.round_trip_time = 0.05
        self.on_cid_issued: Callable[[bytes], None] = lambda cid: None
        self.on_cid_retired: Callable[[bytes], None] = lambda cid: None
        self.request_flush: Callable[[], None] = self._flush_requested
        self._next_ids = [0, 2] if is_client else [1, 3]
        self._wants_datagram_room = False

    def _flush_requested(self) -> None:
        self.flushes += 1

    # The driver's and the engine's side.

    @property
    def remote_max_streams_bidi(self) -> int:
        return self.max_streams[0]

    def connect(self, addr: Any, now: float) -> None:
        pass

    def path_changed(self) -> None:
        pass

    def receive_datagram(self, data: bytes, addr: Any, now: float) -> None:
        pass

    def receive_datagrams(self, datagrams: Any, now: float) -> None:
        pass

    def handle_timeout(self, now: float) -> None:
        pass

    def clear(self) -> None:
        pass

    def next_deadline(self) -> float | None:
        return None

    def has_events(self) -> bool:
        return bool(self.events)

    def has_room(self) -> bool:
        return not self.events

    def next_event(self) -> quic.QuicEvent | None:
        return self.events.popleft() if self.events else None

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Any]]:
        return []

    def close(self, error_code: int, reason: str, *, is_application: bool = True) -> None:
        if not self.closes:
            self.events.append(quic.Terminated(error_code, reason, is_application, by_peer=False))
        self.closes.append((error_code, reason))
        self.request_flush()

    def open_stream(self, *, unidirectional: bool) -> int | None:
        stream_id = self._next_ids[unidirectional]
        if stream_id >> 2 >= self.max_streams[unidirectional]:
            return None
        self._next_ids[unidirectional] += 4
        self.streams[stream_id] = PortStream(can_send=True, can_receive=not unidirectional)
        return stream_id

    def send_stream_header(self, stream_id: int, data: bytes) -> None:
        self.streams[stream_id].header_size = len(data)
        self.send_stream(stream_id, data, False)

    def send_stream(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        stream = self.streams[stream_id]
        if stream.send_over or stream.fin_queued:
            return
        stream.queued += data
        stream.room -= len(data)
        stream.fin_queued = end_stream
        self.request_flush()
        if not self.hold:
            self.let_go(stream_id)

    def let_go(self, stream_id: int, nbytes: int = 1 << 30) -> None:
        """Send up to so many queued bytes of a stream."""
        stream = self.streams[stream_id]
        stream.sent += stream.queued[:nbytes]
        del stream.queued[:nbytes]
        if 0 <= len(stream.queued) <= stream.low_water:
            stream.low_water = -1
            self.events.append(quic.StreamDrained(stream_id))

    def unsent_bytes(self, stream_id: int) -> int:
        stream = self.streams.get(stream_id)
        return 0 if stream is None else len(stream.queued)

    def watch_unsent(self, stream_id: int, low_water: int) -> None:
        self.streams[stream_id].low_water = low_water
        self.let_go(stream_id, 0)

    def send_room(self, stream_id: int) -> int:
        return self.streams[stream_id].room

    def watch_room(self, stream_id: int) -> None:
        self.streams[stream_id].wants_room = True

    def raise_room(self, stream_id: int, nbytes: int) -> None:
        """Let the peer's credit for a stream grow to so many bytes beyond what is queued."""
        stream = self.streams[stream_id]
        stream.room = nbytes
        if stream.wants_room:
            stream.wants_room = False
            self.events.append(quic.StreamRoomRaised(stream_id))

    def reset_stream(self, stream_id: int, error_code: int) -> None:
        stream = self.streams[stream_id]
        if not stream.send_over:
            stream.reset(error_code)
            self.request_flush()

    def stop_stream(self, stream_id: int, error_code: int) -> None:
        stream = self.streams[stream_id]
        if not stream.receive_over and stream.stop_code is None:
            stream.stop_code = error_code
            self.request_flush()

    def consume(self, stream_id: int, nbytes: int) -> None:
        if nbytes < 0:
            raise AssertionError("credit never shrinks")
        self.streams[stream_id].consumed += nbytes

    def release_stream(self, stream_id: int) -> None:
        self.released.append(stream_id)

    def allow_streams(self, count: int, *, unidirectional: bool) -> None:
        self.allowed_streams[unidirectional] = count

    def send_datagram(self, data: bytes) -> bool:
        if len(data) > self.max_datagram_payload:
            raise AssertionError("larger than the port can send")
        if len(self.datagrams) >= self.datagram_room:
            self._wants_datagram_room = True
            return False
        self.datagrams.append(data)
        self.request_flush()
        return True

    def datagram_sender(self, prefix: bytes) -> DatagramSender:
        return DatagramSender(self, prefix)

    def export_keying_material(self, label: bytes, context: bytes, length: int) -> bytes:
        return (label + b"|" + context).ljust(length, b".")[:length]

    @property
    def peer_certificate(self) -> bytes | None:
        return None

    # The test's side.

    def make_datagram_room(self, room: int) -> None:
        self.datagram_room = room
        if self._wants_datagram_room:
            self._wants_datagram_room = False
            self.events.append(quic.DatagramsDrained())

    @property
    def held_credit(self) -> int:
        """Return how many bytes the engine got and has not given back as credit: what the connection calls unread."""
        return sum(stream.delivered - stream.consumed for stream in self.streams.values())
