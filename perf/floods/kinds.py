"""What a flooder sends: each kind offers units of its input as fast as it is told to, or as credit lets it."""

from __future__ import annotations

import os
import socket
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import QuicProtocolVersion
from aioquic.tls import Epoch

from perf.floods.client import RawClient
from wtransport._quic.factory import create_client_port
from wtransport._speedups import encode_capsule, encode_datagram, encode_frame, encode_varint
from wtransport.config import ClientConfig
from wtransport.exceptions import SessionError

PACKET_NUMBER_BYTES = 2
PACKET_PAYLOAD = 1100
"""Bytes of frames in a packet that is made by hand."""

MAX_UNSENT = 256 * 1024
"""Bytes of capsules that wait in the flooder."""

CAPSULE_CHUNK = 500
"""Capsules in one DATA frame."""

SOCKETS = 250
"""Source ports of the handshakes."""

HELLOS = 2000
"""First packets that are prepared, each of another connection; they go round."""

INITIAL_MIN = 1200


class Flood(ABC):
    """One kind; `offer` sends at most so many units and returns how many that were, `pump` looks after the rest."""

    batch: int
    """Units offered at a time without a break."""

    spread: int | None = None
    """Units offered at a time at a given rate, which is spread evenly; None: as without a break."""

    @abstractmethod
    def offer(self, units: int) -> int:
        """Send up to `units` units."""

    @abstractmethod
    def pump(self) -> None:
        """Read what comes back, and do what it asks for."""

    @abstractmethod
    def close(self) -> None:
        """Leave."""

    def wait(self, seconds: float) -> None:
        """Wait for a packet, but no longer."""
        time.sleep(seconds)

    @property
    def taken(self) -> int | None:
        """Return how many units the server has let through; None: the server knows."""
        return None


class _ConnectedFlood(Flood):
    """A flood through a connection."""

    batch = 50

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self.client = RawClient(address, "/take")

    def pump(self) -> None:
        """Do what the connection needs; come back when the server has closed it for what was sent."""
        self.client.pump()
        if self.client.engine.is_closed:
            self.client.close()
            self.client = RawClient(self._address, "/take")

    def wait(self, seconds: float) -> None:
        """Wait for a packet, but no longer."""
        self.client.wait(seconds)

    def close(self) -> None:
        """Leave, and say so."""
        self.client.close()


class Datagrams(_ConnectedFlood):
    """Datagrams of 4 bytes, as many in a packet as fit; the packets are made by hand, past congestion control."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address)
        datagram = encode_datagram(self.client.session.stream_id >> 2, b"dddd")
        frame = b"\x31" + encode_varint(len(datagram)) + datagram
        self.batch = PACKET_PAYLOAD // len(frame)
        self._payload = frame * self.batch

    def offer(self, units: int) -> int:
        """Send one packet."""
        connection = self.client.port._connection
        keys = connection._cryptos[Epoch.ONE_RTT]
        number = connection._packet_number
        connection._packet_number += 1
        first = 0x40 | keys.key_phase << 2 | PACKET_NUMBER_BYTES - 1
        header = bytes([first]) + connection._peer_cid.cid + (number & 0xFFFF).to_bytes(PACKET_NUMBER_BYTES)
        self.client.send(keys.encrypt_packet(header, self._payload, number))
        return self.batch


class Streams(_ConnectedFlood):
    """Unidirectional streams of one byte, ended at once."""

    spread = 10

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address)
        self._opened = 0

    def offer(self, units: int) -> int:
        """Open as many streams as credit allows."""
        session = self.client.session
        for count in range(units):
            try:
                stream = session.open_stream(unidirectional=True)
            except SessionError:
                return count
            if stream is None:
                return count
            self._end(stream)
            self._opened += 1
        return units

    def _end(self, stream: object) -> None:
        stream.write(b"x", end_stream=True)  # type: ignore[attr-defined]

    @property
    def taken(self) -> int | None:
        """Return how many streams were opened: no more than there was credit for."""
        return self._opened


class Resets(Streams):
    """Unidirectional streams that are reset at once."""

    def _end(self, stream: object) -> None:
        stream.reset(1)  # type: ignore[attr-defined]


class Capsules(_ConnectedFlood):
    """Capsules on the CONNECT stream, by turns a limit and a datagram: those of unknown types close the connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address)
        self._limit = 1 << 40
        self._sent = 0

    def offer(self, units: int) -> int:
        """Queue a DATA frame of capsules, unless enough wait already."""
        port, session_id = self.client.port, self.client.session.stream_id
        if port.unsent_bytes(session_id) > MAX_UNSENT:
            return 0
        capsules = []
        for number in range(min(units, CAPSULE_CHUNK)):
            if number % 2:
                capsules.append(encode_capsule(0x00, b"dddd"))
            else:
                self._limit += 1
                capsules.append(encode_capsule(0x190B4D3D, encode_varint(self._limit)))
        port.send_stream(session_id, encode_frame(0x00, b"".join(capsules)), False)
        self._sent += len(capsules)
        return len(capsules)

    @property
    def taken(self) -> int | None:
        """Return how many capsules were sent: no more than there was credit for."""
        unsent = self.client.port.unsent_bytes(self.client.session.stream_id)
        return self._sent - unsent // 8  # 8 bytes each, on average


class Handshakes(Flood):
    """First packets of connections that go no further, from many ports; prepared, so that sending one costs little."""

    batch = 20

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

    def pump(self) -> None:
        """Throw away what comes back."""
        for sock in self._sockets[:: max(SOCKETS // 50, 1)]:
            try:
                while sock.recv(2048):
                    pass
            except (BlockingIOError, ConnectionRefusedError):
                continue

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


KINDS: dict[str, Callable[[tuple[str, int]], Flood]] = {
    "datagrams": Datagrams,
    "streams": Streams,
    "resets": Resets,
    "capsules": Capsules,
    "handshakes": Handshakes,
}
