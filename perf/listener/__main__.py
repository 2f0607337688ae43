"""What a stranger's datagram costs a server, by what becomes of it: ``python -m perf.listener [--rounds N]``.

The listener runs without sockets, so a figure is its own work alone. The last line is what all the others are there to
avoid: a first packet that is taken, up to the server's first flight.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from wtransport._adapter import AdapterProtocol
from wtransport._adapter.admission import AdmissionSettings
from wtransport._adapter.handshakes import HandshakeLimits
from wtransport._adapter.listener import Listener
from wtransport._adapter.outlet import Outlet
from wtransport._adapter.packets import read_long_header
from wtransport._adapter.server_ports import ServerPorts
from wtransport._protocol.engine import Engine
from wtransport.config import ServerConfig
from wtransport.utils import generate_self_signed_cert

SERVER, CLIENT = ("192.0.2.1", 443), ("192.0.2.50", 5000)
PACKETS = 200
"""Datagrams of one kind in a round."""


class Nowhere(asyncio.DatagramTransport):
    """Takes what is sent and keeps the last of it."""

    def __init__(self) -> None:
        super().__init__(extra={"sockname": SERVER})
        self.last = b""

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Take a datagram."""
        self.last = bytes(data)

    def is_closing(self) -> bool:
        """Never."""
        return False


class Bench:
    """A listener, and first packets for it."""

    def __init__(self, config: ServerConfig, loop: asyncio.AbstractEventLoop, **settings: Any) -> None:
        self.transport = Nowhere()
        self.outlet = Outlet(self.transport)
        self._config = config
        self.listener = Listener(
            ports=ServerPorts(config),
            on_connection=self._on_connection,
            may_accept=lambda address: self.welcome,
            loop=loop,
            settings=AdmissionSettings(**settings),
        )
        self.listener._use(self.listener._ports)
        self.listener._ports.listening_at(SERVER[1])
        self.welcome = True

    def _on_connection(self, protocol: AdapterProtocol, _: asyncio.DatagramTransport) -> None:
        engine = Engine(config=self._config, port=protocol.port, is_client=False)
        protocol.bind(engine=engine, deliver=lambda event: None)

    def route(self, data: bytes) -> AdapterProtocol | None:
        """Let a datagram arrive, as far as finding its connection."""
        return self.listener.route(data, CLIENT, self.outlet)

    def take(self, data: bytes) -> None:
        """Let a datagram arrive, and answer it."""
        connection = self.route(data)
        if connection is None:
            raise RuntimeError("the packet was not taken")
        connection.receive(data, CLIENT, time.monotonic())
        connection.end_batch()
        connection._flush()

    def after_retry(self, client: QuicConnection, data: bytes) -> bytes:
        """Return a client's packet with the token of a Retry."""
        self.route(data)
        client.receive_datagram(self.transport.last, SERVER, now=0.0)
        return client.datagrams_to_send(0.0)[0][0]


def clients(count: int) -> list[tuple[QuicConnection, bytes]]:
    """Return clients with their first packets."""
    made = []
    for _ in range(count):
        configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="localhost")
        configuration.max_datagram_frame_size = 65536
        client = QuicConnection(configuration=configuration)
        client.connect(SERVER, now=0.0)
        made.append((client, client.datagrams_to_send(0.0)[0][0]))
    return made


def cases(
    config: ServerConfig, loop: asyncio.AbstractEventLoop
) -> dict[str, tuple[Callable[[bytes], Any], list[bytes]]]:
    """Return for each kind of datagram who takes it, and so many of it."""
    many = clients(PACKETS)
    first = [data for _, data in many]
    always = Bench(config, loop, address_validation="always")
    full = Bench(config, loop, address_validation="never", limits=HandshakeLimits(unfinished=0))
    closed = Bench(config, loop)
    closed.welcome = False
    open_ = Bench(config, loop, address_validation="never", limits=HandshakeLimits(10**6, 10**6, 10**6))
    with_token = [always.after_retry(client, data) for client, data in many]

    def admit(data: bytes) -> None:
        header = read_long_header(data)
        if header is None or not always.listener._admission.meet(
            data, header, CLIENT, always.outlet, supported_versions=[1]
        ):
            raise RuntimeError("the token is not good")

    return {
        "unknown connection, stateless reset": (closed.route, [b"\x40" + bytes(60)] * PACKETS),
        "unknown version, version negotiation": (closed.route, [data[:1] + b"\x1a" * 4 + data[5:] for data in first]),
        "first packet over a limit, dropped": (full.route, first),
        "first packet, Retry": (always.route, first),
        "first packet with a good token, admitted": (admit, with_token),
        "first packet damaged, dropped": (open_.route, [data[:50] + b"damage" + data[56:] for data in first]),
        "first packet, refused": (closed.route, first),
        "first packet, taken and answered": (open_.take, first),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    logging.disable(logging.WARNING)  # that limits are reached is no news here
    figures: dict[str, list[float]] = {}
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory() as directory:
        certfile, keyfile = generate_self_signed_cert(hostname="localhost", output_dir=directory, days_valid=10)
        config = ServerConfig(certfile=certfile, keyfile=keyfile)
        for _ in range(rounds):
            for name, (take, packets) in cases(config, loop).items():
                began = time.perf_counter()
                for data in packets:
                    take(data)
                figures.setdefault(name, []).append((time.perf_counter() - began) / len(packets) * 1e6)
    loop.close()
    print(f"microseconds for each datagram, median of {rounds} rounds (min .. max)")
    for name, values in figures.items():
        print(f"{name:42} {statistics.median(values):8.1f}  ({min(values):.1f} .. {max(values):.1f})")


if __name__ == "__main__":
    main()
