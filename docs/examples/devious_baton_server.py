"""A server of Devious Baton, and a page that plays against it in a browser."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from devious_baton import PATH, Game
from devious_baton_player import Player
from local import certificate, running, server_config

from wtransport import ServerApp, WebTransportSession
from wtransport.utils import certificate_hash


async def host_game(session: WebTransportSession) -> None:
    """Serve one session; route it with ``auto_accept=False``."""
    try:
        game = Game.from_path(session.path)
    except ValueError as error:
        await session.reject(status_code=400, headers={"x-reason": str(error)})
        return
    await session.accept()
    player = Player(session, game=game, is_client=False)
    await player.play()
    print(f"server: got {player.received}, in datagrams {player.datagrams}, lost {player.lost}")


@contextlib.contextmanager
def page(url: str) -> Iterator[str]:
    """Serve the page over HTTP, which is secure enough on this machine; the value is its address."""
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(Path(__file__).parent / "baton_page")
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        query = urlencode({"url": url + PATH, "hash": certificate_hash(certificate()[0]).hex()})
        yield f"http://127.0.0.1:{server.server_port}/?{query}"
        server.shutdown()


async def main() -> None:
    app = ServerApp(config=server_config())
    app.route(path=PATH, auto_accept=False)(host_game)
    async with running(app) as url:
        with page(url) as address:
            print(f"open {address} in a browser; Ctrl-C stops it", flush=True)
            await app.server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
