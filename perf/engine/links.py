"""Two ends joined in memory with a virtual clock: our engines, and stock aioquic as the floor they stand on.

Both links have one interface, so that the workloads in `workloads` run on either: `open`, `write`, `read`, `datagram`
and `run`, which carries packets until a condition holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import DatagramFrameReceived, StreamDataReceived
from aioquic.quic.packet import QuicProtocolVersion

from wtransport._protocol import events
from wtransport._protocol.engine import Engine
from wtransport._quic.factory import (
    CIPHER_SUITES,
    create_client_port,
    create_server_configuration,
    create_server_port,
)
from wtransport.config import ClientConfig, ServerConfig

CLIENT, SERVER = ("192.0.2.1", 50000), ("192.0.2.2", 443)

WINDOW = 16 * 1024 * 1024
"""Bytes: large enough that flow control never stalls a workload, on both links."""

TICK = 0.0002
"""Seconds of virtual time for each turn; acknowledgements and pacing are timed by it."""


class Link(Protocol):
    """What a workload needs of two joined ends; side 0 is the client, 1 the server."""

    received: list[int]
    """Bytes that arrived at each side on streams."""
    ended: list[int]
    """Streams that ended at each side."""
    datagrams: list[int]
    """Datagrams that arrived at each side."""
    packets: int

    def open(self) -> int:
        """Open a bidirectional stream of the client."""

    def write(self, side: int, stream_id: int, data: bytes, end: bool) -> None:
        """Write to a stream."""

    def datagram(self, side: int, data: bytes) -> bool:
        """Send a datagram; False when it has to wait."""

    def run(self, until: Callable[[], bool]) -> None:
        """Carry packets until the condition holds."""


class _Carrier:
    """Carries packets between two objects with aioquic's calling convention."""

    def __init__(self) -> None:
        self.received = [0, 0]
        self.ended = [0, 0]
        self.datagrams = [0, 0]
        self.packets = 0
        self.now = 0.0
        self.ends: list[Any] = []

    def turn(self) -> None:
        """Send what both ends have, and let a little time pass."""
        for side, address in ((0, CLIENT), (1, SERVER)):
            for data, _ in self.ends[side].datagrams_to_send(self.now):
                self.packets += 1
                self.deliver(1 - side, data, address)
                self.collect(1 - side)
        self.now += TICK
        for side in (0, 1):
            deadline = self.deadline(side)
            if deadline is not None and self.now >= deadline:
                self.expire(side)
                self.collect(side)

    def deliver(self, side: int, data: bytes, address: Any) -> None:
        self.ends[side].receive_datagram(data, address, self.now)

    def deadline(self, side: int) -> float | None:
        raise NotImplementedError

    def expire(self, side: int) -> None:
        raise NotImplementedError

    def collect(self, side: int) -> None:
        raise NotImplementedError

    def run(self, until: Callable[[], bool]) -> None:
        """Carry packets until the condition holds."""
        for _ in range(10_000_000):
            if until():
                return
            self.turn()
        raise RuntimeError("the workload does not come to an end")


class EngineLink(_Carrier):
    """Our engines, with one session open."""

    def __init__(self, certfile: str, keyfile: str) -> None:
        """Connect, and open the session."""
        super().__init__()
        options: dict[str, Any] = {
            "flow_control_window_size": WINDOW,
            "initial_max_streams_bidi": 100_000,
            "initial_max_data": 1 << 40,
        }
        client_config = ClientConfig(ca_certs=certfile, **options)
        server_config = ServerConfig(certfile=certfile, keyfile=keyfile, **options)
        client = Engine(
            config=client_config, port=create_client_port(config=client_config, server_name="localhost"), is_client=True
        )
        client.port.connect(SERVER, 0.0)
        first = client.datagrams_to_send(0.0)
        data = first[0][0]
        port = create_server_port(
            config=server_config,
            quic_configuration=create_server_configuration(server_config),
            original_destination_connection_id=data[6 : 6 + data[5]],
        )
        self.ends = [client, Engine(config=server_config, port=port, is_client=False)]
        self.sessions: list[Any] = [None, None]
        for data, _ in first:
            self.deliver(1, data, CLIENT)
            self.collect(1)
        self.run(lambda: client.is_ready)
        self.sessions[0] = client.open_session(authority="localhost", path="/", headers={})
        self.run(lambda: self.sessions[0].is_open)

    def open(self) -> int:
        """Open a bidirectional stream of the client."""
        return int(self.sessions[0].open_stream(unidirectional=False).stream_id)

    def write(self, side: int, stream_id: int, data: bytes, end: bool) -> None:
        """Write to a stream."""
        stream = self.ends[side].streams[stream_id]
        stream.wants_readable = True
        stream.write(data, end_stream=end)

    def datagram(self, side: int, data: bytes) -> bool:
        """Send a datagram."""
        return bool(self.sessions[side].send_datagram(data))

    def deadline(self, side: int) -> float | None:
        """Return when a side has something to do."""
        deadline: float | None = self.ends[side].next_deadline()
        return deadline

    def expire(self, side: int) -> None:
        """Do it."""
        self.ends[side].handle_timeout(self.now)

    def collect(self, side: int) -> None:
        """Read everything, as a handle would."""
        engine = self.ends[side]
        while (event := engine.next_event()) is not None:
            if isinstance(event, events.SessionRequested):
                self.sessions[1] = event.session
                event.session.accept()
            elif isinstance(event, events.StreamOpened | events.StreamReadable):
                self._read(side, event.stream)
            elif isinstance(event, events.DatagramsReceived):
                self.datagrams[side] += len(event.session.datagrams.drain())

    def _read(self, side: int, stream: Any) -> None:
        while (data := stream.read()) is not None:
            if not data:
                self.ended[side] += 1
                return
            self.received[side] += len(data)
        stream.wants_readable = True


class StockLink(_Carrier):
    """aioquic's own connections with nothing on top: no HTTP/3, no sessions."""

    def __init__(self, certfile: str, keyfile: str) -> None:
        """Connect."""
        super().__init__()
        options: dict[str, Any] = {
            "alpn_protocols": ["h3"],
            "max_data": WINDOW,
            "max_stream_data": WINDOW,
            "max_datagram_frame_size": 65536,
            "cipher_suites": CIPHER_SUITES,
            "supported_versions": [QuicProtocolVersion.VERSION_1],
            "congestion_control_algorithm": "cubic",
        }
        client_configuration = QuicConfiguration(is_client=True, cafile=certfile, server_name="localhost", **options)
        server_configuration = QuicConfiguration(is_client=False, **options)
        server_configuration.load_cert_chain(certfile, keyfile)
        client = QuicConnection(configuration=client_configuration)
        client.connect(SERVER, now=0.0)
        first = client.datagrams_to_send(0.0)
        data = first[0][0]
        server = QuicConnection(
            configuration=server_configuration, original_destination_connection_id=data[6 : 6 + data[5]]
        )
        self.ends = [client, server]
        for data, _ in first:
            self.deliver(1, data, CLIENT)
            self.collect(1)
        self.run(lambda: client._handshake_confirmed)

    def open(self) -> int:
        """Open a bidirectional stream of the client."""
        stream_id: int = self.ends[0].get_next_available_stream_id()
        self.ends[0].send_stream_data(stream_id, b"")
        return stream_id

    def write(self, side: int, stream_id: int, data: bytes, end: bool) -> None:
        """Write to a stream."""
        self.ends[side].send_stream_data(stream_id, data, end)

    def datagram(self, side: int, data: bytes) -> bool:
        """Send a datagram."""
        self.ends[side].send_datagram_frame(data)
        return True

    def deadline(self, side: int) -> float | None:
        """Return when a side has something to do."""
        deadline: float | None = self.ends[side].get_timer()
        return deadline

    def expire(self, side: int) -> None:
        """Do it."""
        self.ends[side].handle_timer(self.now)

    def collect(self, side: int) -> None:
        """Take everything."""
        connection = self.ends[side]
        while (event := connection.next_event()) is not None:
            if isinstance(event, StreamDataReceived):
                self.received[side] += len(event.data)
                self.ended[side] += event.end_stream
            elif isinstance(event, DatagramFrameReceived):
                self.datagrams[side] += 1
