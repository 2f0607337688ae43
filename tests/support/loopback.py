"""Client and server of ours in one event loop, over loopback: configurations, a running app, and a silent server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

from wtransport.config import ClientConfig, ServerConfig
from wtransport.server import ServerApp, WebTransportServer

__all__ = ["HOST", "client_config", "no_leftovers", "running", "server_config", "silent_server", "url_of"]

HOST = "127.0.0.1"

WAIT = 30.0
"""Seconds for something on loopback that normally takes milliseconds."""


class CertificateFiles(Protocol):
    """What a certificate fixture offers."""

    @property
    def certfile(self) -> str: ...

    @property
    def keyfile(self) -> str: ...


def server_config(certificate: CertificateFiles, **settings: Any) -> ServerConfig:
    values: dict[str, Any] = {
        "bind_host": HOST,
        "bind_port": 0,
        "certfile": certificate.certfile,
        "keyfile": certificate.keyfile,
        "close_timeout": 2.0,
    }
    return ServerConfig(**(values | settings))


def client_config(certificate: CertificateFiles, **settings: Any) -> ClientConfig:
    values: dict[str, Any] = {"ca_certs": certificate.certfile, "connect_timeout": WAIT}
    return ClientConfig(**(values | settings))


def url_of(server: WebTransportServer, path: str = "") -> str:
    address = server.local_address
    if address is None:
        raise RuntimeError("the server does not listen")
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"https://{host}:{address[1]}{path}"


@contextlib.asynccontextmanager
async def running(app: ServerApp) -> AsyncIterator[str]:
    """Run an app; the value is its URL without a path."""
    async with app:
        await app.server.listen()
        yield url_of(app.server)


class _Silent(asyncio.DatagramProtocol):
    """Receives and never answers."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.set()


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A UDP socket that takes packets and never answers: its URL, and the event of the first packet."""
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(_Silent, local_addr=(HOST, 0))
    try:
        yield f"https://{HOST}:{transport.get_extra_info('sockname')[1]}", protocol.heard
    finally:
        transport.close()


@contextlib.contextmanager
def no_leftovers() -> Iterator[None]:
    """Fail when a task that is not there before is there afterwards."""
    before = asyncio.all_tasks()
    yield
    left = [task for task in asyncio.all_tasks() - before if not task.done()]
    if left:
        raise AssertionError(f"tasks left behind: {left}")
