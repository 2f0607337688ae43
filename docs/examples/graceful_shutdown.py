"""A server that lets its clients finish before it goes, and a client that notices."""

from __future__ import annotations

import asyncio

from local import client_config, running, server_config

from wtransport import ServerApp, WebTransportClient, WebTransportSession
from wtransport.types import EventType

app = ServerApp(config=server_config(close_timeout=10.0))


@app.route(path="/work")
async def work(session: WebTransportSession) -> None:
    async for stream in session.incoming_bidirectional_streams():
        await stream.write_all(data=await stream.read_all())


@app.on_shutdown
async def let_clients_finish() -> None:
    """Ask every client to wind down (GOAWAY, DRAIN), wait for at most close_timeout, then close.

    Shutdown functions run before the session handlers are cancelled, and new requests get status 503 meanwhile.
    """
    connections = app.server.connection_manager.snapshot()
    await asyncio.gather(*(connection.graceful_shutdown() for connection in connections))
    print("server: everybody has left")


async def use_it(url: str, connected: asyncio.Event) -> None:
    async with WebTransportClient(config=client_config()) as client:
        session = await client.connect(url=url)
        draining = asyncio.Event()
        session.events.once(event_type=EventType.SESSION_DRAINING, handler=lambda event: draining.set())
        connected.set()

        await draining.wait()
        print("client: the server wants to go; finishing")
        stream = await session.create_bidirectional_stream()  # everything is still possible
        await stream.write_all(data=b"last words")
        print("client:", await stream.read_all())
        await session.close(reason="finished")


async def main() -> None:
    connected = asyncio.Event()
    async with running(app) as url:
        using = asyncio.create_task(use_it(f"{url}/work", connected))
        await connected.wait()
    # Leaving the block is what Ctrl-C or SIGTERM do to a program that calls `app.run()`.
    await using


if __name__ == "__main__":
    asyncio.run(main())
