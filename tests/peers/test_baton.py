"""Devious Baton between the example and ends of it on other implementations, in both roles."""

from __future__ import annotations

import asyncio
import ssl
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import peerkit
import pytest
from examples import load_example
from peers import python_or_skip, run_program, running_server
from serving import Certificate, serving

from wtransport import ClientConfig, WebTransportClient, WebTransportSession

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120)]

PEERS = pytest.mark.parametrize("peer", ["aioquic", "pywebtransport"])
GAMES = pytest.mark.parametrize(("baton", "count"), [(255, 1), (254, 1), (200, 1), (250, 8)])
WAIT = 30.0


@pytest.fixture
def players(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_example("devious_baton_player", monkeypatch)


def course(baton: int, count: int) -> tuple[list[int], list[int]]:
    """Return what the client and the server get, sorted."""
    batons = [*range(baton, 256), 0] * count
    length = len(batons) // count
    return tuple(
        sorted(value for index, value in enumerate(batons) if index % length % 2 == parity) for parity in (0, 1)
    )  # type: ignore[return-value]


@PEERS
@GAMES
async def test_our_server_with_a_peers_client(
    peer: str, baton: int, count: int, players: ModuleType, certificate: Certificate
) -> None:
    python_or_skip(peer)
    ended: list[Any] = []

    async def host(session: WebTransportSession) -> None:
        player = players.Player(session, game=players.Game.from_path(session.path), is_client=False)
        await player.play()
        ended.append((player, session.close_code))

    async with serving(certificate, {"/webtransport/devious-baton": host}) as site:
        port = str(urlsplit(site.url).port)
        options = ("--port", port, "--baton", str(baton), "--count", str(count))
        client = await run_program(peer, "baton_client", *options)

    ((server, code),) = ended
    assert (client["code"], code) == (0, 0)
    assert (sorted(client["received"]), sorted(server.received)) == course(baton, count)
    assert set(server.datagrams) <= {value for value in client["received"] if value % 7 == 1}
    assert set(client["datagrams"]) <= {value for value in server.received if value % 7 == 0}


@PEERS
@GAMES
async def test_our_client_with_a_peers_server(
    peer: str, baton: int, count: int, players: ModuleType, certificate: Certificate
) -> None:
    game = players.Game(baton, count)
    async with (
        running_server(peer, certificate.certfile, certificate.keyfile, role="baton_server") as port,
        WebTransportClient(config=ClientConfig(verify_mode=ssl.CERT_NONE)) as client,
    ):
        session = await client.connect(url=f"https://{peerkit.HOST}:{port}{game.path}")
        player = players.Player(session, game=game, is_client=True)
        async with asyncio.timeout(WAIT):
            await player.play()
    assert (session.close_code, player.lost) == (0, 0), session.close_reason
    assert sorted(player.received) == course(baton, count)[0]
