"""The echo app: what the demo, the ``serve`` command and its page talk to."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

from ..config import ServerConfig
from ..exceptions import DatagramError, SessionError, StreamError, WebTransportError
from ..server import ServerApp
from ..session import WebTransportSession
from ..stream import WebTransportReceiveStream, WebTransportStream
from ..utils import get_logger

__all__ = ["GREETING", "create_echo_app"]

logger = get_logger(name=__name__)

CHUNK = 256 * 1024
"""Bytes read at a time: some dozens of packets, so that the cost of a call is spread over many."""

GREETING = b"hello from the server"
"""What the server sends on the streams that it opens itself."""


def create_echo_app(*, config: ServerConfig) -> ServerApp:
    """Return an app with three routes.

    ``/echo`` sends back what comes: bidirectional streams on themselves, each unidirectional stream on a new one of
    the server's, datagrams as datagrams. ``/greet`` has the server open a bidirectional and a unidirectional stream and
    send a datagram, all with `GREETING`, and echoes what comes back on the first. ``/close?code=N&reason=TEXT`` closes
    the session with that code and reason.
    """
    app = ServerApp(config=config)
    app.route(path="/echo")(echo)
    app.route(path="/greet")(greet)
    app.route(path="/close")(close)
    return app


async def echo(session: WebTransportSession) -> None:
    """Send back everything until the session ends."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_echo_datagrams(session))
        tasks.create_task(_echo_unidirectional_streams(session))
        async with asyncio.TaskGroup() as streams:
            async for stream in session.incoming_bidirectional_streams():
                streams.create_task(_echo_stream(stream))


async def greet(session: WebTransportSession) -> None:
    """Open streams from the server's side, and echo what the client answers."""
    stream = await session.create_bidirectional_stream()
    await stream.write(data=GREETING)
    one_way = await session.create_unidirectional_stream()
    await one_way.write_all(data=GREETING)
    await session.send_datagram(data=GREETING)
    await _echo_stream(stream)
    async for _ in session.incoming_datagrams():  # ends with the session, which is the client's to close
        pass


async def close(session: WebTransportSession) -> None:
    """Close the session as its query asks for."""
    query = parse_qs(urlsplit(session.path).query)
    code = query.get("code", ["0"])[0]
    await session.close(
        error_code=int(code) if code.isascii() and code.isdigit() else 0, reason=query.get("reason", [""])[0]
    )


async def _echo_stream(stream: WebTransportStream) -> None:
    try:
        while data := await stream.read(max_bytes=CHUNK):
            await stream.write(data=data)
        await stream.write(data=b"", end_stream=True)
    except (StreamError, TimeoutError) as error:
        logger.debug("stream %d ended early: %s", stream.stream_id, error)
        if not stream.is_closed:
            await stream.close(error_code=error.error_code if isinstance(error, StreamError) else 0)


async def _echo_unidirectional_streams(session: WebTransportSession) -> None:
    async with asyncio.TaskGroup() as streams:
        async for stream in session.incoming_unidirectional_streams():
            streams.create_task(_echo_one_way(session, stream))


async def _echo_one_way(session: WebTransportSession, stream: WebTransportReceiveStream) -> None:
    try:
        answer = await session.create_unidirectional_stream()
        while data := await stream.read(max_bytes=CHUNK):
            await answer.write(data=data)
        await answer.close()
    except WebTransportError as error:
        logger.debug("unidirectional stream %d was not answered in full: %s", stream.stream_id, error)


async def _echo_datagrams(session: WebTransportSession) -> None:
    async for data in session.incoming_datagrams():
        try:
            await session.send_datagram(data=data)
        except DatagramError as error:  # larger than this path or this peer takes in the other direction
            logger.debug("datagram of %d bytes was not echoed: %s", len(data), error)
        except SessionError:  # it ended in between; so will the iteration
            continue
