"""A listener without sockets, in virtual time: datagrams in, and what it sends and makes of them."""

from __future__ import annotations

from typing import Any

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from fake_port import FakeEngine, FakePort, FakeTransport, VirtualLoop

from wtransport._adapter.admission import AdmissionSettings
from wtransport._adapter.listener import Listener
from wtransport._adapter.outlet import Outlet
from wtransport._adapter.server_ports import ServerPorts
from wtransport._protocol.engine import Engine
from wtransport.config import ServerConfig

__all__ = ["CLIENT", "SERVER", "ListenerRig", "new_client"]

CLIENT = ("192.0.2.50", 5000)
SERVER = ("192.0.2.1", 4433)


def new_client(now: float = 0.0) -> tuple[QuicConnection, bytes]:
    """Return a client of aioquic's, and its first datagram."""
    client = QuicConnection(
        configuration=QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="localhost")
    )
    client.connect(SERVER, now=now)
    return client, client.datagrams_to_send(now)[0][0]


class ListenerRig:
    """A listener whose connections have scripted engines and ports."""

    supported_versions = [1]

    def __init__(self, settings: AdmissionSettings | None = None, *, config: ServerConfig | None = None) -> None:
        """With `config`, which has a certificate, ports and engines are real ones."""
        self.config = config
        self.loop = VirtualLoop()
        self.made: list[tuple[bytes, bytes | None, FakePort]] = []
        self.accepted: list[Any] = []
        self.engines: list[Any] = []
        self.asked: list[Any] = []
        self.welcome = True
        self.fail: Exception | None = None
        self.outlet = Outlet(FakeTransport(SERVER))
        self.listener = Listener(
            ports=self if config is None else ServerPorts(config),
            on_connection=self.on_connection,
            may_accept=self.may_accept,
            loop=self.loop,
            settings=settings,
        )

    @property
    def sent(self) -> list[tuple[bytes, Any]]:
        transport: Any = self.outlet.transport
        return transport.sent

    @property
    def counters(self) -> dict[str, int]:
        """What was counted, without zeros."""
        counters = self.listener.counters
        return {name: value for name in counters.__slots__ if (value := getattr(counters, name))}

    def answers(self) -> list[bytes]:
        """Return what was sent since the last call."""
        answers = [data for data, _ in self.sent]
        self.sent.clear()
        return answers

    # What a listener makes its connections from.

    def listening_at(self, port: int) -> None:
        raise AssertionError("no socket is opened here")

    def make(self, original_cid: bytes, retry_cid: bytes | None) -> Any:
        port = FakePort(b"server%02d" % len(self.made))
        self.made.append((original_cid, retry_cid, port))
        return port

    def reset_token(self, connection_id: bytes) -> bytes | None:
        return b"reset " + connection_id.ljust(10)[:10]

    # Whom it hands them to.

    def may_accept(self, address: Any) -> bool:
        self.asked.append(address)
        if self.fail is not None:
            raise self.fail
        return self.welcome

    def on_connection(self, protocol: Any, transport: Any) -> None:
        if self.fail is not None:
            raise self.fail
        assert transport is self.outlet.transport
        engine: Any = FakeEngine(protocol.port)
        if self.config is not None:
            engine = Engine(config=self.config, port=protocol.port, is_client=False)
        protocol.bind(engine=engine, deliver=lambda event: None)
        self.engines.append(engine)
        self.accepted.append(protocol)

    # What a test does.

    def route(self, data: bytes, addr: Any = CLIENT) -> Any:
        return self.listener.route(data, addr, self.outlet)

    def receive(self, data: bytes, addr: Any = CLIENT) -> None:
        """Have the listener's socket receive a datagram, and whoever it is for act on it."""
        connection = self.route(data, addr)
        if connection is not None:
            connection.receive(data, addr, self.loop.time())
            connection.end_batch()
        self.loop.run_until_idle()

    def begin(self, addr: Any = CLIENT) -> Any:
        """Have a new client send its first packet; return the connection, or None."""
        return self.route(new_client()[1], addr)

    def finish(self, index: int) -> None:
        """Finish the handshake of the connection that was made as number `index`."""
        self.engines[index].is_ready = True
        self.accepted[index].flush_soon()
        self.loop.run_until_idle()
