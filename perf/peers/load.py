"""The work that every server gets: one client of ours against an echo service."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from wtransport import ClientConfig, WebTransportClient, WebTransportSession

__all__ = ["SCENARIOS", "Load", "idle_connections"]

BODY = b"r" * 64
IN_FLIGHT = 64
"""Requests at a time; all of a connection are fewer than a thousand, as some of the peers' servers allow no more."""

MESSAGE = 64 * 1024
DATAGRAM_PATIENCE = 1.0
"""Seconds after which a datagram counts as lost, and the next one is sent."""

SETTLE_TIME = 1.0
"""Seconds in which what follows a handshake is over."""


@dataclass(frozen=True)
class Load:
    """Where the service is, and how much is to be done."""

    port: int
    share: float
    """Of the usual amount; a quick run does less."""

    def times(self, usual: int) -> int:
        """Return how often to do what is usually done so often."""
        return max(2, int(usual * self.share))

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[WebTransportSession]:
        """A session on a connection of its own."""
        config = ClientConfig(verify_mode=ssl.CERT_NONE, read_timeout=None, write_timeout=None)
        async with WebTransportClient(config=config) as client:
            yield await client.connect(url=f"https://127.0.0.1:{self.port}/echo")


async def _request(session: WebTransportSession, body: bytes = BODY) -> None:
    stream = await session.create_bidirectional_stream()
    sending = asyncio.ensure_future(stream.write(data=body, end_stream=True)) if len(body) > len(BODY) else None
    if sending is None:
        await stream.write(data=body, end_stream=True)
    answer = await stream.read_all()
    if sending is not None:
        await sending
    if answer != body:
        raise RuntimeError(f"{len(answer)} bytes came back of {len(body)}")


async def _requests(load: Load) -> int:
    async with load.session() as session:
        count = load.times(600)
        for _ in range(count):
            await _request(session)
    return count


async def _concurrent(load: Load) -> int:
    async with load.session() as session:
        rounds = load.times(12)
        for _ in range(rounds):
            await asyncio.gather(*(_request(session) for _ in range(IN_FLIGHT)))
    return rounds * IN_FLIGHT


async def _messages(load: Load) -> int:
    body = bytes(MESSAGE)
    async with load.session() as session:
        count = load.times(200)
        for _ in range(count):
            await _request(session, body)
    return count


async def _datagrams(load: Load) -> int:
    lost, count = 0, load.times(1000)
    async with load.session() as session:
        for number in range(count):
            body = number.to_bytes(8) + bytes(56)
            await session.send_datagram(data=body)
            try:
                async with asyncio.timeout(DATAGRAM_PATIENCE):
                    while await session.read_datagram() != body:
                        pass
            except TimeoutError:
                lost += 1
                if lost > 3:
                    raise RuntimeError("datagrams do not come back") from None
    return count


async def _connections(load: Load) -> int:
    count = load.times(40)
    for _ in range(count):
        async with load.session():
            pass
    return count


@contextlib.asynccontextmanager
async def idle_connections(load: Load, count: int) -> AsyncIterator[int]:
    """So many connections with a session each, of which nothing is asked."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(load.session())
        await asyncio.sleep(SETTLE_TIME)
        yield count


SCENARIOS: dict[str, Callable[[Load], Awaitable[int]]] = {
    "request": _requests,
    "request, 64 at once": _concurrent,
    "echo of 64 KiB": _messages,
    "datagram there and back": _datagrams,
    "connection with a session": _connections,
}
"""Each does its work and returns how often."""
