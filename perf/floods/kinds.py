"""What a flooder sends: each kind offers units of its input as fast as it is told to, or as credit lets it."""

from __future__ import annotations

import itertools
import os
import socket
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import QuicProtocolVersion

from perf.floods.client import RawClient
from wtransport._protocol.limits import MAX_ABORTED_STREAMS, MAX_IDLE_ACTIONS
from wtransport._quic.factory import create_client_port
from wtransport._speedups import encode_capsule, encode_datagram, encode_frame, encode_varint
from wtransport.config import ClientConfig
from wtransport.constants import WT_MAX_DATA_TYPE
from wtransport.exceptions import SessionError

__all__ = ["KINDS", "Flood", "Kind"]

PACKET_PAYLOAD = 1100
"""Bytes of frames in a packet that is made by hand."""

MAX_UNSENT = 256 * 1024
"""Bytes that wait in the flooder for credit."""

SOCKETS = 250
"""Source ports of the handshakes."""

HELLOS = 2000
"""First packets that are prepared, each of another connection; they go round."""

INITIAL_MIN = 1200

FIRST_STREAM = 6
"""Of a session, unidirectional: after the control stream, as the engine needs none for QPACK."""

LIMIT = encode_varint(1 << 40)

GREASE = 0x21 + 0x1F * 1000
"""A type of frames, and of capsules, that means nothing (RFC 9114, 7.2.8; RFC 9297, 5.4)."""


class Flood(ABC):
    """One kind; `offer` sends at most so many units and returns how many that were, `pump` looks after the rest."""

    batch: int
    """Units offered at a time."""

    connections = 0
    """Connections that it took so far."""

    @abstractmethod
    def offer(self, units: int) -> int:
        """Send up to `units` units."""

    @abstractmethod
    def pump(self, seconds: float) -> None:
        """Read what comes back, and do what it asks for; wait for it, but no longer than so many seconds."""

    @abstractmethod
    def close(self) -> None:
        """Leave."""

    @abstractmethod
    def renew(self) -> None:
        """Begin anew, as if nothing had been sent yet."""


class _Connected(Flood):
    """A flood through a connection, which is followed by another one when the server ends it."""

    batch = 10

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self.client = self._connect()

    def _connect(self) -> RawClient:
        self.connections += 1
        return RawClient(self._address, "/take")

    def renew(self) -> None:
        """Use another connection."""
        self.client.close()
        self.client = self._connect()

    def offer(self, units: int) -> int:
        """Send through the connection, or make another one."""
        if self.client.is_over:
            self.client.socket.close()
            try:
                self.client = self._connect()
            except (ConnectionError, SessionError):
                return 0
        return self._offer(self.client, units)

    @abstractmethod
    def _offer(self, client: RawClient, units: int) -> int: ...

    def pump(self, seconds: float) -> None:
        """Do what the connection needs."""
        self.client.pump()
        if seconds:
            self.client.wait(seconds)

    def close(self) -> None:
        """Leave, and say so."""
        self.client.close()


class _Frames(_Connected):
    """Frames that need not arrive, as many in a packet as asked for; the packets are made by hand."""

    def __init__(self, address: tuple[str, int], frame: bytes, per_packet: int | None = None) -> None:
        super().__init__(address)
        self.batch = PACKET_PAYLOAD // len(frame) if per_packet is None else per_packet
        self._payload = frame * self.batch

    def _offer(self, client: RawClient, units: int) -> int:
        if units:
            client.send_frames(self._payload)
        return self.batch if units else 0


def _datagram_frame(payload: bytes) -> bytes:
    datagram = encode_datagram(0, payload)
    return b"\x31" + encode_varint(len(datagram)) + datagram


class Datagrams(_Frames):
    """Datagrams of 64 bytes, one in a packet."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _datagram_frame(b"d" * 64), per_packet=1)


class SmallDatagrams(_Frames):
    """Empty datagrams, as many in a packet as fit."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _datagram_frame(b""))


def same(frame: bytes) -> Callable[[tuple[str, int]], Flood]:
    """Return the kind that sends one and the same frame, as many in a packet as fit."""
    return lambda address: _Frames(address, frame)


class ResetsAgain(_Frames):
    """RESET_STREAM for a stream that is over."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, b"\x04" + encode_varint(FIRST_STREAM) + b"\x01\x00")

    def _connect(self) -> RawClient:
        client = super()._connect()
        stream = client.session.open_stream(unidirectional=True)
        if stream is None or stream.stream_id != FIRST_STREAM:
            raise ConnectionError(f"the first stream is not {FIRST_STREAM}")
        stream.reset(1)
        client.until(lambda: stream.stream_id not in client.port._table.streams)
        return client


class RetiresAgain(_Frames):
    """RETIRE_CONNECTION_ID of one that is over."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, b"\x19\x01")

    def _connect(self) -> RawClient:
        client = super()._connect()
        client.until(lambda: bool(client.port._connection._peer_cid_available))
        client.port._connection._peer_cid_available.pop(0)  # the one with number 1; the server gives another for it
        return client


class Streams(_Connected):
    """Unidirectional streams of one byte, ended at once."""

    unidirectional = True

    def _offer(self, client: RawClient, units: int) -> int:
        for count in range(units):
            try:
                stream = client.session.open_stream(unidirectional=self.unidirectional)
            except SessionError:
                return count
            if stream is None:
                return count
            self._end(stream)
        return units

    def _end(self, stream: Any) -> None:
        stream.write(b"x", end_stream=True)


class Resets(Streams):
    """Unidirectional streams that are reset at once."""

    def _end(self, stream: Any) -> None:
        stream.reset(1)


class Stops(Streams):
    """Bidirectional streams whose answer is stopped at once."""

    unidirectional = False

    def _end(self, stream: Any) -> None:
        stream.write(b"", end_stream=True)
        stream.stop(1)


class Requests(_Connected):
    """Session requests that are withdrawn at once."""

    def _offer(self, client: RawClient, units: int) -> int:
        for count in range(units):
            try:
                session = client.engine.open_session(authority="localhost", path="/take", headers={})
            except SessionError:
                return count
            session.close()
        return units


class _OnStream(_Connected):
    """Bytes on a stream whose credit comes back at once; they arrive in order, and are repeated when they are lost."""

    batch = 100

    def _offer(self, client: RawClient, units: int) -> int:
        stream_id = self._stream_id(client)
        if client.port.unsent_bytes(stream_id) > MAX_UNSENT:
            return 0
        client.port.send_stream(stream_id, self._make(units), False)
        return units

    def _stream_id(self, client: RawClient) -> int:
        return client.session.stream_id

    @abstractmethod
    def _make(self, units: int) -> bytes: ...


class Capsules(_OnStream):
    """Capsules that say something: limits, each a little higher, and datagrams."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address)
        self._limits = itertools.count(1 << 40)

    def _make(self, units: int) -> bytes:
        limits = itertools.islice(self._limits, units // 2)
        raises = [encode_capsule(WT_MAX_DATA_TYPE, encode_varint(limit)) for limit in limits]
        return encode_frame(0x00, b"".join(raises) + encode_capsule(0x00, b"datagram") * (units - len(raises)))


class UnknownCapsules(_OnStream):
    """Empty capsules of a type that means nothing."""

    def _make(self, units: int) -> bytes:
        return encode_frame(0x00, encode_capsule(GREASE, b"") * units)


class SmallFrames(_OnStream):
    """DATA frames of one byte: a capsule of unknown type in crumbs, which has no end."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address)
        self._begun: RawClient | None = None

    def _offer(self, client: RawClient, units: int) -> int:
        if self._begun is not client:
            self._begun = client
            head = encode_varint(GREASE) + encode_varint(1 << 40)
            client.port.send_stream(client.session.stream_id, encode_frame(0x00, head), False)
        return super()._offer(client, units)

    def _make(self, units: int) -> bytes:
        return encode_frame(0x00, b"x") * units


class EmptyFrames(_OnStream):
    """DATA frames without content."""

    def _make(self, units: int) -> bytes:
        return encode_frame(0x00, b"") * units


class UnknownFrames(_OnStream):
    """Frames of a type that means nothing, on the control stream."""

    def _stream_id(self, client: RawClient) -> int:
        return 2

    def _make(self, units: int) -> bytes:
        return encode_frame(GREASE, b"") * units


class Handshakes(Flood):
    """First packets of connections that go no further, from many ports; prepared, so that sending one costs little."""

    batch = 5

    def __init__(self, address: tuple[str, int]) -> None:
        self._sockets = []
        for _ in range(SOCKETS):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.connect(address)
            sock.setblocking(False)
            self._sockets.append(sock)
        self._packets = _client_hellos(HELLOS)
        self._next = 0

    def offer(self, units: int) -> int:
        """Send first packets."""
        for _ in range(units):
            number = self._next = self._next + 1
            try:
                self._sockets[number % SOCKETS].send(self._packets[number % HELLOS])
            except (BlockingIOError, ConnectionRefusedError):
                continue
        return units

    def pump(self, seconds: float) -> None:
        """Throw away what comes back: that it fills the sockets' buffers costs nobody anything."""
        sock = self._sockets[self._next % SOCKETS]
        try:
            while sock.recv(2048):
                pass
        except (BlockingIOError, ConnectionRefusedError):
            pass
        if seconds:
            time.sleep(seconds)

    def renew(self) -> None:
        """Go on: each packet is a new beginning."""

    def close(self) -> None:
        """Close the sockets."""
        for sock in self._sockets:
            sock.close()


def _client_hellos(count: int) -> list[bytes]:
    """Return first packets with one and the same ClientHello, each with a connection id, and so keys, of its own."""
    port = create_client_port(config=ClientConfig(verify_mode=ssl.CERT_NONE), server_name="localhost")
    port.connect(("127.0.0.1", 1), 0.0)
    ((first, _), *_) = port.datagrams_to_send(0.0)
    keys = CryptoPair()
    cid = first[6 : 6 + first[5]]
    keys.setup_initial(cid=cid, is_client=False, version=QuicProtocolVersion.VERSION_1)
    after_cids = 6 + len(cid) + 1 + first[6 + len(cid)]
    payload_offset = after_cids + 1 + 2  # an empty token, and a length of two bytes
    length = int.from_bytes(first[after_cids + 1 : payload_offset]) & 0x3FFF
    plain, payload, number = keys.decrypt_packet(first[: payload_offset + length], payload_offset, 0)
    packets = []
    for _ in range(count):
        own = os.urandom(len(cid))
        keys = CryptoPair()
        keys.setup_initial(cid=own, is_client=True, version=QuicProtocolVersion.VERSION_1)
        packet = keys.encrypt_packet(plain[:6] + own + plain[6 + len(cid) :], payload, number)
        packets.append(packet.ljust(INITIAL_MIN, b"\x00"))
    return packets


MIB = 1 << 20

ONE_CONNECTION = 20
"""MiB that one peer may have us keep: 4 of unread bytes (`flow_control_window_size`), 4 of datagrams nobody took
(`MAX_QUEUED_DATAGRAM_BYTES`), 1.5 of packets that wait (`MAX_WAITING_DATAGRAMS`), 256 streams of each direction with
what a program does with each; and as much again for the allocator."""

HANDSHAKES = 40
"""MiB of 200 unfinished handshakes (`address_validation_threshold`) of 100 KiB, and as much again."""


@dataclass(frozen=True)
class Kind:
    """How a flood is measured."""

    make: Callable[[tuple[str, int]], Flood]
    sample: int
    """Units by which the capacity is measured, in each of some rounds."""
    memory: int = ONE_CONNECTION
    """MiB by which the server may grow."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the server, beside the defaults."""
    is_lossy: bool = False
    """Whether units are datagrams, of which a server drops some when they come faster than its program takes them."""


WITHIN_IDLE = MAX_IDLE_ACTIONS * 9 // 10
WITHIN_ABORTED = MAX_ABORTED_STREAMS * 9 // 10
"""Units of what closes the connection when there is too much of it, which is measured within the limit."""

KINDS: dict[str, Kind] = {
    "datagrams": Kind(Datagrams, 2000, is_lossy=True),
    "small datagrams": Kind(SmallDatagrams, 20_000, is_lossy=True),
    "streams": Kind(Streams, 1000),
    "resets": Kind(Resets, WITHIN_ABORTED),
    "requests": Kind(Requests, 300),
    "capsules": Kind(Capsules, 10_000),
    "unknown capsules": Kind(UnknownCapsules, WITHIN_IDLE),
    "small frames": Kind(SmallFrames, 10_000),
    "empty frames": Kind(EmptyFrames, WITHIN_IDLE),
    "unknown frames": Kind(UnknownFrames, WITHIN_IDLE),
    "stops": Kind(Stops, WITHIN_ABORTED),
    "PING": Kind(same(b"\x01"), 50_000),
    "PATH_CHALLENGE": Kind(same(b"\x1a" + bytes(8)), 5000),
    "ACK": Kind(same(b"\x02\x01\x00\x00\x00"), 5000),
    "RESET_STREAM": Kind(ResetsAgain, 5000),
    "CRYPTO": Kind(same(b"\x06\x00\x01x"), 5000),
    "MAX_DATA": Kind(same(b"\x10" + LIMIT), 5000),
    "MAX_STREAMS": Kind(same(b"\x13" + LIMIT), 5000),
    "NEW_CONNECTION_ID": Kind(same(b"\x18\x01\x00\x08" + bytes(8 + 16)), 3000),
    "RETIRE_CONNECTION_ID": Kind(RetiresAgain, 5000),
    "handshakes": Kind(Handshakes, 1000, HANDSHAKES, {"address_validation": "always"}),
    "handshakes, auto": Kind(Handshakes, 300, HANDSHAKES),
}
