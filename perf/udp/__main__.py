"""What a UDP packet costs, by loop and by transport: ``python -m perf.udp [--rounds N]``.

Both sockets are in this process, on the loopback interface, and a figure is processor time: what others do on the
machine disturbs it less than the time that passes. Contestants take turns in every round.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import logging
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import cast
from unittest import mock

import uvloop

from wtransport._adapter import udp
from wtransport._adapter.addresses import Endpoint, resolve
from wtransport._adapter.outlet import Outlet
from wtransport._adapter.sockets import bind_sockets, connect_socket
from wtransport._adapter.udp_transport import BatchProtocol, UdpTransport
from wtransport._quic.port import NetworkAddress

HOST = "127.0.0.1"
PACKET = bytes(1200)
BATCHES = (1, 4, 16, 64)
"""Packets handed over together; the last one takes two calls."""

PACKETS = 256
"""Packets on their way at a time: the receive buffer holds them all."""

REPETITIONS = 8
ECHOES = 2000

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}

TRANSPORTS = ("the loop's", "ours", "no offloads")
"""The last is ours on a kernel that neither segments nor joins, where calls take several packets instead."""

Figures = dict[tuple[str, str, str], list[float]]
"""Microseconds of each round, by loop, transport and case."""


class End(BatchProtocol):
    """Counts what arrives, and tells when it is all there; or sends each packet back."""

    def __init__(self) -> None:
        self.outlet: Outlet
        self.missing = 0
        self.echoes = False
        self.complete = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.outlet = Outlet(cast("asyncio.DatagramTransport", transport))

    def datagrams_received(self, datagrams: Sequence[tuple[bytes, NetworkAddress]]) -> None:
        """Take a batch."""
        self.missing -= len(datagrams)
        if self.missing <= 0:
            self.complete.set()
        elif self.echoes:
            connected = self.outlet.is_connected
            self.outlet.send([(data, None if connected else addr) for data, addr in datagrams])

    async def receives(self, count: int) -> None:
        """Return when so many packets have arrived since the call."""
        self.missing = count
        self.complete.clear()
        async with asyncio.timeout(10):
            await self.complete.wait()


async def pair(transport: str) -> tuple[End, End]:
    """Open a socket, and one connected to it, each with a transport."""
    loop = asyncio.get_running_loop()
    (there,) = bind_sockets(await resolve(host=HOST, port=0, passive=True))
    here = connect_socket(Endpoint(there.family, there.getsockname()))
    ends = End(), End()
    for end, sock in zip(ends, (here, there), strict=True):
        if transport == "the loop's":
            await loop.create_datagram_endpoint(functools.partial(_same, end), sock=sock)
            continue
        with mock.patch.object(udp, "_set", _refuse) if transport == "no offloads" else contextlib.nullcontext():
            UdpTransport(loop=loop, sock=sock, protocol=end)
    return ends


def _same(end: End) -> End:
    return end


def _refuse(*_: object) -> bool:
    return False


async def one_way(sender: End, receiver: End, batch: int) -> dict[str, float]:
    """Measure sending in batches of so many, and reading what that brings."""
    datagrams = [(PACKET, None)] * batch
    sending = receiving = 0.0
    for _ in range(REPETITIONS):
        start = time.process_time()
        for _ in range(PACKETS // batch):
            sender.outlet.send(datagrams)
        sent = time.process_time()
        await receiver.receives(PACKETS)
        sending += sent - start
        receiving += time.process_time() - sent
    count = REPETITIONS * PACKETS / 1e6
    return {f"send, {batch} at a time": sending / count, f"receive, sent {batch} at a time": receiving / count}


async def echo(client: End, server: End) -> dict[str, float]:
    """Measure a round trip of one packet."""
    client.echoes = server.echoes = True
    server.missing = sys.maxsize
    start = time.process_time()
    client.outlet.send([(PACKET, None)])
    await client.receives(ECHOES)
    return {"round trip of one": (time.process_time() - start) / ECHOES * 1e6}


async def measure(figures: Figures, loop_name: str, transport: str) -> None:
    """Take one round of one contestant."""
    client, server = await pair(transport)
    results: dict[str, float] = {}
    for batch in BATCHES:
        results |= await one_way(client, server, batch)
    results |= await echo(client, server)
    for case, value in results.items():
        figures[loop_name, transport, case].append(value)
    for end in (client, server):
        end.outlet.transport.close()
    await asyncio.sleep(0)


def main() -> None:
    """Run the rounds, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m perf.udp", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured; at least 1")
    rounds = parser.parse_args().rounds
    logging.disable(logging.WARNING)  # of small buffers
    figures: Figures = defaultdict(list)
    for _ in range(rounds):
        for loop_name, factory in LOOPS.items():
            for transport in TRANSPORTS:
                with asyncio.Runner(loop_factory=factory) as runner:
                    runner.run(measure(figures, loop_name, transport))
    print(f"µs of processor time for each packet of {len(PACKET)} bytes: least (median) of {rounds} rounds")
    for loop_name in LOOPS:
        print(f"\n{loop_name:28} " + " ".join(f"{transport:>16}" for transport in TRANSPORTS))
        for case in dict.fromkeys(case for _, _, case in figures):
            taken = [figures[loop_name, transport, case] for transport in TRANSPORTS]
            cells = [f"{min(values):.2f} ({statistics.median(values):.2f})" for values in taken]
            print(f"{case:28} " + " ".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    main()
