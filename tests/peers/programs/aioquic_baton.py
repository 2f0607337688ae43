"""Devious Baton on aioquic's own H3Connection: a session of either end."""

from __future__ import annotations

import asyncio
from typing import Any

from aioquic.h3.events import DataReceived, H3Event
from raw_aioquic import RawProtocol, RawStream

CLOSE = 0x2843


class BatonProtocol(RawProtocol):
    """A connection with one session; its CONNECT stream ends with a bare FIN, as the game's rules want it."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.session_id = 0
        self._incoming: dict[bool, asyncio.Queue[RawStream]] = {False: asyncio.Queue(), True: asyncio.Queue()}
        self._datagrams: asyncio.Queue[bytes] = asyncio.Queue()
        self._capsules = bytearray()
        self._is_over: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def on_stream(self, stream: RawStream) -> None:
        self._incoming[stream.is_unidirectional].put_nowait(stream)

    def on_datagram(self, session_id: int, data: bytes) -> None:
        self._datagrams.put_nowait(data)

    def on_http(self, event: H3Event) -> None:
        if isinstance(event, DataReceived) and event.stream_id == self.session_id:
            self._capsules += event.data
            if event.stream_ended and not self._is_over.done():
                # Nothing, or one CLOSE: type, length, code, text.
                self._is_over.set_result(int.from_bytes(self._capsules[3:7], "big"))

    async def open_bidirectional(self) -> RawStream:
        return self.open(self.session_id, unidirectional=False)

    async def open_unidirectional(self) -> RawStream:
        return self.open(self.session_id, unidirectional=True)

    async def next_bidirectional(self) -> RawStream:
        return await self._incoming[False].get()

    async def next_unidirectional(self) -> RawStream:
        return await self._incoming[True].get()

    async def send_datagram(self, data: bytes) -> None:
        self.send_datagram_on(self.session_id, data)

    async def next_datagram(self) -> bytes:
        return await self._datagrams.get()

    async def end(self) -> None:
        self.send(self.session_id, b"", end_stream=True)

    async def ended(self) -> int:
        return await self._is_over
