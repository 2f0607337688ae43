"""A client and a server engine joined in memory, with a virtual clock: no sockets, no asyncio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aioquic.quic.connection import QuicConnectionState
from network import SERVER_ADDRESS, TICK, Network

from wtransport._protocol import events
from wtransport._protocol.engine import Engine
from wtransport._quic.factory import create_client_port, create_server_configuration, create_server_port
from wtransport.config import ClientConfig, ServerConfig


class EnginePair:
    """Two engines; `pump` carries packets until both are quiet, `advance` lets time pass.

    Packets arrive at once and in order unless `network` is a worse one.
    """

    def __init__(
        self,
        certificate: tuple[str, str],
        *,
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
        network: Network | None = None,
        discovers_path_mtu: bool = False,
    ) -> None:
        certfile, keyfile = certificate
        client_config = ClientConfig(ca_certs=certfile, **(client or {}))
        server_config = ServerConfig(certfile=certfile, keyfile=keyfile, **(server or {}))
        self.now = 0.0
        self._discovers_path_mtu = discovers_path_mtu
        client_port = create_client_port(
            config=client_config, server_name="localhost", discovers_path_mtu=discovers_path_mtu
        )
        self.client = Engine(config=client_config, port=client_port, is_client=True)
        self._server_config = server_config
        self._server_quic = create_server_configuration(server_config)
        self.server: Engine = None  # type: ignore[assignment]  # made by the first packet
        self.client_events: list[Any] = []
        self.server_events: list[Any] = []
        self.packets = {"client": 0, "server": 0}
        self.network = network or Network()

    def connect(self) -> None:
        """Finish the handshake and the exchange of SETTINGS."""
        self.client.port.connect(SERVER_ADDRESS, self.now)
        self.pump()

    def connect_in(self, seconds: float = 30.0) -> tuple[Any, Any]:
        """Connect and open a session over a network that takes its time; both ends of the session."""
        self.client.port.connect(SERVER_ADDRESS, self.now)
        self.advance_until(lambda: self.client.is_ready, seconds=seconds, what="the handshake")
        session = self.client.open_session(authority="localhost", path="/", headers={})
        self.advance_until(lambda: bool(self.server.sessions), seconds=seconds, what="the request")
        request = self.take("server", events.SessionRequested).session
        request.accept()
        self.advance_until(lambda: session.is_open, seconds=seconds, what="the answer")
        self.take("client", events.SessionOpened)
        return session, request

    def pump(self, seconds: float = 0.05) -> None:
        """Carry packets both ways for a while (pacing needs some), and collect events."""
        self.advance(seconds)

    def _carry(self) -> None:
        """Send and deliver all that may be now."""
        while self._step("client") | self._step("server") | self._deliver():
            pass

    def _step(self, side: str) -> bool:
        engine = self.client if side == "client" else self.server
        if engine is None:
            return False
        self.collect()
        packets = engine.datagrams_to_send(self.now)
        self.packets[side] += len(packets)
        for data, addr in packets:
            self.network.send(side, data, addr, self.now)
        return bool(packets)

    def _deliver(self) -> bool:
        is_any = False
        for side, data, source in self.network.arrivals(self.now):
            is_any = True
            if side == "server" and (self.server is None or self._server_is_deaf):
                self._make_server(data)
            (self.client if side == "client" else self.server).receive_datagram(data, source, self.now)
            self.collect()
        return is_any

    @property
    def _server_is_deaf(self) -> bool:
        """Tell whether the server has understood nothing yet: its first packet may have been altered on the way."""
        return self.server.port._connection._state is QuicConnectionState.FIRSTFLIGHT  # type: ignore[attr-defined]

    def _make_server(self, data: bytes) -> None:
        port = create_server_port(
            config=self._server_config,
            quic_configuration=self._server_quic,
            original_destination_connection_id=data[6 : 6 + data[5]],
            discovers_path_mtu=self._discovers_path_mtu,
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
        self._advance(self.now + seconds, lambda: False)

    def advance_until(self, condition: Callable[[], bool], *, seconds: float, what: str = "the condition") -> None:
        """Let time pass until something is so; an error when it does not come in time.

        The condition is looked at after every event on the way and may act like a program, too.
        """
        if not self._advance(self.now + seconds, condition):
            raise AssertionError(f"{what} did not come within {seconds} s of virtual time")

    def _advance(self, end: float, condition: Callable[[], bool]) -> bool:
        while True:
            self._carry()
            if condition():
                return True
            self._carry()  # what the condition wrote
            engines = [engine for engine in (self.client, self.server) if engine is not None]
            due = min(
                (at for at in (self.network.next_arrival, *map(Engine.next_deadline, engines)) if at is not None),
                default=end,
            )
            if due >= end:
                self.now = end
                return False
            self.now = max(self.now, due) + TICK
            self._deliver()
            for engine in (self.client, self.server):
                if engine is not None:
                    deadline = engine.next_deadline()
                    if deadline is not None and deadline <= self.now:
                        engine.handle_timeout(self.now)

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
