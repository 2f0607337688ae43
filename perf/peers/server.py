"""The echo service of tests/peers on this library, run as a program like those of the peers; no more than they do."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import peerkit  # of tests/support, which the caller puts on the path

from wtransport import ServerApp, ServerConfig, WebTransportSession, WebTransportStream

tasks = peerkit.Tasks()


async def _echo(stream: WebTransportStream) -> None:
    await stream.write_all(data=await stream.read_all())


async def _datagrams(session: WebTransportSession) -> None:
    async for data in session.incoming_datagrams():
        await session.send_datagram(data=data)


async def serve(cert: str, key: str, port: int) -> None:
    """Serve until stdin ends."""
    logging.disable(logging.CRITICAL)
    limits = {"max_connections": 10_000, "max_sessions": 10_000, "max_unfinished_handshakes": 1000}
    config = ServerConfig.from_dict(
        config_dict={"bind_host": peerkit.HOST, "bind_port": port, "certfile": cert, "keyfile": key, **limits}
    )
    app = ServerApp(config=config)

    @app.route(path="/echo")
    async def echo(session: WebTransportSession) -> None:
        answering = asyncio.ensure_future(_datagrams(session))
        try:
            async for stream in session.incoming_bidirectional_streams():
                tasks.spawn(_echo(stream))
        finally:
            answering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await answering

    async with app:
        await app.server.listen()
        peerkit.ready(port)
        await peerkit.until_stdin_ends()


if __name__ == "__main__":
    peerkit.run_server(serve)
