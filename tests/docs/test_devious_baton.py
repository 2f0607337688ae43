"""Devious Baton, the example: its messages, games between our two ends, and what a server of it does with cheats."""

from __future__ import annotations

import asyncio
import ssl
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import pytest
from examples import EXAMPLES, load_example
from programs import started
from serving import Certificate, serving

from wtransport import ClientConfig, ClientError, StreamError, WebTransportClient, WebTransportSession

WAIT = 30.0
IDC, WHATEVER, I_LIED = 1, 2, 3
DA_YAMN, BRUH, SUS, BORED = 1, 2, 3, 4

Open: TypeAlias = Callable[..., Awaitable[WebTransportSession]]


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_example("devious_baton", monkeypatch)


@pytest.fixture
def players(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_example("devious_baton_player", monkeypatch)


class Table:
    """A server of the game, with the players it makes, and clients for it."""

    def __init__(self, module: ModuleType, client: WebTransportClient) -> None:
        self.players: list[Any] = []
        self.url = ""
        self._module = module
        self._client = client

    async def host(self, session: WebTransportSession) -> None:
        game = self._module.Game.from_path(session.path)
        await session.accept()
        player = self._module.Player(session, game=game, is_client=False, patience=0.5)
        self.players.append(player)
        await player.play()

    async def open(self, **query: object) -> WebTransportSession:
        """Return the session of a client that plays by hand."""
        game = self._module.Game(**query)
        return await self._client.connect(url=self.url + game.path)

    async def play(self, **query: object) -> Any:
        """Let our client play."""
        game = self._module.Game(**query)
        session = await self._client.connect(url=self.url + game.path)
        player = self._module.Player(session, game=game, is_client=True)
        async with asyncio.timeout(WAIT):
            await player.play()
        assert session.close_code == 0, session.close_reason
        return player


@pytest.fixture
async def table(players: ModuleType, certificate: Certificate) -> AsyncIterator[Table]:
    async with WebTransportClient(config=ClientConfig(ca_certs=certificate.certfile)) as client:
        table = Table(players, client)
        async with serving(certificate, {"/webtransport/devious-baton": table.host}) as site:
            table.url = site.url
            yield table


# Messages.

VECTORS = {
    (1, 0): "00 01",
    (255, 0): "00 ff",
    (20, 3): "03 00 00 00 14",
    (7, 64): "40 40" + " 00" * 64 + " 07",
}


@pytest.mark.parametrize(("baton", "padding"), VECTORS)
def test_messages(rules: ModuleType, baton: int, padding: int) -> None:
    message = bytes.fromhex(VECTORS[baton, padding])
    assert rules.encode_message(baton, padding) == message
    assert rules.decode_message(message) == baton


@pytest.mark.parametrize("padding", [0, 63, 64, 16383, 16384, 70_000])
def test_padding_of_any_size(rules: ModuleType, padding: int) -> None:
    assert rules.decode_message(rules.encode_message(9, padding)) == 9


CUT = {
    "nothing": "",
    "only a length": "00",
    "half a length": "40",
    "cut padding": "40 64 01",
    "padding and no baton": "03 00 00 00",
    "more than a message": "00 01 00",
    "another message": "00 01 00 02",
}


@pytest.mark.parametrize("message", CUT.values(), ids=CUT)
def test_what_is_no_message(rules: ModuleType, message: str) -> None:
    with pytest.raises(rules.MalformedError):
        rules.decode_message(bytes.fromhex(message))


# What a URL asks for.


@pytest.mark.parametrize(
    ("query", "baton", "count"),
    [
        ("", None, 1),
        ("?version=0", None, 1),
        ("?baton=255&count=100", 255, 100),
        ("?count=2&baton=1&version=0&else=x", 1, 2),
    ],
)
def test_a_game_that_is_played(rules: ModuleType, query: str, baton: int | None, count: int) -> None:
    game = rules.Game.from_path(rules.PATH + query)
    assert (game.baton, game.count) == (baton, count)
    assert rules.Game.from_path(game.path) == game


REFUSED = [
    "version=1",
    "version=99",
    "version=",
    "count=0",
    "count=101",
    "count=999999",
    "count=-1",
    "count=x",
    "count=" + "9" * 5000,
    "baton=0",
    "baton=256",
    "baton=",
    "baton=1&baton=2",
    "baton=%31%30%30%30",
    "count=%C2%B2",
]


@pytest.mark.parametrize("query", REFUSED)
def test_a_game_that_is_not_played(rules: ModuleType, query: str) -> None:
    with pytest.raises(ValueError):
        rules.Game.from_path(f"{rules.PATH}?{query}")


async def test_it_is_refused_with_400(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    server = load_example("devious_baton_server", monkeypatch)
    config = ClientConfig(ca_certs=certificate.certfile)
    async with (
        serving(certificate, {server.PATH: server.host_game}) as site,
        WebTransportClient(config=config) as client,
    ):
        for query in ("version=99", "count=999999", "baton=0"):
            with pytest.raises(ClientError) as caught:
                await client.connect(url=f"{site.url}{server.PATH}?{query}")
            assert caught.value.details["status"] == 400


# Games.


def course(baton: int) -> tuple[list[int], list[int]]:
    """Return what a client and a server get of a baton that starts as this."""
    batons = [*range(baton, 256), 0]
    return batons[0::2], batons[1::2]


@pytest.mark.parametrize("baton", [1, 2, 100, 127, 128, *range(240, 256)])
async def test_a_game(table: Table, baton: int) -> None:
    client = await table.play(baton=baton)
    (server,) = table.players
    assert (client.received, server.received) == course(baton)
    assert client.lost == server.lost == 0
    assert set(server.datagrams) <= {value for value in client.received if value % 7 == 1}
    assert set(client.datagrams) <= {value for value in server.received if value % 7 == 0}


@pytest.mark.parametrize("count", [2, 3, 10, 100])
async def test_a_game_with_several_batons(table: Table, count: int) -> None:
    client = await table.play(baton=250, count=count)
    (server,) = table.players
    for player, batons in zip((client, server), course(250), strict=True):
        assert sorted(player.received) == sorted(batons * count)


async def test_several_games_at_once(table: Table) -> None:
    games = [{"baton": baton, "count": 2} for baton in range(245, 255)]
    for game, client in zip(games, await asyncio.gather(*(table.play(**game) for game in games)), strict=True):
        assert sorted(client.received) == sorted(course(game["baton"])[0] * 2)


async def test_the_server_chooses_a_baton(table: Table) -> None:
    client = await table.play()
    first = client.received[0]
    assert 1 <= first <= 255
    assert client.received == course(first)[0]


async def test_datagrams_come(table: Table) -> None:
    client = await table.play(baton=200)
    (server,) = table.players
    # On loopback nothing is lost; the last one may meet the end of the session.
    assert server.datagrams == [value for value in course(200)[0] if value % 7 == 1]
    assert client.datagrams[:3] == [value for value in course(200)[1] if value % 7 == 0][:3]


# Cheats: a client by hand against our server.


async def ended_with(session: WebTransportSession) -> int | None:
    async with asyncio.timeout(WAIT):
        if not session.is_closed:
            await session.events.wait_for(event_type="session_closed")
    return session.close_code


async def message_of(stream: Any, rules: ModuleType) -> int:
    baton: int = rules.decode_message(await stream.read_all())
    return baton


@pytest.mark.parametrize("message", CUT.values(), ids=CUT)
@pytest.mark.parametrize("way", ["uni", "bidi", "datagram"])
async def test_a_message_that_is_none(table: Table, message: str, way: str) -> None:
    session = await table.open(baton=10)
    data = bytes.fromhex(message)
    if way == "datagram":
        await session.send_datagram(data=data)
    elif way == "uni":
        await (await session.create_unidirectional_stream()).write_all(data=data)
    else:
        await (await session.create_bidirectional_stream()).write_all(data=data)
    assert await ended_with(session) == BRUH


@pytest.mark.parametrize("baton", [10, 12, 0, 255])
@pytest.mark.parametrize("way", ["uni", "bidi"])
async def test_a_baton_that_nobody_can_be_passing_on(table: Table, rules: ModuleType, baton: int, way: str) -> None:
    session = await table.open(baton=10)
    await anext(session.incoming_unidirectional_streams())
    opened = session.create_bidirectional_stream if way == "bidi" else session.create_unidirectional_stream
    await (await opened()).write_all(data=rules.encode_message(baton))
    assert await ended_with(session) == SUS


async def test_an_answer_that_does_not_follow(table: Table, rules: ModuleType) -> None:
    session = await table.open(baton=10)
    await anext(session.incoming_unidirectional_streams())
    first = await session.create_bidirectional_stream()
    await first.write_all(data=rules.encode_message(11))
    assert await message_of(first, rules) == 12
    await (await session.create_unidirectional_stream()).write_all(data=rules.encode_message(13))
    from_server = await anext(session.incoming_bidirectional_streams())
    assert await message_of(from_server, rules) == 14
    await from_server.write_all(data=rules.encode_message(14))
    assert await ended_with(session) == SUS


async def test_a_baton_that_comes_once_too_often(table: Table, rules: ModuleType) -> None:
    session = await table.open(baton=10)
    for _ in range(2):
        await (await session.create_bidirectional_stream()).write_all(data=rules.encode_message(11))
    assert await ended_with(session) == SUS


@pytest.mark.parametrize("way", ["uni", "bidi"])
async def test_a_lie_costs_one_baton_and_not_the_game(table: Table, rules: ModuleType, way: str) -> None:
    session = await table.open(baton=253, count=2)
    if way == "uni":
        await (await session.create_unidirectional_stream()).stop_sending(error_code=I_LIED)
    else:
        stream = await session.create_bidirectional_stream()
        await stream.stop_sending(error_code=I_LIED)
        with pytest.raises(StreamError) as caught:
            await stream.read_all()
        assert caught.value.application_code == WHATEVER
    honest = await session.create_bidirectional_stream()
    await honest.write_all(data=rules.encode_message(254))
    assert await message_of(honest, rules) == 255
    await (await session.create_unidirectional_stream()).write_all(data=rules.encode_message(0))
    assert await ended_with(session) == 0
    (server,) = table.players
    assert (server.received, server.lost) == ([254, 0], 1)


async def test_a_game_of_lies_ends(table: Table) -> None:
    session = await table.open(baton=1, count=3)
    for _ in range(3):
        await (await session.create_unidirectional_stream()).stop_sending(error_code=I_LIED)
    assert await ended_with(session) == 0


async def test_padding_without_end_is_of_no_interest(table: Table) -> None:
    session = await table.open(baton=1, count=2)
    stream = await session.create_unidirectional_stream()
    with pytest.raises(StreamError) as caught:
        async with asyncio.timeout(WAIT):
            await stream.write(data=(0xC0 << 56 | 1 << 50).to_bytes(8, "big"))
            while True:
                await stream.write(data=bytes(65536))
    assert caught.value.application_code == IDC
    assert not session.is_closed


async def test_a_client_that_does_nothing(table: Table) -> None:
    session = await table.open(baton=1)
    assert await ended_with(session) == BORED


async def test_a_client_that_allows_too_few_streams(players: ModuleType, certificate: Certificate) -> None:
    async def host(session: WebTransportSession) -> None:
        await players.Player(session, game=players.Game(baton=1, count=10), is_client=False).play()

    config = ClientConfig(
        ca_certs=certificate.certfile, initial_max_streams_uni=2, flow_control_window_auto_scale=False
    )
    async with (
        serving(certificate, {"/": host}, stream_creation_timeout=0.2) as site,
        WebTransportClient(config=config) as client,
    ):
        session = await client.connect(url=f"{site.url}/")
        held = [await anext(session.incoming_unidirectional_streams()) for _ in range(2)]
        assert await ended_with(session) == DA_YAMN
        assert len(held) == 2


# The programs.


def test_the_server_serves_its_page_and_games(players: ModuleType) -> None:
    with started("devious_baton_server.py", cwd=EXAMPLES) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[1]
        with urllib.request.urlopen(address, timeout=WAIT) as response:
            assert "Devious Baton" in response.read().decode()
        url = parse_qs(urlsplit(address).query)["url"][0]
        assert asyncio.run(_play(players, url)) == course(200)[0]


async def _play(players: ModuleType, url: str) -> list[int]:
    async with WebTransportClient(config=ClientConfig(verify_mode=ssl.CERT_NONE)) as client:
        game = players.Game(baton=200)
        session = await client.connect(url=f"{url}?baton=200")
        player = players.Player(session, game=game, is_client=True)
        await player.play()
        received: list[int] = player.received
        return received
