"""A UDP relay on loopback that loses packets both ways."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

__all__ = ["lossy_path"]


class _Outside(asyncio.DatagramProtocol):
    """Where the client sends to; each client address gets a socket towards the server."""

    def __init__(self, server: tuple[str, int], loss: float, seed: int) -> None:
        self._server = server
        self._loss = loss
        self._random = random.Random(seed)
        self._inside: dict[Any, asyncio.DatagramTransport] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        inside = self._inside.get(addr)
        if inside is None:
            task = asyncio.get_running_loop().create_task(self._open(data, addr))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        elif not self.loses():
            inside.sendto(data)

    async def _open(self, data: bytes, addr: Any) -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Inside(self, addr), remote_addr=self._server
        )
        self._inside[addr] = transport
        transport.sendto(data)

    def loses(self) -> bool:
        return self._random.random() < self._loss

    def send_back(self, data: bytes, addr: Any) -> None:
        if not self.loses():
            self._transport.sendto(data, addr)

    def close(self) -> None:
        self._transport.close()
        for transport in self._inside.values():
            transport.close()


class _Inside(asyncio.DatagramProtocol):
    def __init__(self, outside: _Outside, client: Any) -> None:
        self._outside = outside
        self._client = client

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._outside.send_back(data, self._client)


@contextlib.asynccontextmanager
async def lossy_path(url: str, *, loss: float, seed: int) -> AsyncIterator[str]:
    """Put a relay in front of the server at `url` that loses so many of all packets; the URL of the relay."""
    parts = urlsplit(url)
    server = (parts.hostname or "", parts.port or 0)
    transport, relay = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Outside(server, loss, seed), local_addr=("127.0.0.1", 0)
    )
    try:
        yield f"https://127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        relay.close()
