"""The client's end of Devious Baton on pywebtransport 0.21."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import batonkit
from pywebtransport import ClientConfig, WebTransportClient
from pywebtransport_baton import CREDIT, Session


async def use(host: str, port: int, path: str, game: Callable[[batonkit.Session], Awaitable[Any]]) -> Any:
    async with WebTransportClient(config=ClientConfig(verify_mode=ssl.CERT_NONE, **CREDIT)) as client:
        return await game(Session(await client.connect(url=f"https://{host}:{port}{path}")))


if __name__ == "__main__":
    batonkit.run_client(use)
