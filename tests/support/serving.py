"""Our server for tests: routes, a free port, a certificate known by its hash, and the echo service."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import peerkit

from wtransport import ServerApp, ServerConfig, StreamError, WebTransportSession
from wtransport.server import SessionHandler
from wtransport.stream import WebTransportReceiveStream, WebTransportStream

__all__ = ["Certificate", "Site", "echo_service", "serving"]


@dataclasses.dataclass(frozen=True)
class Site:
    """A server that runs: its URL without a path, and the SHA-256 of its certificate's DER form, in hex."""

    url: str
    hash: str

    def at(self, path: str) -> dict[str, str]:
        """What a page needs to connect to `path`."""
        return {"url": self.url + path, "hash": self.hash}


class Certificate(Protocol):
    """What `serving` needs of the fixture `certificate`."""

    @property
    def certfile(self) -> str: ...

    @property
    def keyfile(self) -> str: ...


@contextlib.asynccontextmanager
async def serving(
    certificate: Certificate, routes: Mapping[str, SessionHandler], **settings: Any
) -> AsyncIterator[Site]:
    """A `ServerApp` with `routes` on a free loopback port."""
    config = ServerConfig(
        bind_host=peerkit.HOST, certfile=certificate.certfile, keyfile=certificate.keyfile, **settings
    )
    app = ServerApp(config=config)
    for path, handler in routes.items():
        app.route(path=path)(handler)
    async with app:
        await app.server.listen(port=0)
        address = app.server.local_address
        if address is None:
            raise RuntimeError("the server does not listen")
        der = ssl.PEM_cert_to_DER_cert(Path(certificate.certfile).read_text(encoding="ascii"))
        yield Site(f"https://{address[0]}:{address[1]}", hashlib.sha256(der).hexdigest())


async def echo_service(session: WebTransportSession) -> None:
    """Serve peerkit's echo service until the session ends."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_bidirectional(session, tasks))
        tasks.create_task(_unidirectional(session, tasks))
        tasks.create_task(_datagrams(session))


async def _bidirectional(session: WebTransportSession, tasks: asyncio.TaskGroup) -> None:
    async for stream in session.incoming_bidirectional_streams():
        tasks.create_task(_echo(stream))


async def _unidirectional(session: WebTransportSession, tasks: asyncio.TaskGroup) -> None:
    async for stream in session.incoming_unidirectional_streams():
        tasks.create_task(_answer(session, stream))


async def _datagrams(session: WebTransportSession) -> None:
    async for data in session.incoming_datagrams():
        await session.send_datagram(data=data)


async def _echo(stream: WebTransportStream) -> None:
    with contextlib.suppress(StreamError):  # the client may leave in the middle
        async for chunk in stream:
            await stream.write(data=chunk)
        await stream.write(data=b"", end_stream=True)


async def _answer(session: WebTransportSession, stream: WebTransportReceiveStream) -> None:
    with contextlib.suppress(StreamError):
        content = await stream.read_all()
        if content == peerkit.OPEN:
            offer = await session.create_bidirectional_stream()
            await offer.write_all(data=peerkit.OFFER)
            content = await offer.read_all()
        reply = await session.create_unidirectional_stream()
        await reply.write_all(data=content)
