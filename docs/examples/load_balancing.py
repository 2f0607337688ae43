"""Connections to several servers that offer the same, with one that fails and comes back."""

from __future__ import annotations

import asyncio
import contextlib

from local import client_config, server_config

from wtransport import ClientConfig, WebTransportClient, WebTransportError
from wtransport.connection import ConnectionLoadBalancer, WebTransportConnection
from wtransport.server import WebTransportServer


async def connect(*, config: ClientConfig, host: str, port: int, path: str) -> WebTransportConnection:
    """Make a connection, for the load balancer; the client's object need not be kept."""
    session = await WebTransportClient(config=config).connect(url=f"https://{host}:{port}{path}")
    return session.connection


async def is_healthy(*, host: str, port: int, timeout: float) -> bool:
    """Tell whether a server that had failed takes sessions again."""
    async with WebTransportClient(config=client_config()) as client:
        with contextlib.suppress(WebTransportError):
            await client.connect(url=f"https://{host}:{port}/", timeout=timeout)
            return True
    return False


async def start(port: int = 0) -> tuple[WebTransportServer, tuple[str, int]]:
    server = WebTransportServer(config=server_config())
    await server.listen(port=port)
    address = server.local_address
    if address is None:
        raise RuntimeError("the server does not listen")
    return server, address


async def main() -> None:
    first, first_address = await start()
    second, second_address = await start()
    names = {first_address: "first", second_address: "second"}
    balancer = ConnectionLoadBalancer(
        targets=[first_address, second_address],
        connection_factory=connect,
        health_checker=is_healthy,
        health_check_interval=0.2,
        health_check_timeout=2.0,
    )
    async with balancer:

        async def take() -> str:
            connection = await balancer.get_connection(config=client_config(connect_timeout=5.0))
            return names[connection.remote_address or ("", 0)]

        print("in turn:", [await take() for _ in range(4)])

        await first.close()
        print("one is away:", [await take() for _ in range(4)])

        first, _ = await start(first_address[1])
        async with asyncio.timeout(20):
            while (await balancer.get_load_balancer_stats())["failed_targets"]:
                await asyncio.sleep(0.05)
        print("it is back:", sorted([await take(), await take()]))
    await first.close()
    await second.close()


if __name__ == "__main__":
    asyncio.run(main())
