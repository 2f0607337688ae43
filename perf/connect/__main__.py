"""What a connection costs from dial to close, both ends together: ``python -m perf.connect [--rounds N]``.

A server and its clients run in this process and talk over loopback; for each connection a client is made, opens one
session and closes it, as a program would. The same once more by stock aioquic alone, in memory and with no HTTP/3 on
top: the ratio is what all of ours costs beyond a bare handshake, or saves. Processor time, which others on the machine
disturb least. ``--plain N`` makes N connections of ours and prints nothing, for a profiler or an instruction counter.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import ssl
import statistics
import tempfile
import time

from perf.engine.links import StockLink
from wtransport import BACKEND, ClientConfig, ServerApp, ServerConfig, WebTransportClient, WebTransportSession
from wtransport.types import EventType
from wtransport.utils import generate_self_signed_cert

CONNECTIONS = 50
"""Connections of one kind in a round."""


async def _connect(port: int, count: int) -> None:
    for _ in range(count):
        config = ClientConfig(verify_mode=ssl.CERT_NONE)
        async with WebTransportClient(config=config) as client:
            await client.connect(url=f"https://127.0.0.1:{port}/")


class Bench:
    """A server, to be connected to."""

    def __init__(self, certfile: str, keyfile: str) -> None:
        """Make it."""
        config = ServerConfig(bind_host="127.0.0.1", bind_port=0, certfile=certfile, keyfile=keyfile, access_log=False)
        self._app = ServerApp(config=config)
        self._certfile, self._keyfile = certfile, keyfile

        @self._app.route(path="/")
        async def wait(session: WebTransportSession) -> None:
            if not session.is_closed:
                await session.events.wait_for(event_type=EventType.SESSION_CLOSED)

    async def ours(self, rounds: int, count: int) -> list[float]:
        """Return the seconds of processor time of a connection in each round."""
        seconds = []
        async with self._app as app:
            await app.server.listen()
            address = app.server.local_address
            if address is None:
                raise RuntimeError("the server does not listen")
            await _connect(address[1], 3)
            for _ in range(rounds):
                gc.collect()
                start = time.process_time()
                await _connect(address[1], count)
                seconds.append((time.process_time() - start) / count)
        return seconds

    def stock(self, rounds: int) -> list[float]:
        """Return the seconds of a bare handshake of aioquic in each round."""
        seconds = []
        for _ in range(rounds):
            gc.collect()
            start = time.process_time()
            for _ in range(CONNECTIONS):
                StockLink(self._certfile, self._keyfile)
            seconds.append((time.process_time() - start) / CONNECTIONS)
        return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(*generate_self_signed_cert(hostname="localhost", output_dir=directory, days_valid=10))
        if arguments.plain:
            asyncio.run(bench.ours(1, arguments.plain))
            return
        ours = asyncio.run(bench.ours(arguments.rounds, CONNECTIONS))
        stock = bench.stock(arguments.rounds)
    print(f"backend {BACKEND}; ms of processor time, both ends: median of {arguments.rounds} rounds (min .. max)")
    for name, seconds in (("ours", ours), ("aioquic", stock)):
        low, high = min(seconds) * 1e3, max(seconds) * 1e3
        print(f"{name:8} {statistics.median(seconds) * 1e3:6.2f} ({low:.2f} .. {high:.2f})")
    print(f"ratio    {min(ours) / min(stock):6.2f}")


if __name__ == "__main__":
    main()
