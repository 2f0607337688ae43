"""Nothing is left of connections that are over: objects, timers, tasks, sockets, table entries."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from typing import Any

import pytest
from adapter_ends import Server, client_end, echo, open_client
from both_loops import on_both_loops

from wtransport._protocol import events
from wtransport.config import ClientConfig, ServerConfig

HOST = "127.0.0.1"


@pytest.fixture
def server(certificate: Any) -> Server:
    return Server(ServerConfig(certfile=certificate.certfile, keyfile=certificate.keyfile))


@pytest.fixture
def config(certificate: Any) -> ClientConfig:
    return ClientConfig(ca_certs=certificate.certfile)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@on_both_loops
async def test_connections_that_are_over_leave_nothing(server: Server, config: ClientConfig) -> None:
    alive: weakref.WeakSet[Any] = weakref.WeakSet()

    async def one(number: int) -> None:
        async with client_end(HOST, server.port, config) as (end, session):
            alive.add(end.protocol)
            alive.add(end.protocol.port)
            assert await echo(end, session, b"x") == b"x"

    async with server.running() as running:
        files = open_files()
        tasks = asyncio.all_tasks()
        for _ in range(3):
            await asyncio.gather(*(one(number) for number in range(10)))
        for end in running.ends:
            await end.expect(events.ConnectionClosed)
            alive.add(end.protocol)
            alive.add(end.protocol.port)
        del end
        running.ends.clear()
        async with asyncio.timeout(10):
            while len(running.listener._table):
                await asyncio.sleep(0.01)
        assert running.listener._table.routes == {}
        assert running.listener.unfinished_handshakes == 0
        assert running.listener.connections == []
        assert asyncio.all_tasks() == tasks
        assert open_files() == files
        gc.collect()
        assert len(alive) == 0


@on_both_loops
async def test_refused_attempts_leave_nothing(config: ClientConfig) -> None:
    files = open_files()
    for _ in range(5):
        end = await open_client(HOST, 9, config)
        closed = await end.expect(events.ConnectionClosed)
        assert not closed.by_peer
        assert end.protocol.is_finished
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert open_files() == files
    assert asyncio.all_tasks() == {asyncio.current_task()}


@on_both_loops
async def test_a_dead_peer_is_given_up_after_the_idle_timeout(server: Server, certificate: Any) -> None:
    config = ClientConfig(ca_certs=certificate.certfile, connection_idle_timeout=0.3, keep_alive=False)
    async with server.running() as running:
        end = await open_client(HOST, running.port, config)
        await end.expect(events.ConnectionReady)
        closed = await end.expect(events.ConnectionClosed)
        assert not closed.by_peer
        await end.protocol.wait_closed()
        assert end.protocol.is_finished


@on_both_loops
async def test_a_cancelled_wait_for_the_listener_can_be_repeated(server: Server, config: ClientConfig) -> None:
    async with server.running() as running:
        end = await open_client(HOST, running.port, config)
        await end.expect(events.ConnectionReady)
        waiting = asyncio.ensure_future(running.listener.wait_closed())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await end.close()
        await running.listener.wait_closed()
        assert running.listener.connections == []
