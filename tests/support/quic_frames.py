"""Packets without protection for tests of what is written into them, and a reader of their frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aioquic.buffer import Buffer
from aioquic.quic.packet import QuicPacketType, QuicProtocolVersion
from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilder, QuicPacketBuilderStop, QuicSentPacket

from wtransport._quic.frame_writer import FrameWriter

_NAMES = {
    0x01: ("PING", 0),
    0x04: ("RESET_STREAM", 3),
    0x05: ("STOP_SENDING", 2),
    0x10: ("MAX_DATA", 1),
    0x11: ("MAX_STREAM_DATA", 2),
    0x12: ("MAX_STREAMS_BIDI", 1),
    0x13: ("MAX_STREAMS_UNI", 1),
    0x14: ("DATA_BLOCKED", 1),
    0x15: ("STREAM_DATA_BLOCKED", 2),
    0x16: ("STREAMS_BLOCKED_BIDI", 1),
    0x17: ("STREAMS_BLOCKED_UNI", 1),
    0x24: ("RESET_STREAM_AT", 4),
}


@dataclass
class StreamFrame:
    """A STREAM frame."""

    stream_id: int
    offset: int
    data: bytes
    fin: bool


@dataclass
class DatagramFrame:
    """A DATAGRAM frame."""

    data: bytes


@dataclass
class Packet:
    """A packet that was written: its frames, and what settles its fate."""

    frames: list[Any]
    sent: QuicSentPacket

    def acknowledge(self) -> None:
        """Tell the writer that the packet arrived."""
        self._settle(QuicDeliveryState.ACKED)

    def lose(self) -> None:
        """Tell the writer that the packet is lost."""
        self._settle(QuicDeliveryState.LOST)

    def _settle(self, state: QuicDeliveryState) -> None:
        for handler, args in self.sent.delivery_handlers:
            handler(state, *args)


class _Plain:
    """Packet protection that protects nothing."""

    aead_tag_size = 16
    key_phase = 0

    def encrypt_packet(self, header: bytes, payload: bytes, packet_number: int) -> bytes:
        return header + payload + bytes(16)


def parse_frames(payload: bytes) -> list[Any]:
    """Return the frames of a packet: dataclasses for data, tuples ``(name, fields...)`` for the rest."""
    buf = Buffer(data=payload)
    frames: list[Any] = []
    while not buf.eof():
        frame_type = buf.pull_uint_var()
        if frame_type == 0:
            continue
        if frame_type == 2:
            for _ in range(4):
                buf.pull_uint_var()
            continue
        if 0x08 <= frame_type <= 0x0F:
            stream_id = buf.pull_uint_var()
            offset = buf.pull_uint_var() if frame_type & 4 else 0
            length = buf.pull_uint_var()
            frames.append(StreamFrame(stream_id, offset, buf.pull_bytes(length), bool(frame_type & 1)))
        elif frame_type == 0x31:
            frames.append(DatagramFrame(buf.pull_bytes(buf.pull_uint_var())))
        else:
            name, fields = _NAMES[frame_type]
            frames.append((name, *(buf.pull_uint_var() for _ in range(fields))))
    return frames


class PacketLoop:
    """Writes packets the way a connection does, with a bound on what may be in flight."""

    def __init__(self, writer: FrameWriter, *, size: int = 1200) -> None:
        self.writer = writer
        self.size = size
        self._next_number = 0

    def flush(self, flight_bytes: int | None = None, *, reserve: int = 0) -> list[Packet]:
        """Write packets until nothing is left or `flight_bytes` are used; `reserve` bytes of the first go to an ACK."""
        builder = QuicPacketBuilder(
            host_cid=bytes(8),
            peer_cid=bytes(8),
            version=QuicProtocolVersion.VERSION_1,
            is_client=True,
            max_datagram_size=self.size,
            packet_number=self._next_number,
        )
        builder.max_flight_bytes = flight_bytes
        while True:
            builder.start_packet(QuicPacketType.ONE_RTT, _Plain())  # type: ignore[arg-type]
            try:
                if reserve:
                    # An ACK of nothing much, and padding: like a real one it does not count as in flight.
                    builder.start_frame(0x02, reserve).push_bytes(bytes(reserve - 1))
                    reserve = 0
                self.writer.write_limits(builder)
                self.writer.write(builder)
            except QuicPacketBuilderStop:
                pass
            if builder.packet_is_empty:
                break
        self._next_number = builder.packet_number
        datagrams, packets = builder.flush()
        return [Packet(parse_frames(data[11:-16]), sent) for data, sent in zip(datagrams, packets, strict=True)]


def note_frames(connection: Any, frame_type: int, note: Callable[[int], Any]) -> None:
    """Call `note` with the type of every frame of that type which a connection takes, before it does."""
    connection.reads_packets = False  # the compiled data path's, which has no handlers to look at
    handlers = connection._QuicConnection__frame_handlers
    handler, epochs = handlers[frame_type]

    def noted(context: Any, taken: int, buf: Buffer) -> None:
        note(taken)
        handler(context, taken, buf)

    handlers[frame_type] = noted, epochs
