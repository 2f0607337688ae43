"""The client's end of Devious Baton on aioquic's own H3Connection."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import batonkit
from aioquic.asyncio import connect as quic_connect
from aioquic_baton import BatonProtocol
from aioquic_client import ClientProtocol
from raw_aioquic import configuration


class BatonClient(BatonProtocol, ClientProtocol):
    """Both."""


async def use(host: str, port: int, path: str, game: Callable[[batonkit.Session], Awaitable[Any]]) -> Any:
    config = configuration(is_client=True, verify_mode=ssl.CERT_NONE)
    async with quic_connect(host, port, configuration=config, create_protocol=BatonClient) as protocol:
        await protocol.request(f"{host}:{port}", path)
        return await game(protocol)


if __name__ == "__main__":
    batonkit.run_client(use)
