"""A client of Devious Baton, here against a server of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from devious_baton import PATH, Game
from devious_baton_player import Player
from devious_baton_server import host_game
from local import client_config, running, server_config

from wtransport import ClientError, ServerApp, WebTransportClient


def never(baton: int) -> bool:
    return False


async def play(client: WebTransportClient, url: str, game: Game, *, lies: Callable[[int], bool] = never) -> None:
    session = await client.connect(url=url + game.path)
    player = Player(session, game=game, is_client=True, lies=lies)
    await player.play()
    print(f"client: got {player.received}, lost {player.lost}, closed with {session.close_code}")


async def main() -> None:
    app = ServerApp(config=server_config())
    app.route(path=PATH, auto_accept=False)(host_game)
    async with running(app) as url, WebTransportClient(config=client_config()) as client:
        await play(client, url, Game(baton=253))
        await play(client, url, Game(baton=254, count=3))
        # A client that keeps a baton instead of passing 255 on.
        await play(client, url, Game(baton=252), lies=lambda baton: baton == 255)
        try:
            await play(client, url, Game(baton=1, count=999_999))
        except ClientError as error:
            print("client: refused with", error.details["status"])


if __name__ == "__main__":
    asyncio.run(main())
