"""A program to be tested: its app is made by a function, so that a test can give it settings of its own."""

from __future__ import annotations

from wtransport import ServerApp, ServerConfig, WebTransportSession


def make_app(config: ServerConfig) -> ServerApp:
    app = ServerApp(config=config)
    app.route(path="/echo")(echo)
    return app


async def echo(session: WebTransportSession) -> None:
    async for stream in session.incoming_bidirectional_streams():
        await stream.write_all(data=await stream.read_all())
