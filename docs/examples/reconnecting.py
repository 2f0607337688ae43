"""A client that comes back by itself when its server was away."""

from __future__ import annotations

import asyncio

from local import client_config, server_config

from wtransport import Event, ServerApp, WebTransportClient, WebTransportSession
from wtransport.client import ReconnectingClient
from wtransport.types import EventType


async def echo(session: WebTransportSession) -> None:
    async for data in session.incoming_datagrams():
        await session.send_datagram(data=data)


async def start(port: int = 0) -> ServerApp:
    app = ServerApp(config=server_config())
    app.route(path="/echo")(echo)
    await app.startup()
    await app.server.listen(port=port)
    return app


def on_lost(event: Event) -> None:
    print("lost; connecting again")


async def ping(reconnecting: ReconnectingClient) -> None:
    session = await reconnecting.get_session(wait_timeout=20)
    if session is None:
        print("no session in time")
        return
    await session.send_datagram(data=b"ping")
    print("answer:", await session.read_datagram())


async def main() -> None:
    app = await start()
    host, port = app.server.local_address or ("", 0)
    # Delays in seconds: 0.1, 0.15, 0.225 and so on up to 1; for ever, as max_retries is negative.
    config = client_config(retry_delay=0.1, retry_backoff=1.5, max_retry_delay=1.0, max_retries=-1)
    async with WebTransportClient(config=config) as client:
        reconnecting = ReconnectingClient(url=f"https://{host}:{port}/echo", client=client)
        reconnecting.on(event_type=EventType.CONNECTION_LOST, handler=on_lost)
        async with reconnecting:
            await ping(reconnecting)
            await app.shutdown()
            app = await start(port)
            await ping(reconnecting)
    await app.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
