"""Two engines on real QUIC, one packet after another of which says what no honest end says, or was altered before it
was encrypted.

Documented: SessionError, StreamError, DatagramError, ValueError from commands; nothing from packets, events and time.
The connection goes on or is closed with a code that a document defines; the limits hold; in the end both ends are over
and keep nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

from aioquic.tls import Epoch
from engine_pair import EnginePair
from fuzzing.byte_source import ByteSource
from fuzzing.certificates import certificate
from fuzzing.outcomes import Trace, check, outcome
from fuzzing.repeatable import no_randomness
from network import CLIENT_ADDRESS, SERVER_ADDRESS
from port_pair import packets_with
from wire_vectors import CAPSULES

from wtransport._protocol.events import ConnectionClosed
from wtransport._speedups import BACKEND, encode_frame, encode_varint
from wtransport.constants import ErrorCodes
from wtransport.exceptions import DatagramError, SessionError, StreamError

__all__ = ["BACKEND", "SHORT_RUNS", "fuzz", "seeds"]

SHORT_RUNS = 12
DOCUMENTED = (SessionError, StreamError, DatagramError, ValueError)

_CLIENT = {"verify_mode": ssl.CERT_NONE, "initial_max_data": 5000}
_SERVER = {"initial_max_data": 5000, "max_pending_events_per_session": 4, "max_total_pending_events": 6}
_CODES = {int(code) for code in ErrorCodes} | set(range(0x11))
_FRAME_TYPES = [
    *(0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x11, 0x12),
    *(0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F, 0x24, 0x30, 0x31, 0x40, 0xAF),
]
_FIELDS = {0x02: 5, 0x03: 8, 0x04: 3, 0x05: 2, 0x06: 2, 0x10: 1, 0x11: 2, 0x12: 1, 0x13: 1, 0x14: 1, 0x15: 2, 0x16: 1,
           0x17: 1, 0x18: 2, 0x19: 1, 0x1C: 3, 0x1D: 2, 0x24: 4, 0x31: 1}  # fmt: skip
_LARGE = [next(kind for kind in range(0x80, 0xE0) if ByteSource(bytes([kind])).number() == number)
          for number in (2**60, 2**60 + 1, 2**62 - 1)]  # fmt: skip
_BODIES = [
    b"\x00\x04\x00",
    b"\x40\x54\x00body",
    b"\x40\x41\x00body",
    b"\x41\x00",
    b"\x02\x3f\xe1\x1f",
    b"\x01\x02\x00\x00",
    b"\x07\x01\x00",
    *(encode_frame(0, capsule) for _, _, capsule in CAPSULES if len(capsule) < 60),
]


def seeds() -> Iterator[bytes]:
    """Yield usual sequences, with something wrong in each."""
    usual = bytes([2, 0, 2, 1, 0, 50, 2, 3, 4, 2, 4, 0, 3, 1])
    for side in (0, 1):
        for index in range(len(_FRAME_TYPES)):
            yield usual + bytes([0, side, index, 0, 0, 5, 5]) + usual
            yield bytes([0, side, index, 4, 0, 9, 200]) + bytes(12)
            for number in _LARGE:
                yield bytes([0, side, index]) + bytes([number]) * 8
        for index in range(len(_BODIES)):
            yield usual + bytes([4, side, 0, index, 0]) + bytes([4, side, 2, index, 1]) + usual
        for place in (0, 1, 3, 9, 30):
            yield bytes([1, side, 2, place, 0, 0x80, place, 2, 255]) + usual + bytes([3, 2])


def fuzz(data: bytes) -> Trace:
    """Run one input."""
    with no_randomness():
        return _Duel(ByteSource(data), settles=len(data) % 2 == 0).run()


class _Duel:
    """A connected pair, and what the source makes of it.

    Half of the inputs settle between steps: then both twins have the same behind them, and must say the same. In the
    others steps race with packets, acknowledgements and pacers, whose times are each twin's own.
    """

    def __init__(self, source: ByteSource, *, settles: bool) -> None:
        self.source = source
        self.settles = settles
        self.trace: Trace = []
        self.pair = EnginePair(certificate(), client=_CLIENT, server=_SERVER)
        self.pair.connect()
        sessions = self.pair.open_session()
        self.engines = (self.pair.client, self.pair.server)
        self.sessions = sessions
        self.streams: list[Any] = []
        self.own_codes: set[int] = set()
        self.has_altered = False
        self.alterations: list[list[Callable[[bytes], bytes]]] = [[], []]
        for engine, waiting in zip(self.engines, self.alterations, strict=True):
            _alter_packets(engine.port._connection, waiting)  # type: ignore[attr-defined]

    def run(self) -> Trace:
        steps = (self.frame, self.alter, self.act, self.advance, self.stream_bytes)
        while self.source.has_more and not self.is_over:
            if self.settles:
                self.settle()
            steps[self.source.below(len(steps))]()
            self.pair.collect()
            self.check()
        self.finish()
        # Which frames share a packet is up to each twin, and so is what becomes of an altered one.
        return self.trace if self.settles and not self.has_altered else []

    @property
    def is_over(self) -> bool:
        return any(engine.is_closed for engine in self.engines)

    def send(self, side: int, frames: bytes) -> None:
        if self.engines[side].is_closed or not frames:
            return
        for packet in packets_with(self.engines[side].port, frames):  # type: ignore[arg-type]
            sender = (CLIENT_ADDRESS, SERVER_ADDRESS)[side]
            self.engines[1 - side].receive_datagram(packet, sender, self.pair.now)
        self.pair.collect()

    def settle(self) -> None:
        """Let what is written be sent, as fast as pacers allow, and be acknowledged."""
        self.pair.advance(0.03)
        for _ in range(100):
            if not any(engine.port._connection.is_paced for engine in self.engines):  # type: ignore[attr-defined]
                return
            self.pair.advance(0.03)

    def frame(self) -> None:
        """Send a frame of any type with any numbers."""
        side, kind = self.source.below(2), self.source.pick(_FRAME_TYPES)
        fields = b"".join(encode_varint(self.source.number()) for _ in range(_FIELDS.get(kind, 2)))
        self.send(side, encode_varint(kind) + fields + self.source.blob(40))

    def stream_bytes(self) -> None:
        """Send bytes on a stream as far as the sender's QUIC knows it, or on a new one."""
        side, place, body, fin = self.source.below(2), self.source.byte(), self.source.byte(), self.source.flag()
        data = _BODIES[body % len(_BODIES)] if body < 0xE0 else self.source.blob(60)
        table = self.engines[side].port._table  # type: ignore[attr-defined]
        streams = [each for each in table.streams.values() if not each.send.is_finished]
        if place % 4 and streams:
            stream = streams[place // 4 % len(streams)]
            stream_id, offset = stream.stream_id, stream.send.offset
        else:
            stream_id, offset = table.next_ids[place >> 2 & 1] + 4 * (place >> 4 & 1), 0
        head = encode_varint(0x0E | fin) + encode_varint(stream_id) + encode_varint(offset) + encode_varint(len(data))
        self.send(side, head + data)

    def alter(self) -> None:
        """Alter the next packets of one side before they are encrypted."""
        side = self.source.below(2)
        waiting = self.alterations[side]
        # The compiled data path does not encrypt where packets are altered.
        self.engines[side].port._connection.writes_packets = False  # type: ignore[attr-defined]
        self.has_altered = True
        for _ in range(1 + self.source.below(4)):
            place, value, kind = self.source.byte(), self.source.byte(), self.source.byte()
            waiting.append(_alteration(place, value, kind))

    def act(self) -> None:
        """Do what a program does."""
        session, engine = (pick := self.source.below(2), self.sessions[pick])[1], self.engines[self.source.below(2)]
        match self.source.below(12):
            case 0 | 1:
                stream = self.do(session.open_stream, unidirectional=self.source.flag())
                if stream is not None:
                    self.streams.append(stream)
                    self.do(stream.write, bytes(self.source.byte() * 20), end_stream=self.source.flag())
            case 2:
                self.do(session.send_datagram, self.source.blob())
            case 3 | 4:
                for each in [each for both in self.sessions for each in both.streams.values()]:
                    self.do(each.read)
            case 5 if self.streams:
                self.do(self.source.pick(self.streams).reset, self.source.byte())
            case 6 if self.streams:
                self.do(self.source.pick(self.streams).stop, self.source.byte())
            case 7 if self.streams:
                self.do(self.source.pick(self.streams).write, self.source.blob(), end_stream=self.source.flag())
            case 8:
                self.do(session.drain)
            case 9:
                self.do(session.close, self.source.byte(), "bye")
            case 10:
                self.do(engine.shutdown)
            case 11 if self.source.byte() % 4 == 1:
                code = self.source.byte()
                self.own_codes.add(code)
                self.do(engine.close, code, "over")

    def do(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = outcome(call, *args, documented=DOCUMENTED, **kwargs)
        self.trace.append((call.__name__, result[0], result[1] if result[0] == "raised" else None))
        return result[2] if result[0] == "returned" else None

    def advance(self) -> None:
        self.pair.advance(self.source.pick([0.0, 0.001, 0.02, 0.1, 0.5, 3.0]))

    def check(self) -> None:
        """See whether the limits hold at both ends."""
        for engine in self.engines:
            table = engine.port._table  # type: ignore[attr-defined]
            window = table.receive_window
            check(
                window.received <= window.limit <= window.consumed + window.window, "the connection's credit is wrong"
            )
            for stream in table.streams.values():
                window = stream.receive.window
                check(window.received <= window.limit, "a stream's limit is exceeded")
                kept = sum(end - start for start, end in stream.receive.kept)
                check(kept <= window.window, "more is kept than a window")
            for limit in table.peer_limits:
                check(limit.opened <= limit.limit, "too many streams of the peer")
            check(engine._early._total <= 40, f"{engine._early._total} early arrivals")

    def finish(self) -> None:
        """Let both ends come to their end, and see that they are over and keep nothing."""
        for waiting in self.alterations:
            waiting.clear()
        self.pair.advance(1.0)
        for engine in self.engines:
            if not engine.is_closed:
                engine.close(0, "end")
        self.pair.advance(600.0)
        for name, engine in zip(("client", "server"), self.engines, strict=True):
            events = self.pair.client_events if name == "client" else self.pair.server_events
            self.trace += [type(event).__name__ for event in events]
            ends = [event for event in events if isinstance(event, ConnectionClosed)]
            check(len(ends) == 1 and events[-1] is ends[0], f"the {name} tells of its end {len(ends)} times")
            check(engine.port.is_terminated and engine.next_deadline() is None, f"the {name} does not end")
            if not ends[0].by_peer:
                check(ends[0].error_code in _CODES | self.own_codes, f"the {name} closes with {ends[0].error_code:#x}")
            self.trace.append((ends[0].error_code, ends[0].reason, ends[0].by_peer, ends[0].is_application))
            left = engine.sessions, engine.streams, engine._router.readers, engine._router.connects
            check(not any(left) and not engine._early._total, f"the {name} keeps {left}")


def _alteration(place: int, value: int, kind: int) -> Callable[[bytes], bytes]:
    """Return a change of a packet's frames that does not make them longer: the packet is full as it may be."""

    def change(frames: bytes) -> bytes:
        return changed(frames)[: len(frames)]

    def changed(frames: bytes) -> bytes:
        start = place % len(frames)
        match kind % 5:
            case 0:
                return frames[:start] + bytes([value]) + frames[start + 1 :]
            case 1:
                return frames[:start] + bytes([frames[start] ^ 1 << value % 8]) + frames[start + 1 :]
            case 2:
                return frames[:start].ljust(4, b"\x00")
            case 3:
                return frames[:start] + bytes([value]) + frames[start:]
            case _:
                return bytes([value, place]) + frames

    return change


def _alter_packets(connection: Any, waiting: list[Callable[[bytes], bytes]]) -> None:
    """Let changes that wait for the connection's packets be made before these are encrypted, one for each."""
    pair = connection._cryptos[Epoch.ONE_RTT]
    encrypt = pair.encrypt_packet

    def altered(header: bytes, frames: bytes, packet_number: int) -> bytes:
        if waiting:
            frames = waiting.pop(0)(bytes(frames))
            connection.writes_packets = not waiting
        encrypted: bytes = encrypt(header, frames, packet_number)
        return encrypted

    pair.encrypt_packet = altered
