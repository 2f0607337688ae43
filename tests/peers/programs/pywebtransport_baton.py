"""Devious Baton on pywebtransport 0.21: a session of either end."""

from __future__ import annotations

import asyncio

from pywebtransport import SessionError
from pywebtransport.types import EventType

CREDIT = {"initial_max_data": 1 << 24, "initial_max_streams_bidi": 1000, "initial_max_streams_uni": 1000}
"""With these at 0 it grants no session credit at all."""


class Stream:
    def __init__(self, stream) -> None:
        self._stream = stream

    async def send(self, data: bytes) -> None:
        await self._stream.write_all(data=data, end_stream=True)

    async def receive(self) -> bytes:
        return await self._stream.read_all()


class Session:
    """Its iterators end with the session; a game is told of the end by `ended` alone."""

    def __init__(self, session) -> None:
        self._session = session
        self._bidirectional = session.incoming_bidirectional_streams()
        self._unidirectional = session.incoming_unidirectional_streams()
        self._is_over = asyncio.get_running_loop().create_future()
        session.events.on(event_type=EventType.SESSION_CLOSED, handler=self._on_closed)

    def _on_closed(self, event) -> None:
        if not self._is_over.done():
            self._is_over.set_result(event.data["error_code"])

    async def open_bidirectional(self) -> Stream:
        return Stream(await self._session.create_bidirectional_stream())

    async def open_unidirectional(self) -> Stream:
        return Stream(await self._session.create_unidirectional_stream())

    async def next_bidirectional(self) -> Stream:
        return await self._next(self._bidirectional)

    async def next_unidirectional(self) -> Stream:
        return await self._next(self._unidirectional)

    async def _next(self, streams) -> Stream:
        async for stream in streams:
            return Stream(stream)
        return await asyncio.Future()

    async def send_datagram(self, data: bytes) -> None:
        await self._session.send_datagram(data=data)

    async def next_datagram(self) -> bytes:
        try:
            return await self._session.read_datagram()
        except SessionError:
            return await asyncio.Future()

    async def end(self) -> None:
        await self._session.close()

    async def ended(self) -> int:
        return await self._is_over
