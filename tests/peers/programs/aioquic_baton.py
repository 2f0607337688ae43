"""Devious Baton on aioquic's own H3Connection: how a session ends, at either end."""

from __future__ import annotations

import asyncio
from typing import Any

from aioquic.h3.events import DataReceived, H3Event
from raw_aioquic import SessionProtocol


class BatonProtocol(SessionProtocol):
    """Ends its CONNECT stream with a bare FIN, as the game's rules want it."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._capsules = bytearray()
        self._is_over: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def on_http(self, event: H3Event) -> None:
        if isinstance(event, DataReceived) and event.stream_id == self.session_id:
            self._capsules += event.data
            if event.stream_ended and not self._is_over.done():
                # Nothing, or one CLOSE: two bytes of type, one of length, four of code.
                self._is_over.set_result(int.from_bytes(self._capsules[3:7], "big"))
        super().on_http(event)

    async def end(self) -> None:
        self.send(self.session_id, b"", end_stream=True)

    async def ended(self) -> int:
        return await self._is_over
