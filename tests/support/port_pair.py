"""Two QUIC ports joined by a network in memory, in virtual time: no sockets, no asyncio, repeatable from a seed."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnectionState
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.tls import Epoch
from network import CLIENT_ADDRESS, SERVER_ADDRESS, TICK, Network

from wtransport._quic.aioquic_port import AioquicPort
from wtransport._quic.limits import TransportLimits
from wtransport._quic.port import QuicEvent, StreamBytes, StreamOver
from wtransport._quic.reset_tokens import ResetTokens

DELAY = 0.01
"""Seconds from end to end when a test says nothing of the network."""

MAX_STEPS = 400_000
"""Steps of one run; more means that the two ends keep each other busy for nothing."""

WINDOW = 16_384

PATIENT: dict[str, Any] = {"idle_timeout": 3600.0}
"""A configuration for heavy loss, where probes back off for longer than the usual idle time-out."""


class End:
    """One port with what it reported; `on_event` sees every event at once, so that a test can act like a program."""

    def __init__(self, name: str, address: Any) -> None:
        self.name = name
        self.address = address
        self.port: AioquicPort = None  # type: ignore[assignment]
        self.events: list[QuicEvent] = []
        self.on_event: Callable[[QuicEvent], None] | None = None
        self.packets_sent = 0
        self.bytes_sent = 0
        self.lose_next = 0
        self.wants_flush = False
        self.releases_streams = True

    def attach(self, port: AioquicPort) -> None:
        """Take a port in."""
        self.port = port
        port.request_flush = self._flush_requested

    def _flush_requested(self) -> None:
        self.wants_flush = True

    def collect(self) -> None:
        """Pull all events."""
        while (event := self.port.next_event()) is not None:
            if isinstance(event, StreamOver) and self.releases_streams:
                self.port.release_stream(event.stream_id)
                continue
            self.events.append(event)
            if self.on_event is not None:
                self.on_event(event)

    def of(self, kind: type) -> list[Any]:
        """Return the events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def received(self, stream_id: int) -> bytes:
        """Return all bytes of a stream that were reported so far."""
        return b"".join(event.data for event in self.of(StreamBytes) if event.stream_id == stream_id)


class PortPair:
    """A client and a server, what is between them, and the clock."""

    def __init__(
        self,
        certificate: tuple[str, str],
        *,
        network: Network | None = None,
        client_limits: TransportLimits | None = None,
        server_limits: TransportLimits | None = None,
        client_configuration: dict[str, Any] | None = None,
        server_configuration: dict[str, Any] | None = None,
        client_keep_alive: float | None = None,
        server_keep_alive: float | None = None,
        reset_tokens: ResetTokens | None = None,
    ) -> None:
        self.now = 0.0
        self.network = network or Network(delay=DELAY)
        self.client = End("client", CLIENT_ADDRESS)
        self.server = End("server", SERVER_ADDRESS)
        self.client.attach(
            AioquicPort(
                configuration=configuration(is_client=True, **(client_configuration or {})),
                limits=client_limits or limits(),
                keep_alive_interval=client_keep_alive,
            )
        )
        self._server_keep_alive = server_keep_alive
        self._server_limits = server_limits or limits()
        self._reset_tokens = reset_tokens
        self._server_configuration = configuration(is_client=False, **(server_configuration or {}))
        certfile, keyfile = certificate
        self._server_configuration.load_cert_chain(certfile, keyfile)

    def connect(self, seconds: float = 60.0) -> PortPair:
        """Finish the handshake."""
        self.client.port.connect(SERVER_ADDRESS, self.now)
        self.run_until(lambda: self.is_connected, seconds=seconds, what="the handshake")
        return self

    @property
    def is_connected(self) -> bool:
        """Tell whether both ends know that the handshake is over."""
        ports = [end.port for end in self.ends]
        return len(ports) == 2 and all(port._connection._handshake_confirmed for port in ports)

    @property
    def ends(self) -> list[End]:
        """Return the ends that exist: the first packet makes the server."""
        return [end for end in (self.client, self.server) if end.port is not None]

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self._run(self.now + seconds, lambda: False)

    def run_until(self, condition: Callable[[], bool], *, seconds: float = 120.0, what: str = "the condition") -> None:
        """Let time pass until something is so; an error when it does not come in time."""
        if not self._run(self.now + seconds, condition):
            raise AssertionError(f"{what} did not come within {seconds} s of virtual time")

    def settle(self, seconds: float = 5.0) -> None:
        """Let everything be delivered, acknowledged and announced."""
        self.run(seconds)

    def inject(self, end: End, frames: bytes) -> None:
        """Have the other end receive a packet of `end` with just these frames, whatever they are."""
        other = self.server if end is self.client else self.client
        for data in packets_with(end.port, frames):
            other.port.receive_datagram(data, end.address, self.now)
        other.collect()

    def _run(self, end_time: float, condition: Callable[[], bool]) -> bool:
        for _ in range(MAX_STEPS):
            for end in self.ends:
                self._flush(end)
            if condition():
                return True
            due = min(
                (at for at in (self.network.next_arrival, *self._deadlines()) if at is not None),
                default=end_time,
            )
            if due >= end_time:
                self.now = end_time
                return False
            self.now = max(self.now, due) + TICK
            self._deliver()
            for end in self.ends:
                deadline = end.port.next_deadline()
                if deadline is not None and deadline <= self.now:
                    end.port.handle_timeout(self.now)
        raise AssertionError(f"no end in sight after {MAX_STEPS} steps, at {self.now} s")

    def _flush(self, end: End) -> None:
        end.wants_flush = True
        while end.wants_flush:
            end.collect()
            end.wants_flush = False
            for data, addr in end.port.datagrams_to_send(self.now):
                end.packets_sent += 1
                end.bytes_sent += len(data)
                if end.lose_next:
                    end.lose_next -= 1
                    continue
                self.network.send(end.name, data, addr, self.now)
            end.collect()

    def _deadlines(self) -> list[float | None]:
        return [end.port.next_deadline() for end in self.ends]

    def _deliver(self) -> None:
        for side, data, source in self.network.arrivals(self.now):
            end = self.client if side == "client" else self.server
            if side == "server" and (self.server.port is None or self._server_is_deaf):
                end.attach(
                    AioquicPort(
                        configuration=self._server_configuration,
                        limits=self._server_limits,
                        keep_alive_interval=self._server_keep_alive,
                        original_destination_connection_id=data[6 : 6 + data[5]],
                        reset_tokens=self._reset_tokens,
                    )
                )
            end.port.receive_datagram(data, source, self.now)
            end.collect()

    @property
    def _server_is_deaf(self) -> bool:
        """Tell whether the server has understood nothing yet: its first packet may have been altered on the way."""
        return self.server.port._connection._state is QuicConnectionState.FIRSTFLIGHT


def limits(**changes: int) -> TransportLimits:
    """Return limits small enough for tests to reach."""
    values = {
        "stream_window": WINDOW,
        "connection_window": 4 * WINDOW,
        "max_streams_bidi": 16,
        "max_streams_uni": 16,
    }
    return TransportLimits(**(values | changes))


def configuration(*, is_client: bool, **changes: Any) -> QuicConfiguration:
    """Return a configuration of aioquic that trusts every certificate."""
    values: dict[str, Any] = {"alpn_protocols": ["h3"], "max_datagram_frame_size": 65_536, "idle_timeout": 30.0}
    quic = QuicConfiguration(is_client=is_client, **(values | changes))
    if is_client:
        quic.verify_mode = ssl.CERT_NONE
    return quic


def packets_with(port: AioquicPort, frames: bytes, *, epoch: Epoch = Epoch.ONE_RTT) -> list[bytes]:
    """Return a packet of a port, as UDP payloads, with just these frames, whatever they are."""
    connection = port._connection
    builder = QuicPacketBuilder(
        host_cid=connection.host_cid,
        peer_cid=connection._peer_cid.cid,
        version=connection._version,
        is_client=connection._is_client,
        max_datagram_size=65_000,
        packet_number=connection._packet_number,
    )
    kind = QuicPacketType.INITIAL if epoch is Epoch.INITIAL else QuicPacketType.ONE_RTT
    builder.start_packet(kind, connection._cryptos[epoch])
    buffer = builder.start_frame(frames[0], len(frames))
    buffer.push_bytes(frames[1:])
    datagrams, _ = builder.flush()
    connection._packet_number += 1
    return datagrams
