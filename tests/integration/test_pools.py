"""Pools of sessions and of streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from handle_pair import SessionPair, session_pair
from leftovers import no_tasks_left
from loopback import client_config, running, server_config

from wtransport.client import WebTransportClient
from wtransport.exceptions import ClientError, StreamError
from wtransport.pool import SessionPool, StreamPool
from wtransport.server import ServerApp
from wtransport.session import WebTransportSession
from wtransport.types import EventType, SessionState

WAIT = 30.0


async def until_closed(session: WebTransportSession) -> None:
    if not session.is_closed:
        await session.events.wait_for(event_type=EventType.SESSION_CLOSED)


@pytest.fixture
async def app(certificate: Any) -> ServerApp:
    app = ServerApp(config=server_config(certificate))
    app.route(path="/")(until_closed)
    return app


@pytest.fixture
async def url(app: ServerApp) -> AsyncIterator[str]:
    async with running(app) as url:
        yield f"{url}/"


@pytest.fixture
async def client(certificate: Any) -> AsyncIterator[WebTransportClient]:
    async with WebTransportClient(config=client_config(certificate)) as client:
        yield client


@pytest.fixture
async def pair(certificate: Any) -> AsyncIterator[SessionPair]:
    async with session_pair(certificate) as pair:
        yield pair


async def test_sessions_are_used_again(client: WebTransportClient, url: str) -> None:
    async with SessionPool(client=client, url=url, max_size=2) as pool:
        one = await pool.acquire()
        two = await pool.acquire()
        assert one is not two
        await pool.release(one)
        assert await pool.acquire() is one
        async with asyncio.timeout(WAIT):
            third = asyncio.create_task(pool.acquire())
            await asyncio.sleep(0)
            assert not third.done()
            await pool.release(two)
            assert await third is two
        await pool.release(one)
        await pool.release(two)
        assert (await client.diagnostics()).stats.connections_attempted == 2
    assert (one.is_closed, two.is_closed) == (True, True)
    assert not client.is_closed


async def test_those_who_wait_are_served_in_order(client: WebTransportClient, url: str) -> None:
    served: list[int] = []

    async def use(number: int) -> None:
        async with pool.get():
            served.append(number)

    async with SessionPool(client=client, url=url, max_size=1) as pool, asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(use(number))
    assert served == list(range(5))


async def test_a_session_that_has_ended_is_replaced(app: ServerApp, client: WebTransportClient, url: str) -> None:
    async with SessionPool(client=client, url=url, max_size=1) as pool:
        lent = await pool.acquire()
        await lent.close()
        await pool.release(lent)
        async with pool.get() as idle:
            assert idle is not lent
        (end,) = await app.server.session_manager.get_all_resources()
        await end.close()  # by the server, while nobody uses it
        await asyncio.wait_for(until_closed(idle), WAIT)
        async with pool.get() as fresh:
            assert fresh is not idle
            assert fresh.state is SessionState.CONNECTED


async def test_a_session_that_is_winding_down_is_replaced(app: ServerApp, client: WebTransportClient, url: str) -> None:
    async with SessionPool(client=client, url=url, max_size=1) as pool:
        async with pool.get() as session:
            pass
        (end,) = await app.server.session_manager.get_all_resources()
        await end.drain()
        await session.events.wait_for(event_type=EventType.SESSION_DRAINING, timeout=WAIT)
        async with pool.get() as fresh:
            assert fresh is not session


async def test_an_exception_does_not_cost_a_session(client: WebTransportClient, url: str) -> None:
    async with SessionPool(client=client, url=url, max_size=1) as pool:
        with pytest.raises(RuntimeError, match="on purpose"):
            async with pool.get() as session:
                raise RuntimeError("on purpose")
        assert await pool.acquire() is session


async def test_a_failure_to_connect_takes_no_place(client: WebTransportClient, url: str) -> None:
    async with SessionPool(client=client, url=f"{url}nowhere", max_size=1) as pool:
        for _ in range(3):
            with pytest.raises(ClientError, match="404"):
                await asyncio.wait_for(pool.acquire(), WAIT)


async def test_cancelling_those_who_wait_takes_no_place(client: WebTransportClient, url: str) -> None:
    async with no_tasks_left(), SessionPool(client=client, url=url, max_size=1) as pool:
        session = await pool.acquire()
        waiting = [asyncio.create_task(pool.acquire()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await pool.release(session)
        waiting[1].cancel()  # at the moment when it is its turn
        assert await waiting[2] is session
        await pool.release(session)
        assert await asyncio.wait_for(pool.acquire(), WAIT) is session
        await pool.release(session)


async def test_closing_wakes_those_who_wait(client: WebTransportClient, url: str) -> None:
    pool = SessionPool(client=client, url=url, max_size=1)
    async with pool:
        session = await pool.acquire()
        waiting = [asyncio.create_task(pool.acquire()) for _ in range(3)]
        await asyncio.sleep(0)
    for each in waiting:
        with pytest.raises(RuntimeError, match="closed"):
            await asyncio.wait_for(each, WAIT)
    assert not session.is_closed  # it is in use
    await pool.release(session)
    assert session.is_closed
    with pytest.raises(RuntimeError, match="closed"):
        await pool.acquire()
    with pytest.raises(RuntimeError, match="closed"):
        await pool.__aenter__()


async def test_what_is_opened_while_the_pool_closes_is_closed(client: WebTransportClient, url: str) -> None:
    async with no_tasks_left():
        async with SessionPool(client=client, url=url, max_size=1) as pool:
            opening = asyncio.create_task(pool.acquire())
            await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="closed"):
            await opening
        async with asyncio.timeout(WAIT):
            while (await client.diagnostics()).connection_states:
                await asyncio.sleep(0.01)


async def test_only_what_was_lent_comes_back(client: WebTransportClient, url: str) -> None:
    async with SessionPool(client=client, url=url, max_size=1) as pool:
        session = await pool.acquire()
        await pool.release(session)
        with pytest.raises(ValueError, match="acquired"):
            await pool.release(session)
        stranger = await client.connect(url=url)
        with pytest.raises(ValueError, match="acquired"):
            await pool.release(stranger)
        assert await pool.acquire() is session


async def test_pools_have_to_be_entered_and_need_room(client: WebTransportClient, url: str) -> None:
    with pytest.raises(ValueError, match="max_size"):
        SessionPool(client=client, url=url, max_size=0)
    pool = SessionPool(client=client, url=url, max_size=1)
    with pytest.raises(RuntimeError, match="async with"):
        await pool.acquire()
    with pytest.raises(RuntimeError, match="async with"):
        async with pool.get():
            pass
    session = await client.connect(url=url)
    with pytest.raises(RuntimeError, match="async with"):
        await pool.release(session)
    await pool.close()


async def test_streams_are_used_again_for_one_message_after_the_other(pair: SessionPair) -> None:
    async with StreamPool(session=pair.client, max_size=2) as pool:
        for message in (b"one\n", b"two\n"):
            async with pool.get() as stream:
                await stream.write(data=message)
        incoming = pair.server.incoming_bidirectional_streams()
        end = await anext(incoming)
        assert [await end.readline(), await end.readline()] == [b"one\n", b"two\n"]
    assert await end.read() == b""
    assert stream.is_closed


async def test_a_stream_that_is_over_is_replaced(pair: SessionPair) -> None:
    async with StreamPool(session=pair.client, max_size=1) as pool:
        async with pool.get() as finished:
            await finished.write(data=b"all", end_stream=True)
        async with pool.get() as answered:
            assert answered is not finished
            await answered.write(data=b"?")
        incoming = pair.server.incoming_bidirectional_streams()
        await anext(incoming)
        end = await anext(incoming)
        await end.write(data=b"", end_stream=True)
        assert await answered.read() == b""
        async with pool.get() as fresh:
            assert fresh is not answered
            await fresh.write(data=b"?")


async def test_half_a_message_is_not_for_the_next_user(pair: SessionPair) -> None:
    async with StreamPool(session=pair.client, max_size=1) as pool:
        with pytest.raises(RuntimeError, match="on purpose"):
            async with pool.get() as broken:
                await broken.write(data=b"half")
                end = await anext(pair.server.incoming_bidirectional_streams())
                raise RuntimeError("on purpose")
        with pytest.raises(StreamError):
            await end.read_all()  # half a message is no message
        async with pool.get() as fresh:
            assert fresh is not broken


async def test_a_pool_of_a_session_that_ends_says_so(pair: SessionPair) -> None:
    async with StreamPool(session=pair.client, max_size=1) as pool:
        async with pool.get() as stream:
            pass
        await pair.client.close()
        with pytest.raises(Exception, match="closed"):
            await pool.acquire()
        assert stream.is_closed
