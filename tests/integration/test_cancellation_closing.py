"""Cancelling what opens or closes many things, after every turn of the loop: closing is done all the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from balanced import balancer, unused_port
from handle_pair import HandlePair, connection_pair
from leftovers import Leftovers, cancel_at_every_step, on_tracking_loop
from loopback import HOST, client_config, server_config, url_of

from wtransport.client import ClientFleet, WebTransportBrowser, WebTransportClient
from wtransport.connection import ConnectionLoadBalancer
from wtransport.monitor import ClientMonitor
from wtransport.pool import SessionPool
from wtransport.server import ServerApp, ServerCluster, WebTransportServer
from wtransport.session import WebTransportSession
from wtransport.types import EventType

WAIT = 30.0
LOCAL = ("tasks", "futures", "timers", "transports")


@contextlib.asynccontextmanager
async def a_server(certificate: Any) -> AsyncIterator[tuple[WebTransportServer, str]]:
    """A server, and its URL; at the end nothing may be left, neither here nor there."""
    async with WebTransportServer(config=server_config(certificate)) as server:
        await server.listen()
        async with WebTransportClient(config=client_config(certificate)) as client:
            await client.connect(url=url_of(server))  # so that the listener's own timer is there from the beginning
        await until_nobody_is_left(server)
        before = Leftovers.now()
        yield server, url_of(server)
        await until_nobody_is_left(server)
        await before.check(*LOCAL, what="all of it")


async def until_nobody_is_left(server: WebTransportServer) -> None:
    async with asyncio.timeout(WAIT):
        while await server.connection_manager.get_all_resources():
            await asyncio.sleep(0.005)


async def until_closed(session: WebTransportSession) -> None:
    if not session.is_closed:
        await session.events.wait_for(event_type=EventType.SESSION_CLOSED)


@on_tracking_loop
async def test_closing_a_client(certificate: Any) -> None:
    async with a_server(certificate) as (_, url):
        before = Leftovers.now()

        async def prepare() -> WebTransportClient:
            client = WebTransportClient(config=client_config(certificate))
            for _ in range(2):
                await client.connect(url=url)
            return client

        cancelled = await cancel_at_every_step(
            lambda client: client.close(),
            prepare=prepare,
            check=lambda what: before.check("tasks", "transports", what=what),
        )
        assert cancelled > 1


@on_tracking_loop
async def test_closing_a_client_that_connects(certificate: Any) -> None:
    async with a_server(certificate) as (_, url):
        before = Leftovers.now()

        async def prepare() -> tuple[WebTransportClient, asyncio.Task[Any]]:
            client = WebTransportClient(config=client_config(certificate))
            attempt = asyncio.create_task(client.connect(url=url))
            for _ in range(4):
                await asyncio.sleep(0)
            return client, attempt

        async def close(arguments: tuple[WebTransportClient, asyncio.Task[Any]]) -> None:
            client, attempt = arguments
            try:
                await client.close()
            finally:
                with contextlib.suppress(Exception):
                    await attempt

        await cancel_at_every_step(
            close, prepare=prepare, check=lambda what: before.check("tasks", "transports", what=what)
        )


@pytest.mark.parametrize("method", ["close", "graceful_shutdown"])
@on_tracking_loop
async def test_closing_a_connection(certificate: Any, method: str) -> None:
    before = Leftovers.now()

    async def prepare() -> tuple[contextlib.AsyncExitStack, HandlePair]:
        stack = contextlib.AsyncExitStack()
        pair = await stack.enter_async_context(connection_pair(certificate, client={"close_timeout": 0.02}))
        await pair.open_session()
        return stack, pair

    async def close(arguments: tuple[contextlib.AsyncExitStack, HandlePair]) -> None:
        stack, pair = arguments
        try:
            await getattr(pair.client, method)()
        finally:
            if method == "close":
                assert pair.client.is_closed
            # An end that was cancelled has closed the connection, or can be begun again.
            await asyncio.shield(asyncio.ensure_future(stack.aclose()))

    await cancel_at_every_step(
        close, prepare=prepare, check=lambda what: before.check("tasks", "transports", what=what)
    )
    await before.check(*LOCAL, what=method)


@on_tracking_loop
async def test_closing_a_session(certificate: Any) -> None:
    async with connection_pair(certificate) as pair:
        await (await pair.open_session()).client.close()
        before = Leftovers.now()

        async def prepare() -> WebTransportSession:
            return (await pair.open_session()).client

        async def close(session: WebTransportSession) -> None:
            try:
                await session.close(error_code=3)
            finally:
                assert session.is_closed

        await cancel_at_every_step(
            close, prepare=prepare, check=lambda what: before.check("tasks", "futures", what=what)
        )
        async with asyncio.timeout(WAIT):
            while len(pair.client.get_all_sessions()) + len(pair.server.get_all_sessions()) > 0:
                await asyncio.sleep(0.005)


@on_tracking_loop
async def test_shutting_a_load_balancer_down(certificate: Any) -> None:
    async with a_server(certificate) as (server, _):
        assert server.local_address is not None
        address = server.local_address
        before = Leftovers.now()

        async def prepare() -> ConnectionLoadBalancer:
            lb = await balancer(certificate, [(HOST, unused_port()), address]).__aenter__()
            await lb.get_connection(config=client_config(certificate))
            return lb

        await cancel_at_every_step(
            lambda lb: lb.shutdown(),
            prepare=prepare,
            check=lambda what: before.check("tasks", "transports", what=what),
        )


@on_tracking_loop
async def test_closing_a_pool(certificate: Any) -> None:
    async with a_server(certificate) as (_, url), WebTransportClient(config=client_config(certificate)) as client:
        before = Leftovers.now()

        async def prepare() -> SessionPool:
            pool = await SessionPool(client=client, url=url, max_size=2).__aenter__()
            lent = [await pool.acquire() for _ in range(2)]
            for session in lent:
                await pool.release(session)
            return pool

        await cancel_at_every_step(
            lambda pool: pool.close(),
            prepare=prepare,
            check=lambda what: before.check("tasks", "transports", what=what),
        )


@on_tracking_loop
async def test_connecting_and_closing_a_fleet(certificate: Any) -> None:
    async with a_server(certificate) as (_, url):
        before = Leftovers.now()

        async def use() -> None:
            clients = [WebTransportClient(config=client_config(certificate)) for _ in range(2)]
            async with ClientFleet(clients=clients) as fleet:
                assert len(await fleet.connect_all(url=url)) == 2

        cancelled = await cancel_at_every_step(use, check=lambda what: before.check("tasks", "transports", what=what))
        assert cancelled > 10


@on_tracking_loop
async def test_closing_a_browser(certificate: Any) -> None:
    async with a_server(certificate) as (_, url), WebTransportClient(config=client_config(certificate)) as client:
        before = Leftovers.now()

        async def prepare() -> WebTransportBrowser:
            browser = await WebTransportBrowser(client=client).__aenter__()
            await browser.navigate(url=url)
            return browser

        await cancel_at_every_step(
            lambda browser: browser.close(),
            prepare=prepare,
            check=lambda what: before.check("tasks", "transports", what=what),
        )


@on_tracking_loop
async def test_using_a_monitor(certificate: Any) -> None:
    async with WebTransportClient(config=client_config(certificate)) as client:
        before = Leftovers.now()

        async def use() -> None:
            async with ClientMonitor(client, monitoring_interval=0.01) as monitor:
                while not monitor.get_metrics_history():
                    await asyncio.sleep(0)

        await cancel_at_every_step(use, check=lambda what: before.check(*LOCAL, what=what))


# Servers.


@on_tracking_loop
async def test_closing_a_server(certificate: Any) -> None:
    before = Leftovers.now()
    config = client_config(certificate, connection_idle_timeout=1.0)

    async def prepare() -> tuple[WebTransportServer, WebTransportClient]:
        server = WebTransportServer(config=server_config(certificate))
        await server.listen()
        client = WebTransportClient(config=config)
        for _ in range(2):
            await client.connect(url=url_of(server))
        return server, client

    async def close(arguments: tuple[WebTransportServer, WebTransportClient]) -> None:
        server, client = arguments
        try:
            await server.close()
        finally:
            assert not server.is_serving
            await client.close()

    await cancel_at_every_step(
        close, prepare=prepare, check=lambda what: before.check("tasks", "transports", what=what)
    )
    await before.check(*LOCAL, what="closing a server")


@on_tracking_loop
async def test_listening(certificate: Any) -> None:
    before = Leftovers.now()

    async def listen() -> WebTransportServer:
        server = WebTransportServer(config=server_config(certificate, bind_host="localhost"))
        await server.listen()
        return server

    await cancel_at_every_step(
        listen, undo=lambda server: server.close(), check=lambda what: before.check(*LOCAL, what=what)
    )


@on_tracking_loop
async def test_running_a_cluster(certificate: Any) -> None:
    before = Leftovers.now()

    async def use() -> None:
        async with ServerCluster(configs=[server_config(certificate) for _ in range(2)]) as cluster:
            assert await cluster.get_server_count() == 2

    cancelled = await cancel_at_every_step(use, check=lambda what: before.check(*LOCAL, what=what))
    assert cancelled > 2


@on_tracking_loop
async def test_running_an_app(certificate: Any) -> None:
    before = Leftovers.now()

    async def use() -> None:
        app = ServerApp(config=server_config(certificate))
        app.route(path="/")(until_closed)
        async with app, WebTransportClient(config=client_config(certificate)) as client:
            await app.server.listen()
            await client.connect(url=f"{url_of(app.server)}/")

    cancelled = await cancel_at_every_step(use, check=lambda what: before.check("tasks", "transports", what=what))
    assert cancelled > 10
    await before.check(*LOCAL, what="running an app")
