"""The server's end of Devious Baton on pywebtransport 0.21."""

from __future__ import annotations

import batonkit
import peerkit
from pywebtransport import ServerConfig, WebTransportServer
from pywebtransport_baton import CREDIT, Session

tasks = peerkit.Tasks()


async def sessions(connection):
    async for session in connection.incoming_sessions():
        end = Session(session)
        await session.accept()
        tasks.spawn(batonkit.play_for(end, session.path))


async def connections(server):
    async for connection in server.incoming_connections():
        tasks.spawn(sessions(connection))


async def serve(cert: str, key: str, port: int) -> None:
    config = ServerConfig(bind_host=peerkit.HOST, bind_port=port, certfile=cert, keyfile=key, **CREDIT)
    async with WebTransportServer(config=config) as server:
        await server.listen()
        tasks.spawn(connections(server))
        peerkit.ready(port)
        await peerkit.until_stdin_ends()


if __name__ == "__main__":
    peerkit.run_server(serve)
