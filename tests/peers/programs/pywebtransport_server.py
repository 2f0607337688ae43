"""The echo service on pywebtransport 0.21."""

from __future__ import annotations

import peerkit
from pywebtransport import ServerConfig, WebTransportServer

tasks = peerkit.Tasks()


async def echo(stream):
    await stream.write_all(data=await stream.read_all(), end_stream=True)


async def answer(session, stream):
    content = await stream.read_all()
    if content == peerkit.OPEN:
        offer = await session.create_bidirectional_stream()
        await offer.write_all(data=peerkit.OFFER, end_stream=True)
        content = await offer.read_all()
    reply = await session.create_unidirectional_stream()
    await reply.write_all(data=content, end_stream=True)


async def bidirectional(session):
    async for stream in session.incoming_bidirectional_streams():
        tasks.spawn(echo(stream))


async def unidirectional(session):
    async for stream in session.incoming_unidirectional_streams():
        tasks.spawn(answer(session, stream))


async def datagrams(session):
    while True:
        await session.send_datagram(data=await session.read_datagram())


async def sessions(connection):
    async for session in connection.incoming_sessions():
        await session.accept()
        for service in (bidirectional, unidirectional, datagrams):
            tasks.spawn(service(session))


async def connections(server):
    async for connection in server.incoming_connections():
        tasks.spawn(sessions(connection))


async def serve(cert: str, key: str, port: int) -> None:
    config = ServerConfig(
        bind_host=peerkit.HOST,
        bind_port=port,
        certfile=cert,
        keyfile=key,
        # With these at 0 it grants no session credit at all.
        initial_max_data=1 << 24,
        initial_max_streams_bidi=1000,
        initial_max_streams_uni=1000,
    )
    async with WebTransportServer(config=config) as server:
        await server.listen()
        tasks.spawn(connections(server))
        peerkit.ready(port)
        await peerkit.until_stdin_ends()


if __name__ == "__main__":
    peerkit.run_server(serve)
