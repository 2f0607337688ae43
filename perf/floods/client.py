"""A client without asyncio or handles, so that flooding costs it little: an engine and a socket in one loop.

It keeps to flow control, without which nothing it sends would be taken, but to no congestion control.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable

from aioquic.tls import Epoch

from wtransport._protocol.engine import Engine
from wtransport._protocol.events import SessionOpened
from wtransport._protocol.session import SessionCore
from wtransport._quic.aioquic_port import AioquicPort
from wtransport._quic.factory import create_client_port
from wtransport.config import ClientConfig

BUFFER = 65_536
CONNECT_SECONDS = 20.0
PUMP_PACKETS = 32
"""Packets read in one go."""

NO_CONGESTION = 1 << 30
"""Bytes of a congestion window that is never full."""

PACKET_NUMBER_BYTES = 2


class RawClient:
    """One connection with one session."""

    def __init__(self, address: tuple[str, int], path: str) -> None:
        config = ClientConfig(verify_mode=ssl.CERT_NONE)
        port = create_client_port(config=config, server_name=address[0])
        if not isinstance(port, AioquicPort):
            raise TypeError("the flooder knows aioquic only")
        self.port = port
        self.engine = Engine(config=config, port=port, is_client=True)
        self.address = address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(address)
        self.socket.setblocking(False)
        self._is_open = False
        try:
            self.port.connect(address, time.monotonic())
            self.until(lambda: self.engine.is_ready)
            self.session: SessionCore = self.engine.open_session(authority="localhost", path=path, headers={})
            self.until(lambda: self._is_open)
        except ConnectionError:
            self.socket.close()
            raise

    @property
    def is_over(self) -> bool:
        """Tell whether the server has ended the connection or its session."""
        return self.engine.is_closed or not self.session.is_open

    def until(self, condition: Callable[[], bool]) -> None:
        """Do what the connection needs until something is so; ConnectionError when it is not in time."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while not condition():
            if self.engine.is_closed or time.monotonic() > deadline:
                raise ConnectionError("the flooder cannot connect")
            self.pump()
            self.wait(0.01)

    def pump(self) -> None:
        """Read what arrived, do what is due, send what there is to send."""
        engine = self.engine
        for _ in range(PUMP_PACKETS):
            try:
                data = self.socket.recv(BUFFER)
            except (BlockingIOError, ConnectionRefusedError):
                break
            engine.receive_datagram(data, self.address, time.monotonic())
        now = time.monotonic()
        deadline = engine.next_deadline()
        if deadline is not None and deadline <= now:
            engine.handle_timeout(now)
        self._take_events()
        self.port._connection._loss.congestion_window = NO_CONGESTION
        for data, _ in engine.datagrams_to_send(time.monotonic()):
            self.send(data)
        self._take_events()

    def _take_events(self) -> None:
        while (event := self.engine.next_event()) is not None:
            if isinstance(event, SessionOpened):
                self._is_open = True

    def send(self, data: bytes) -> None:
        """Send a UDP payload; a full socket loses it, as a network would."""
        try:
            self.socket.send(data)
        except (BlockingIOError, ConnectionRefusedError):
            return

    def send_frames(self, frames: bytes) -> None:
        """Send a packet with just these frames, whatever they are; nobody repeats it when it is lost."""
        connection = self.port._connection
        keys = connection._cryptos[Epoch.ONE_RTT]
        number = connection._packet_number
        connection._packet_number += 1
        first = 0x40 | keys.key_phase << 2 | PACKET_NUMBER_BYTES - 1
        header = bytes([first]) + connection._peer_cid.cid + (number & 0xFFFF).to_bytes(PACKET_NUMBER_BYTES)
        self.send(keys.encrypt_packet(header, frames, number))

    def wait(self, seconds: float) -> None:
        """Wait for a packet, but no longer."""
        select.select([self.socket], [], [], seconds)

    def close(self) -> None:
        """Leave, and say so."""
        self.engine.close()
        for _ in range(20):
            self.pump()
            if self.engine.is_closed:
                break
            self.wait(0.01)
        self.socket.close()
