"""Devious Baton on pywebtransport 0.21: a session of either end."""

from __future__ import annotations

import asyncio

import pywebtransport_client
from pywebtransport import SessionError
from pywebtransport.types import EventType

CREDIT = {"initial_max_data": 1 << 24, "initial_max_streams_bidi": 1000, "initial_max_streams_uni": 1000}
"""With these at 0 it grants no session credit at all."""


class Session(pywebtransport_client.Session):
    """What comes ends with the session; a game is told of the end by `ended` alone."""

    def __init__(self, session) -> None:
        super().__init__(session)
        self.next_datagram = self._next_datagram
        self._is_over = asyncio.get_running_loop().create_future()
        session.events.on(event_type=EventType.SESSION_CLOSED, handler=self._on_closed)

    def _on_closed(self, event) -> None:
        if not self._is_over.done():
            self._is_over.set_result(event.data["error_code"])

    async def next_bidirectional(self) -> pywebtransport_client.Stream:
        return await self._next(self._bidirectional)

    async def next_unidirectional(self) -> pywebtransport_client.Stream:
        return await self._next(self._unidirectional)

    async def _next(self, streams) -> pywebtransport_client.Stream:
        async for stream in streams:
            return pywebtransport_client.Stream(stream)
        return await asyncio.Future()

    async def _next_datagram(self) -> bytes:
        try:
            return await self._session.read_datagram()
        except SessionError:
            return await asyncio.Future()

    async def end(self) -> None:
        await self._session.close()

    async def ended(self) -> int:
        return await self._is_over
