"""The exercise on aioquic's own H3Connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import peerkit
from aioquic.asyncio import connect as quic_connect
from aioquic.h3.events import H3Event, HeadersReceived
from raw_aioquic import SessionProtocol, configuration

if TYPE_CHECKING:
    from aioquic.quic.events import QuicEvent


class ClientProtocol(SessionProtocol):
    """The client's connection: asks for its session once SETTINGS have come."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.settled = asyncio.Event()
        self.status: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def quic_event_received(self, event: QuicEvent) -> None:
        super().quic_event_received(event)
        if self.h3 is not None and self.h3.received_settings is not None:
            self.settled.set()

    def on_http(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived) and event.stream_id == self.session_id:
            self.status.set_result(dict(event.headers)[b":status"])

    async def request(self, authority: str, path: str) -> None:
        await self.settled.wait()
        if self.h3 is None:
            raise RuntimeError("not connected")
        self.session_id = self._quic.get_next_available_stream_id()
        headers = {
            ":method": "CONNECT",
            ":protocol": "webtransport",
            ":scheme": "https",
            ":authority": authority,
            ":path": path,
            "sec-webtransport-http3-draft02": "1",
        }
        self.h3.send_headers(self.session_id, [(name.encode(), value.encode()) for name, value in headers.items()])
        self.transmit()
        if (status := await self.status) != b"200":
            raise RuntimeError(f"refused with {status.decode()}")


async def use(
    host: str, port: int, path: str, exercise: Callable[[peerkit.Session], Awaitable[dict[str, int]]]
) -> dict[str, int]:
    config = configuration(is_client=True, verify_mode=ssl.CERT_NONE)
    async with quic_connect(host, port, configuration=config, create_protocol=ClientProtocol) as protocol:
        await protocol.request(f"{host}:{port}", path)
        return await exercise(protocol)


if __name__ == "__main__":
    peerkit.run_client(use)
