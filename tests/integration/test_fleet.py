"""Several clients together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from balanced import RestartableServer, unused_port
from leftovers import no_tasks_left
from loopback import HOST, client_config, silent_server

from wtransport.client import ClientFleet, WebTransportClient
from wtransport.exceptions import ClientError, ConfigurationError


def clients_for(certificate: Any, count: int, **settings: Any) -> list[WebTransportClient]:
    return [WebTransportClient(config=client_config(certificate, **settings)) for _ in range(count)]


async def test_all_connect_and_all_are_closed(certificate: Any) -> None:
    clients = clients_for(certificate, 3)
    async with RestartableServer(certificate) as server, no_tasks_left():
        async with ClientFleet(clients=clients) as fleet:
            assert fleet.get_client_count() == 3
            sessions = await fleet.connect_all(url=f"https://{HOST}:{server.address[1]}/")
            assert len({session.connection.local_address for session in sessions}) == 3
        assert [client.is_closed for client in clients] == [True] * 3
        assert [session.is_closed for session in sessions] == [True] * 3
        assert fleet.get_client_count() == 0


async def test_those_that_fail_are_missing(certificate: Any) -> None:
    trusting, doubtful = clients_for(certificate, 2)
    doubtful._config = doubtful.config.update(ca_certs=None)  # trusts no certificate of ours
    async with RestartableServer(certificate) as server, ClientFleet(clients=[doubtful, trusting]) as fleet:
        (session,) = await fleet.connect_all(url=f"https://{HOST}:{server.address[1]}/")
        assert (await trusting.diagnostics()).stats.connections_successful == 1
        assert not session.is_closed


async def test_when_all_fail_there_are_none(certificate: Any) -> None:
    async with ClientFleet(clients=clients_for(certificate, 2)) as fleet:
        assert await fleet.connect_all(url=f"https://{HOST}:{unused_port()}/") == []


async def test_a_cancelled_call_leaves_no_session(certificate: Any) -> None:
    quick, slow = clients_for(certificate, 2)
    async with RestartableServer(certificate) as server, silent_server() as (silent, heard):
        original = slow.connect

        async def connect_elsewhere(**_: Any) -> Any:
            return await original(url=silent)

        slow.connect = connect_elsewhere  # type: ignore[method-assign]
        async with ClientFleet(clients=[quick, slow]) as fleet, no_tasks_left():
            call = asyncio.create_task(fleet.connect_all(url=f"https://{HOST}:{server.address[1]}/"))
            await heard.wait()
            while not (await quick.diagnostics()).stats.connections_successful:
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            while (await quick.diagnostics()).connection_states:
                await asyncio.sleep(0.01)


async def test_clients_are_taken_in_turn(certificate: Any) -> None:
    clients = clients_for(certificate, 3)
    async with ClientFleet(clients=clients) as fleet:
        assert [await fleet.get_client() for _ in range(4)] == [*clients, clients[0]]
        await clients[1].close()
        assert [await fleet.get_client() for _ in range(2)] == [clients[2], clients[0]]
        await clients[0].close()
        await clients[2].close()
        with pytest.raises(ClientError, match="open"):
            await fleet.get_client()
        await fleet.close_all()
        with pytest.raises(ClientError, match="open"):
            await fleet.get_client()


async def test_a_client_that_cannot_be_entered_takes_the_others_with_it(certificate: Any) -> None:
    class Broken(WebTransportClient):
        async def __aenter__(self) -> Any:
            raise RuntimeError("broken on purpose")

    (client,) = clients_for(certificate, 1)
    with pytest.raises(RuntimeError, match="on purpose"):
        async with ClientFleet(clients=[client, Broken()]):
            pass
    assert client.is_closed


async def test_mistakes_are_refused(certificate: Any) -> None:
    with pytest.raises(ValueError, match="clients"):
        ClientFleet(clients=[])
    fleet = ClientFleet(clients=clients_for(certificate, 1))
    for call in (fleet.connect_all(url="https://localhost/"), fleet.get_client(), fleet.close_all()):
        with pytest.raises(ClientError, match="async with"):
            await call
    async with fleet:
        with pytest.raises(ClientError) as caught:
            await fleet.connect_all(url="http://localhost/")
        assert isinstance(caught.value.__cause__, ConfigurationError)
