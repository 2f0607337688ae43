"""The exercise on pywebtransport 0.21."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

import peerkit
from pywebtransport import ClientConfig, WebTransportClient


class Stream:
    def __init__(self, stream) -> None:
        self._stream = stream

    async def send(self, data: bytes) -> None:
        await self._stream.write_all(data=data, end_stream=True)

    async def receive(self) -> bytes:
        return await self._stream.read_all()


class Session:
    def __init__(self, session) -> None:
        self._session = session
        self._bidirectional = session.incoming_bidirectional_streams()
        self._unidirectional = session.incoming_unidirectional_streams()
        self.send_datagram = lambda data: session.send_datagram(data=data)
        self.next_datagram = session.read_datagram

    async def open_bidirectional(self) -> Stream:
        return Stream(await self._session.create_bidirectional_stream())

    async def open_unidirectional(self) -> Stream:
        return Stream(await self._session.create_unidirectional_stream())

    async def next_bidirectional(self) -> Stream:
        return Stream(await anext(self._bidirectional))

    async def next_unidirectional(self) -> Stream:
        return Stream(await anext(self._unidirectional))


async def use(
    host: str, port: int, path: str, exercise: Callable[[peerkit.Session], Awaitable[dict[str, int]]]
) -> dict[str, int]:
    config = ClientConfig(
        verify_mode=ssl.CERT_NONE,
        # With these at 0 it grants no session credit at all.
        initial_max_data=1 << 24,
        initial_max_streams_bidi=1000,
        initial_max_streams_uni=1000,
    )
    async with WebTransportClient(config=config) as client:
        session = await client.connect(url=f"https://{host}:{port}{path}")
        return await exercise(Session(session))


if __name__ == "__main__":
    peerkit.run_client(use)
