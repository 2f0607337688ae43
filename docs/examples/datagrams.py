"""Datagrams: small, fast, perhaps lost. Also sent to everybody, and sent again until they arrive."""

from __future__ import annotations

import asyncio

from local import client_config, running, server_config

from wtransport import DatagramError, ServerApp, WebTransportClient, WebTransportSession
from wtransport.datagram import DatagramBroadcaster, DatagramReliabilityLayer


async def echo(session: WebTransportSession) -> None:
    async for data in session.incoming_datagrams():
        await session.send_datagram(data=data)


async def send_and_receive(session: WebTransportSession) -> None:
    await session.send_datagram(data=b"ping")
    print("came back:", await session.read_datagram())

    try:
        await session.send_datagram(data=bytes(100_000))
    except DatagramError as error:
        print("too large:", error.datagram_size, "bytes; the limit is that of the session:", error.max_size is not None)
    payload = bytes(session.max_datagram_size)  # the most that fits on this path now
    await session.send_datagram(data=payload)
    print("largest came back whole:", await session.read_datagram() == payload)


class Room:
    """Everybody who joins gets what anybody says."""

    def __init__(self, broadcaster: DatagramBroadcaster) -> None:
        self._broadcaster = broadcaster

    async def join(self, session: WebTransportSession) -> None:
        await self._broadcaster.add_session(session=session)  # leaves by itself when the session is over
        async for data in session.incoming_datagrams():
            await self._broadcaster.broadcast(data=data)


async def talk(url: str, client: WebTransportClient) -> None:
    anna = await client.connect(url=url)
    ben = await client.connect(url=url)
    await anna.send_datagram(data=b"hello, room")
    print("anna hears:", await anna.read_datagram())
    print("ben hears:", await ben.read_datagram())


async def collect(session: WebTransportSession) -> None:
    """Receive what the other end sends reliably, and confirm it."""
    async with DatagramReliabilityLayer(session) as reliable:
        for _ in range(3):
            print("server got:", await reliable.receive(timeout=10))
        await session.events.wait_for(event_type="session_closed")


async def send_reliably(session: WebTransportSession) -> None:
    async with DatagramReliabilityLayer(session, ack_timeout=0.5, max_retries=5) as reliable:
        for number in range(3):
            await reliable.send(data=f"message {number}")
        await reliable.flush(timeout=10)  # until all are confirmed
        print("unconfirmed:", reliable.unconfirmed)


async def main() -> None:
    async with DatagramBroadcaster() as broadcaster:
        app = ServerApp(config=server_config())
        app.route(path="/echo")(echo)
        app.route(path="/room")(Room(broadcaster).join)
        app.route(path="/collect")(collect)
        async with running(app) as url, WebTransportClient(config=client_config()) as client:
            await send_and_receive(await client.connect(url=f"{url}/echo"))
            await talk(f"{url}/room", client)
            await send_reliably(await client.connect(url=f"{url}/collect"))


if __name__ == "__main__":
    asyncio.run(main())
