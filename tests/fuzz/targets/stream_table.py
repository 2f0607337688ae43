"""The QUIC stream table and the writer of its frames: frames of a peer, commands of a program, packets lost or not.

Documented: TransportViolation for a frame that breaks a rule, which ends the connection. Bytes are handed out once, in
order and unchanged; credit is what was consumed and a window; nothing is sent without credit; what was sent and not
reset arrives; streams that are over are forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fuzzing.byte_source import ByteSource
from fuzzing.outcomes import Trace, check
from quic_frames import Packet, PacketLoop, StreamFrame

from wtransport._quic import port as quic
from wtransport._quic.limits import PeerLimits, TransportLimits
from wtransport._quic.stream_kernels import FrameWriter, QuicStream, StreamTable
from wtransport._quic.violations import TransportViolation
from wtransport._speedups import BACKEND

__all__ = ["BACKEND", "SHORT_RUNS", "fuzz", "seeds"]

SHORT_RUNS = 250

_CONTENT = bytes(range(1, 252)) * 400  # of every stream, shifted by its id
_LIMITS = TransportLimits(stream_window=200, connection_window=500, max_streams_bidi=4, max_streams_uni=3)
_EDGES = [0, 1, 199, 200, 201, 499, 500, 501, 2**60, 2**60 + 1, 2**62 - 1]
_MAX_WRITTEN = 4000


def _content(stream_id: int, start: int, end: int) -> bytes:
    return _CONTENT[start + stream_id % 7 : end + stream_id % 7]


def seeds() -> Iterator[bytes]:
    """Yield usual sequences."""
    arrive = bytes([0, 0, 0, 40, 0, 0, 0, 40, 40, 1])
    write = bytes([7, 0, 3, 8, 0, 90, 0, 14, 5, 15, 0, 8, 0, 20, 1, 14, 5, 16, 0, 14, 5, 15, 0, 15, 0])
    for start in (b"\x00\x01", b"\x01\x00", b"\x00\x00", b"\x01\x01"):
        yield start + arrive + write
        yield start + write + bytes([9, 0, 14, 5, 16, 0, 14, 5, 15, 0, 15, 0])
        yield start + bytes(
            [7, 1, 0, 2, 2, 7, 9, 0, 4, 1, 30, 1, 30, 10, 1, 0, 0, 0, 60, 60, 60, 1, 1, 0, 1, 5, 120, 3]
        )
        yield start + bytes([0, 0, 100, 50, 0, 0, 0, 50, 30, 0, 0, 0, 0, 100, 1, 11, 0, 200, 14, 9, 15, 0])
        yield start + bytes([1, 0, 7, 80, 20, 0, 0, 0, 10, 0, 0, 0, 10, 20, 0, 10, 0, 11, 0, 90])


def fuzz(data: bytes) -> Trace:
    """Run one input."""
    source = ByteSource(data)
    play = _Play(is_client=source.flag(), reset_stream_at=source.flag())
    try:
        while source.has_more:
            play.step(source)
            play.check()
        play.finish()
    except TransportViolation as violation:
        play.take_events()
        play.trace.append(("violation", violation.error_code, violation.reason))
    return play.trace


@dataclass
class _Known:
    """What there is to be known of one stream."""

    delivered: int = 0
    unread: int = 0
    has_ended: bool = False
    header: int = 0
    written: int = 0
    sent: int = 0
    arrived: set[int] = field(default_factory=set)
    has_fin: bool = False
    fin_arrived: bool = False
    is_reset: bool = False
    reset_arrived: bool = False


class _Play:
    """A table, the other end of its packets, and the books that are kept on both."""

    def __init__(self, *, is_client: bool, reset_stream_at: bool) -> None:
        self.is_client = is_client
        self.trace: Trace = []
        self.queue: deque[quic.QuicEvent] = deque()
        self.table = StreamTable(is_client=is_client, limits=_LIMITS, emit=self.emit, queue=self.queue)
        self.table.remote = PeerLimits(300, 100, 100, 100, 2, 2)
        self.table.remote.reset_stream_at = reset_stream_at
        self.loop = PacketLoop(FrameWriter(self.table), size=200)
        self.packets: list[Packet] = []
        self.known: dict[int, _Known] = {}
        self.announced: dict[Any, int] = {}

    def of(self, stream_id: int) -> _Known:
        return self.known.setdefault(stream_id, _Known())

    def some_stream(self, source: ByteSource) -> QuicStream | None:
        streams = list(self.table.streams.values())
        return source.pick(streams) if streams else None

    def emit(self, event: quic.QuicEvent) -> None:
        self.queue.append(event)
        if isinstance(event, quic.StreamStopped):
            send, written = self.table.streams[event.stream_id].send, self.of(event.stream_id).written
            check(send.offset + send.unsent + event.unsent == written, f"{event.unsent} unsent bytes do not add up")

    def take_events(self) -> None:
        while self.queue:
            event = self.queue.popleft()
            if event is self.table.arrived.growing:
                self.table.arrived.complete()
            if isinstance(event, quic.StreamStopped):
                self.table.stop_told(event.stream_id)
            self.on_event(event)

    def on_event(self, event: quic.QuicEvent) -> None:
        self.trace.append(repr(event)[:200])
        stream_id = getattr(event, "stream_id", -1)
        known = self.of(stream_id)
        match event:
            case quic.StreamBytes(_, data, end_stream):
                check(not known.has_ended, "bytes after the end of a stream")
                check(data == _content(stream_id, known.delivered, known.delivered + len(data)), "other bytes")
                check(data or end_stream, "an event about nothing")
                known.delivered += len(data)
                known.unread += len(data)
                known.has_ended = end_stream
            case quic.StreamReset(_, _, final_size):
                check(not known.has_ended, "a stream ends twice")
                check(final_size >= known.delivered, "more was delivered than the final size")
                known.has_ended = True
            case quic.StreamDiscarded():
                check(not known.has_ended, "a stream ends twice")
                known.has_ended = True

    def step(self, source: ByteSource) -> None:
        steps = (
            *(self.stream_frame, self.reset_frame, self.stop_frame, self.max_data, self.max_stream_data),
            *(self.max_streams, self.blocked, self.open, self.write, self.reset, self.stop, self.consume),
            *(self.allow, self.watch, self.flush, self.acknowledge, self.lose),
        )
        step = steps[source.below(len(steps))]
        if step != self.stream_frame:  # several of those may share an event
            self.take_events()
        step(source)
        if step != self.stream_frame:
            self.take_events()

    # The peer.

    def peers_id(self, source: ByteSource) -> int:
        """Return the id of a stream: mostly one of the peer's."""
        choice = source.byte()
        if choice >= 0xF0:
            return source.number()
        is_ours = choice & 0x40
        return (choice >> 2 & 7) << 2 | (choice & 2) | (self.is_client if not is_ours else not self.is_client)

    def size(self, source: ByteSource) -> int:
        choice = source.byte()
        return choice if choice < 0xF0 else _EDGES[source.below(len(_EDGES))]

    def stream_frame(self, source: ByteSource) -> None:
        stream_id, offset = self.peers_id(source), self.size(source)
        data = _content(stream_id, offset, offset + source.byte()) if offset < 2000 else bytes(source.byte())
        self.table.on_stream_frame(stream_id, offset, data, source.byte() % 8 == 1)

    def reset_frame(self, source: ByteSource) -> None:
        stream_id, code, final_size = self.peers_id(source), source.below(3), self.size(source)
        self.table.on_reset(stream_id, code, final_size, source.pick([0, 0, 0, 1, 3, 50, final_size]))

    def stop_frame(self, source: ByteSource) -> None:
        stream_id = self.peers_id(source)
        self.table.on_stop_sending(stream_id, source.byte())
        stream = self.table.streams.get(stream_id)
        if stream is not None and stream.send.reset_code is not None:
            self.of(stream_id).is_reset = True  # the event may come later

    def max_data(self, source: ByteSource) -> None:
        self.table.on_max_data(min(self.table.remote.max_data - 50 + self.size(source), 2**62 - 1))

    def max_stream_data(self, source: ByteSource) -> None:
        self.table.on_max_stream_data(self.peers_id(source), self.size(source))

    def max_streams(self, source: ByteSource) -> None:
        self.table.on_max_streams(self.size(source), unidirectional=source.flag())

    def blocked(self, source: ByteSource) -> None:
        self.table.on_stream_data_blocked(self.peers_id(source))

    # The program.

    def open(self, source: ByteSource) -> None:
        stream_id = self.table.open(unidirectional=source.flag())
        self.trace.append(stream_id)
        if stream_id is not None:
            known = self.of(stream_id)
            known.header = known.written = source.below(6)
            if known.header:
                self.table.write_header(self.table.streams[stream_id], _content(stream_id, 0, known.header))

    def write(self, source: ByteSource) -> None:
        stream = self.some_stream(source)
        size, fin = source.byte(), source.flag()
        if stream is not None and stream.send.is_open:
            known = self.of(stream.stream_id)
            size = min(size, _MAX_WRITTEN - known.written)
            self.table.write(stream, _content(stream.stream_id, known.written, known.written + size), fin)
            known.written += size
            known.has_fin = fin

    def reset(self, source: ByteSource) -> None:
        stream = self.some_stream(source)
        if stream is not None:
            is_news = stream.send.reset_code is None and not stream.send.is_finished
            self.table.reset(stream, source.byte())
            self.of(stream.stream_id).is_reset |= is_news

    def stop(self, source: ByteSource) -> None:
        stream = self.some_stream(source)
        if stream is not None:
            self.table.stop(stream, source.byte())

    def consume(self, source: ByteSource) -> None:
        waiting = [stream_id for stream_id, known in self.known.items() if known.unread]
        if waiting:
            stream_id = source.pick(waiting)
            size = min(self.known[stream_id].unread, source.byte())
            self.table.consume(stream_id, size)
            self.known[stream_id].unread -= size

    def allow(self, source: ByteSource) -> None:
        self.table.allow_streams(source.below(8), unidirectional=source.flag())

    def watch(self, source: ByteSource) -> None:
        stream = self.some_stream(source)
        if stream is not None:
            self.trace.append(self.table.watch_unsent(stream, source.byte()))

    # The network.

    def flush(self, source: ByteSource) -> None:
        self.write_packets(source.byte() * 50)

    def write_packets(self, flight_bytes: int | None) -> int:
        """Write packets and check every frame in them; return how many there are."""
        packets = self.loop.flush(flight_bytes)
        for packet in packets:
            self.trace.append(repr(packet.frames)[:200])
            for frame in packet.frames:
                self.check_frame(frame)
        self.packets += packets
        return len(packets)

    def check_frame(self, frame: Any) -> None:
        if not isinstance(frame, StreamFrame):
            name, *fields = frame
            if name in ("MAX_DATA", "MAX_STREAMS_BIDI", "MAX_STREAMS_UNI", "MAX_STREAM_DATA"):
                key = (name, fields[0]) if name == "MAX_STREAM_DATA" else name
                check(self.announced.get(key, 0) <= fields[-1], f"{key} goes down")
                self.announced[key] = fields[-1]
            if name.startswith("RESET_STREAM"):
                known = self.of(fields[0])
                check(known.is_reset, "a reset that nobody wanted")
                check(fields[2] == known.sent, "the final size is not what was sent")
                check(name == "RESET_STREAM" or fields[3] == known.header, "the reliable size is not the header's")
            return
        known, end = self.of(frame.stream_id), frame.offset + len(frame.data)
        check(frame.data == _content(frame.stream_id, frame.offset, end), "other bytes than were written")
        check(end <= known.written, "more than was written")
        check(frame.fin <= (known.has_fin and end == known.written), "a FIN in the wrong place")
        check(end <= known.header or not known.is_reset, "bytes of a stream that was reset")
        if frame.stream_id in self.table.streams:
            check(end <= max(self.table.streams[frame.stream_id].send.limit, known.sent), "beyond the stream's credit")
        known.sent = max(known.sent, end)

    def acknowledge(self, source: ByteSource) -> None:
        if self.packets:
            self.settle(self.packets.pop(source.below(min(len(self.packets), 256))), is_lost=False)

    def lose(self, source: ByteSource) -> None:
        if self.packets:
            self.settle(self.packets.pop(source.below(min(len(self.packets), 256))), is_lost=True)

    def settle(self, packet: Packet, *, is_lost: bool) -> None:
        if is_lost:
            packet.lose()
            return
        for frame in packet.frames:
            if isinstance(frame, StreamFrame):
                known = self.of(frame.stream_id)
                known.arrived.update(range(frame.offset, frame.offset + len(frame.data)))
                known.fin_arrived |= frame.fin
            elif frame[0].startswith("RESET_STREAM"):
                self.of(frame[1]).reset_arrived = True
        packet.acknowledge()

    # The books.

    def check(self) -> None:
        if self.queue:
            return  # what the program has not heard of is not in the books
        table = self.table
        held = 0
        alive = [[0, 0], [0, 0]]  # ours and the peer's, of both directions
        for stream in table.streams.values():
            receive, known = stream.receive, self.of(stream.stream_id)
            is_peers = (stream.stream_id & 1) == self.is_client
            alive[is_peers][stream.stream_id >> 1 & 1] += 1
            check(not stream.is_finished, "a stream that is over is kept")
            check(receive.window.received <= receive.window.limit, "a stream's limit is exceeded")
            check(receive.window.limit <= receive.window.consumed + receive.window.window, "too much credit given")
            kept = sum(end - start for start, end in receive.kept)
            check(kept <= _LIMITS.stream_window, "a stream keeps more than its window")
            check(stream.send.offset + stream.send.unsent <= known.written, "more is queued than was written")
            check(stream.send.offset == known.sent, "the offset is not what was sent")
            if not receive.is_stopped and not receive.is_finished:
                held += receive.window.received - receive.next_offset
        window = table.receive_window
        unread = sum(known.unread for known in self.known.values())
        check(window.received <= window.limit, "the connection's limit is exceeded")
        check(window.limit <= window.consumed + window.window, "too much credit given on the connection")
        check(
            window.consumed + held + unread == window.received,
            f"consumed {window.consumed}, held {held}, unread {unread}, but received {window.received}",
        )
        check(table.data_used == sum(known.sent for known in self.known.values()), "data_used is not what was sent")
        check(table.data_used <= table.remote.max_data, "sent beyond the connection's credit")
        for limit, count in zip(table.peer_limits, alive[1], strict=True):
            check(count <= limit.window and limit.opened <= limit.limit, "too many streams of the peer")
        check(all(stream.is_queued for stream in table.ready), "a stream in line does not know it")
        check(len(set(table.ready)) == len(table.ready), "a stream stands in line twice")

    def finish(self) -> None:
        """Let everything be sent and acknowledged, and see whether it arrived."""
        table = self.table
        self.take_events()
        for stream_id, known in self.known.items():
            table.consume(stream_id, known.unread)
            known.unread = 0
        table.on_max_data(1 << 40)
        for stream in list(table.streams.values()):
            if not stream.send.is_finished:
                table.on_max_stream_data(stream.stream_id, 1 << 40)
        for _ in range(1000):
            written = self.write_packets(None)
            if not written and not self.packets:
                break
            while self.packets:
                self.settle(self.packets.pop(), is_lost=False)
            self.take_events()
        else:
            check(False, "there is always more to send")
        self.check()
        for stream_id, known in self.known.items():
            size = known.header if known.is_reset else known.written
            check(known.arrived >= set(range(size)), f"not all of stream {stream_id} arrived")
            check(not known.is_reset or known.reset_arrived, f"the reset of stream {stream_id} did not arrive")
            check(known.is_reset or not known.has_fin or known.fin_arrived, f"no FIN of stream {stream_id} arrived")
            if stream_id in table.streams and (known.is_reset or known.has_fin):
                check(table.streams[stream_id].send.is_finished, f"stream {stream_id} is not over")
