"""The echo service on aiopquic (picoquic)."""

from __future__ import annotations

import asyncio

import peerkit
from aiopquic.asyncio.webtransport import serve_webtransport
from aiopquic.quic.configuration import QuicConfiguration
from aiopquic.quic.events import (
    WebTransportDatagramReceived,
    WebTransportNewStream,
    WebTransportStreamDataReceived,
)

UNIDIRECTIONAL = 0x2  # bit of a stream id

tasks = peerkit.Tasks()


async def receive(session, stream_id: int) -> bytes:
    data = bytearray()
    async for event in session.receive_stream_data(stream_id):
        if not isinstance(event, WebTransportStreamDataReceived):
            raise ConnectionError(f"stream {stream_id} reset: {event}")
        data += event.data
    return bytes(data)


async def send(session, stream_id: int, data: bytes) -> None:
    await session.send_stream_data_drained(stream_id, data, True)


async def echo(session, stream_id: int) -> None:
    await send(session, stream_id, await receive(session, stream_id))


async def answer(session, stream_id: int) -> None:
    content = await receive(session, stream_id)
    if content == peerkit.OPEN:
        offer = await session.create_stream(bidir=True)
        await send(session, offer, peerkit.OFFER)
        content = await receive(session, offer)
    await send(session, await session.create_stream(bidir=False), content)


async def on_session(session) -> None:
    async for event in session.events():
        if isinstance(event, WebTransportDatagramReceived):
            session.send_datagram_frame(bytes(event.data))
        elif isinstance(event, WebTransportNewStream):
            service = answer if event.stream_id & UNIDIRECTIONAL else echo
            tasks.spawn(service(session, event.stream_id))


async def serve(cert: str, key: str, port: int) -> None:
    server = await serve_webtransport(
        peerkit.HOST,
        port,
        "/echo",
        handler=on_session,
        cert_file=cert,
        key_file=key,
        configuration=QuicConfiguration(is_client=False),
    )
    while not server._transport.thread_ready:  # it returns before its thread has bound the socket
        await asyncio.sleep(0.01)
    peerkit.ready(port)
    await peerkit.until_stdin_ends()
    server.close()


if __name__ == "__main__":
    peerkit.run_server(serve)
