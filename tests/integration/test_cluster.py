"""Several servers in one process, started and stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import pytest
from balanced import WAIT, unused_port
from leftovers import no_tasks_left
from loopback import HOST, client_config, server_config, url_of

from wtransport.client import WebTransportClient
from wtransport.exceptions import ServerError
from wtransport.server import ServerCluster


def is_bound(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


async def test_all_servers_run_until_the_end_of_the_block(certificate: Any) -> None:
    async with no_tasks_left(), WebTransportClient(config=client_config(certificate)) as client:
        cluster = ServerCluster(configs=[server_config(certificate) for _ in range(2)])
        assert not cluster.is_running
        async with cluster:
            assert cluster.is_running
            servers = await cluster.get_servers()
            assert await cluster.get_server_count() == 2
            sessions = [await client.connect(url=url_of(server)) for server in (*servers, servers[0])]
            assert await cluster.get_cluster_stats() == {
                "server_count": 2,
                "total_connections_accepted": 3,
                "total_connections_rejected": 0,
                "total_connections_active": 3,
                "total_sessions_active": 3,
            }
            await cluster.start_all()  # runs already
            assert await cluster.get_servers() == servers
        assert not cluster.is_running
        assert [server.is_serving for server in servers] == [False, False]
        assert await cluster.get_server_count() == 0
        async with asyncio.timeout(WAIT):
            while not all(session.is_closed for session in sessions):
                await asyncio.sleep(0.01)


async def test_one_that_cannot_start_stops_the_others(certificate: Any) -> None:
    free = unused_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as occupied:
        occupied.bind((HOST, 0))
        taken = occupied.getsockname()[1]
        cluster = ServerCluster(configs=[server_config(certificate, bind_port=port) for port in (free, taken)])
        async with no_tasks_left():
            with pytest.raises(ServerError) as caught:
                await cluster.__aenter__()
            assert caught.value.bind_address == (HOST, taken)
            assert not cluster.is_running
            assert await cluster.get_servers() == []
            assert not is_bound(free)
    await cluster.start_all()
    assert await cluster.get_server_count() == 2
    await cluster.stop_all()
    await cluster.stop_all()


async def test_servers_come_and_go(certificate: Any) -> None:
    async with ServerCluster(configs=[server_config(certificate)]) as cluster:
        (first,) = await cluster.get_servers()
        second = await cluster.add_server(config=server_config(certificate, bind_host="localhost"))
        assert second is not None
        assert second.is_serving
        assert await cluster.get_servers() == [first, second]
        assert first.local_address is not None
        assert second.local_address is not None
        assert not await cluster.remove_server(host=HOST, port=1)
        assert await cluster.remove_server(host="localhost", port=second.local_address[1])
        assert not second.is_serving
        assert await cluster.remove_server(host=HOST, port=first.local_address[1])
        assert await cluster.get_server_count() == 0
        await cluster.stop_all()
        await cluster.start_all()
        assert await cluster.get_server_count() == 0


async def test_configurations_outlive_a_stop(certificate: Any) -> None:
    port = unused_port()
    async with ServerCluster(configs=[]) as cluster:
        assert cluster.is_running
        added = await cluster.add_server(config=server_config(certificate))
        await cluster.stop_all()
        assert await cluster.add_server(config=server_config(certificate, bind_port=port)) is None
        await cluster.start_all()
        servers = await cluster.get_servers()
        assert len(servers) == 2
        assert added not in servers
        assert servers[1].local_address == (HOST, port)
        await cluster.stop_all()
        assert await cluster.remove_server(host=HOST, port=port)
        assert not await cluster.remove_server(host=HOST, port=port)
        await cluster.start_all()
        assert await cluster.get_server_count() == 1


async def test_a_server_that_cannot_be_added_disturbs_nobody(
    certificate: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with ServerCluster(configs=[server_config(certificate)]) as cluster:
        (server,) = await cluster.get_servers()
        assert server.local_address is not None
        taken = server_config(certificate, bind_port=server.local_address[1])
        assert await cluster.add_server(config=taken) is None
        assert "was not added" in caplog.text
        assert await cluster.get_servers() == [server]


async def test_a_server_closed_by_others_is_gone(certificate: Any) -> None:
    async with ServerCluster(configs=[server_config(certificate)]) as cluster:
        (server,) = await cluster.get_servers()
        await server.close()
        assert await cluster.get_server_count() == 0
        assert cluster.is_running


async def test_a_cancelled_start_leaves_nothing_bound(certificate: Any) -> None:
    ports = [unused_port() for _ in range(3)]
    for turns in range(12):
        cluster = ServerCluster(configs=[server_config(certificate, bind_port=port) for port in ports])
        async with no_tasks_left():
            start = asyncio.create_task(cluster.__aenter__())
            for _ in range(turns):
                await asyncio.sleep(0)
            if start.cancel():
                with contextlib.suppress(asyncio.CancelledError):
                    await start
            if cluster.is_running:
                await cluster.stop_all()
        async with asyncio.timeout(WAIT):
            while any(is_bound(port) for port in ports):
                await asyncio.sleep(0)


async def test_it_has_to_be_entered(certificate: Any) -> None:
    cluster = ServerCluster(configs=[])
    for call in (
        cluster.start_all(),
        cluster.stop_all(),
        cluster.add_server(config=server_config(certificate)),
        cluster.remove_server(host=HOST, port=1),
        cluster.get_cluster_stats(),
        cluster.get_server_count(),
        cluster.get_servers(),
    ):
        with pytest.raises(ServerError, match="async with"):
            await call
