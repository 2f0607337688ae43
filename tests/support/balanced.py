"""Servers for a load balancer: each can be stopped and started again at its port, one runs in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from loopback import HOST, CertificateFiles, client_config, server_config

from wtransport.client import WebTransportClient
from wtransport.config import ClientConfig
from wtransport.connection import ConnectionLoadBalancer, WebTransportConnection
from wtransport.exceptions import WebTransportError
from wtransport.server import WebTransportServer

__all__ = [
    "Factory",
    "KillableProcess",
    "RestartableServer",
    "balancer",
    "is_reachable",
    "three_servers",
    "unused_port",
]

WAIT = 30.0
"""Seconds for something on loopback that normally takes milliseconds."""


def unused_port(host: str = HOST) -> int:
    """A UDP port that nobody is bound to."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class RestartableServer:
    """A server of ours that accepts every session, in this process."""

    def __init__(self, certificate: CertificateFiles, *, host: str = HOST, **settings: Any) -> None:
        self._config = server_config(certificate, bind_host=host, **settings)
        self.address = (host, unused_port(host))
        self.server: WebTransportServer | None = None

    async def start(self) -> None:
        self.server = WebTransportServer(config=self._config)
        await self.server.listen(port=self.address[1])

    async def stop(self) -> None:
        server, self.server = self.server, None
        if server is not None:
            await server.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


# It says by one line each that it listens, and that a unidirectional stream came; all else comes from outside.
_PROGRAM = """
import asyncio, sys
from wtransport.config import ServerConfig
from wtransport.server import WebTransportServer
from wtransport.types import EventType

async def report_streams(event):
    async for stream in event.data["session"].incoming_unidirectional_streams():
        print("stream", flush=True)

async def main(host, port, certfile, keyfile):
    server = WebTransportServer(config=ServerConfig(certfile=certfile, keyfile=keyfile))
    server.on(event_type=EventType.SESSION_REQUEST, handler=report_streams)
    await server.listen(host=host, port=int(port))
    print("listening", flush=True)
    await server.serve_forever()

asyncio.run(main(*sys.argv[1:]))
"""


class KillableProcess:
    """A server of ours in a process of its own, which dies without a word."""

    def __init__(self, certificate: CertificateFiles) -> None:
        self._certificate = certificate
        self.address = (HOST, unused_port())
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _PROGRAM,
            *map(str, self.address),
            self._certificate.certfile,
            self._certificate.keyfile,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        try:
            await self._next_line()
        except BaseException:
            await self.kill()
            raise

    async def stream(self) -> None:
        """Wait for the next unidirectional stream of a client."""
        await self._next_line()

    async def _next_line(self) -> None:
        if self._process is None or self._process.stdout is None:
            raise RuntimeError("the server process does not run")
        if not await asyncio.wait_for(self._process.stdout.readline(), 2 * WAIT):
            raise RuntimeError("the server process has ended")

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.communicate()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()


@contextlib.asynccontextmanager
async def three_servers(certificate: CertificateFiles, **settings: Any) -> AsyncIterator[list[RestartableServer]]:
    async with contextlib.AsyncExitStack() as stack:
        servers = [RestartableServer(certificate, **settings) for _ in range(3)]
        for server in servers:
            await stack.enter_async_context(server)
        yield servers


@dataclass
class Factory:
    """Makes connections, and remembers for which ports; `before` is awaited first."""

    before: Callable[[int], Any] | None = None
    ports: list[int] = field(default_factory=list)
    made: list[WebTransportConnection] = field(default_factory=list)

    async def __call__(self, *, config: ClientConfig, host: str, port: int, path: str) -> WebTransportConnection:
        self.ports.append(port)
        if self.before is not None:
            await self.before(port)
        name = f"[{host}]" if ":" in host else host
        session = await WebTransportClient(config=config).connect(url=f"https://{name}:{port}{path}")
        self.made.append(session.connection)
        return session.connection


async def is_reachable(certificate: CertificateFiles, *, host: str, port: int, timeout: float) -> bool:
    """A health check: whether a session can be opened."""
    async with WebTransportClient(config=client_config(certificate)) as client:
        with contextlib.suppress(WebTransportError):
            await client.connect(url=f"https://{host}:{port}/", timeout=timeout)
            return True
    return False


def balancer(
    certificate: CertificateFiles, targets: list[tuple[str, int]], factory: Any = None, **settings: Any
) -> ConnectionLoadBalancer:
    """A load balancer with real connections and real health checks."""

    async def check(*, host: str, port: int, timeout: float) -> bool:
        return await is_reachable(certificate, host=host, port=port, timeout=timeout)

    values: dict[str, Any] = {"health_checker": check, "health_check_interval": 0.2, "health_check_timeout": 2.0}
    return ConnectionLoadBalancer(
        targets=targets, connection_factory=Factory() if factory is None else factory, **(values | settings)
    )
