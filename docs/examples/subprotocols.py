"""Subprotocols: the client offers versions of its protocol, and the server picks one."""

from __future__ import annotations

import asyncio

from local import client_config, running, server_config

from wtransport import ServerApp, WebTransportClient, WebTransportSession


async def chat(session: WebTransportSession) -> None:
    # The configuration's wt_available_protocols made the choice: the client's favourite among them.
    await session.accept()
    await session.send_datagram(data=f"speaking {session.wt_protocol}")
    await session.events.wait_for(event_type="session_closed")


async def game(session: WebTransportSession) -> None:
    # A handler that is routed with auto_accept=False can choose by itself, or refuse.
    if "game.v3" not in session.wt_available_protocols:
        await session.reject(status_code=400, headers={"x-reason": "game.v3 is needed"})
        return
    await session.accept(wt_protocol="game.v3")
    await session.events.wait_for(event_type="session_closed")


async def main() -> None:
    app = ServerApp(config=server_config(wt_available_protocols=["chat.v1", "chat.v2"]))
    app.route(path="/chat")(chat)
    app.route(path="/game", auto_accept=False)(game)
    async with running(app) as url, WebTransportClient(config=client_config()) as client:
        session = await client.connect(url=f"{url}/chat", wt_available_protocols=["chat.v3", "chat.v2", "chat.v1"])
        print("chosen:", session.wt_protocol)
        print(await session.read_datagram())

        session = await client.connect(url=f"{url}/chat")
        print("without an offer:", session.wt_protocol)

        session = await client.connect(url=f"{url}/game", wt_available_protocols=["game.v3"])
        print("chosen by the handler:", session.wt_protocol)


if __name__ == "__main__":
    asyncio.run(main())
