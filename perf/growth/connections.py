"""Connections of one server, over loopback: what a further one costs, and what those that lie idle cost another one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

from wtransport import ClientConfig, ServerApp, ServerConfig, WebTransportClient, WebTransportSession

__all__ = ["measured"]

REQUESTS = 50
BATCH = 5
"""Connections made at a time; one by one they would wait for each other's round trips."""

_LIMITS = (
    "max_connections",
    "max_sessions",
    "max_connection_attempts_per_address",
    "max_handshakes_per_address",
    "max_unfinished_handshakes",
)
"""Of the server: all clients come from one address here."""

FEW = 10
"""Connections that a cost is taken from at least."""


async def _connections(certificate: tuple[str, str], amounts: Sequence[int]) -> dict[str, list[tuple[int, float]]]:
    certfile, keyfile = certificate
    settings = {"bind_host": "127.0.0.1", "bind_port": 0, "certfile": certfile, "keyfile": keyfile, "access_log": False}
    app = ServerApp(config=ServerConfig.from_dict(config_dict=settings | dict.fromkeys(_LIMITS, 10_000)))

    @app.route(path="/")
    async def echo(session: WebTransportSession) -> None:
        async for stream in session.incoming_bidirectional_streams():
            await stream.write_all(data=await stream.read_all())

    config = ClientConfig(verify_mode=ssl.CERT_NONE)
    points: dict[str, list[tuple[int, float]]] = {"new connections": [], "idle connections": [], "memory": []}
    async with app, contextlib.AsyncExitStack() as stack:
        await app.server.listen()
        address = app.server.local_address
        if address is None:
            raise RuntimeError("the server does not listen")
        url = f"https://127.0.0.1:{address[1]}/"

        async def connect() -> WebTransportSession:
            client = await stack.enter_async_context(WebTransportClient(config=config))
            return await client.connect(url=url)

        session = await connect()
        for _ in range(2):  # what is made once is made
            await _requests(session)
        count = 1
        memory = _resident_bytes()
        for amount in amounts:
            more = max(amount - count, FEW)
            begin = time.process_time()
            for first in range(0, more, BATCH):
                await asyncio.gather(*(connect() for _ in range(min(BATCH, more - first))))
            points["new connections"].append((amount, (time.process_time() - begin) / more))
            count += more
            points["idle connections"].append((amount, min([await _requests(session) for _ in range(3)])))
            gc.collect()
            points["memory"].append((amount, (_resident_bytes() - memory) / (count - 1)))
    return points


async def _requests(session: WebTransportSession) -> float:
    """Return what a request costs, in seconds of processor time."""
    begin = time.process_time()
    for _ in range(REQUESTS):
        stream = await session.create_bidirectional_stream()
        await stream.write(data=b"r" * 64, end_stream=True)
        await stream.read_all()
    return (time.process_time() - begin) / REQUESTS


def measured(amounts: Sequence[int], *, certificate: tuple[str, str]) -> dict[str, list[tuple[int, float]]]:
    """Return (amount, cost) of all series of connections."""
    return asyncio.run(_connections(certificate, amounts))


def _resident_bytes() -> int:
    """Return the memory that this process holds."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()
