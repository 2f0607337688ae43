"""A client and a server engine joined in memory, with a virtual clock: no sockets, no asyncio."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

from wtransport._protocol import events
from wtransport._protocol.engine import Engine
from wtransport._quic.factory import create_client_port, create_server_configuration, create_server_port
from wtransport.config import ClientConfig, ServerConfig

CLIENT_ADDRESS = ("192.0.2.1", 50000)
SERVER_ADDRESS = ("192.0.2.2", 443)

Network: TypeAlias = Callable[[str], "float | None"]
"""Says of a packet from "client" or "server" after how many seconds it arrives, or None when it is lost."""

TICK = 1e-6
"""Seconds past a deadline at which it is served: a clock set to it exactly may never get beyond it."""


def faulty_network(seed: int, *, loss: float = 0.05, delay: float = 0.02) -> Network:
    """Return a network that loses packets, and delays each by up to so many seconds: they overtake each other."""
    random = Random(seed)
    return lambda side: None if random.random() < loss else random.random() * delay


class EnginePair:
    """Two engines; `pump` carries packets until both are quiet, `advance` lets time pass.

    Packets arrive at once and in order unless `network` says otherwise.
    """

    def __init__(
        self,
        certificate: tuple[str, str],
        *,
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
        network: Network | None = None,
    ) -> None:
        certfile, keyfile = certificate
        client_config = ClientConfig(ca_certs=certfile, **(client or {}))
        server_config = ServerConfig(certfile=certfile, keyfile=keyfile, **(server or {}))
        self.now = 0.0
        self.client = Engine(
            config=client_config, port=create_client_port(config=client_config, server_name="localhost"), is_client=True
        )
        self._server_config = server_config
        self._server_quic = create_server_configuration(server_config)
        self.server: Engine = None  # type: ignore[assignment]  # made by the first packet
        self.client_events: list[Any] = []
        self.server_events: list[Any] = []
        self.packets = {"client": 0, "server": 0}
        self.network = network
        self._in_flight: list[tuple[float, int, str, bytes]] = []  # a heap: when, in which order, from whom, what

    def connect(self) -> None:
        """Finish the handshake and the exchange of SETTINGS."""
        self.client.port.connect(SERVER_ADDRESS, self.now)
        self.pump()

    def pump(self, seconds: float = 0.05) -> None:
        """Carry packets both ways for a while (pacing needs some), and collect events."""
        self.advance(seconds)

    def _carry(self) -> None:
        while self._step(self.client) | self._step(self.server):
            pass

    def _step(self, engine: Engine | None) -> bool:
        if engine is None:
            return False
        self.collect()
        packets = engine.datagrams_to_send(self.now)
        side = "client" if engine is self.client else "server"
        for data, _ in packets:
            self.packets[side] += 1
            if self.network is None:
                self._arrive(side, data)
            elif (delay := self.network(side)) is not None:
                entry = (self.now + delay, self.packets["client"] + self.packets["server"], side, data)
                heapq.heappush(self._in_flight, entry)
        return bool(packets)

    def _arrive(self, side: str, data: bytes) -> None:
        if side == "client":
            if self.server is None:
                self._make_server(data)
            self.server.receive_datagram(data, CLIENT_ADDRESS, self.now)
        else:
            self.client.receive_datagram(data, SERVER_ADDRESS, self.now)
        self.collect()

    def _make_server(self, data: bytes) -> None:
        port = create_server_port(
            config=self._server_config,
            quic_configuration=self._server_quic,
            original_destination_connection_id=data[6 : 6 + data[5]],
        )
        self.server = Engine(config=self._server_config, port=port, is_client=False)

    def collect(self) -> None:
        """Pull the events of both engines."""
        while (event := self.client.next_event()) is not None:
            self.client_events.append(event)
        if self.server is not None:
            while (event := self.server.next_event()) is not None:
                self.server_events.append(event)

    def advance(self, seconds: float) -> None:
        """Let time pass, with every deadline on the way."""
        end = self.now + seconds
        while True:
            self._carry()
            engines = [engine for engine in (self.client, self.server) if engine is not None]
            deadlines = [deadline for engine in engines if (deadline := engine.next_deadline()) is not None]
            due = min([*deadlines, *(entry[0] for entry in self._in_flight[:1])], default=end)
            if due >= end:
                break
            self.now = max(self.now, due) + TICK
            while self._in_flight and self._in_flight[0][0] <= self.now:
                _, _, side, data = heapq.heappop(self._in_flight)
                self._arrive(side, data)
            for engine in (self.client, self.server):
                if engine is not None:
                    deadline = engine.next_deadline()
                    if deadline is not None and deadline <= self.now:
                        engine.handle_timeout(self.now)
        self.now = end

    def take(self, side: str, kind: type) -> Any:
        """Return the first event of a kind on a side, and forget it; fails when there is none."""
        log = self.client_events if side == "client" else self.server_events
        for index, event in enumerate(log):
            if isinstance(event, kind):
                return log.pop(index)
        raise AssertionError(f"no {kind.__name__} on the {side} among {[type(event).__name__ for event in log]}")

    def read_all(self, stream: Any) -> bytes:
        """Read a stream to its end, letting time pass while nothing is there."""
        parts = []
        while (data := stream.read()) != b"":
            if data is None:
                self.pump(0.01)
            else:
                parts.append(data)
        return b"".join(parts)

    def open_session(self, path: str = "/", **kwargs: Any) -> tuple[Any, Any]:
        """Open a session and accept it; return both ends."""
        session = self.client.open_session(authority="localhost", path=path, headers={}, **kwargs)
        self.pump()
        request = self.take("server", events.SessionRequested)
        request.session.accept()
        self.pump()
        self.take("client", events.SessionOpened)
        return session, request.session
