"""Coroutine handlers of datagrams that begin at once, while packets are read: whatever they do works as elsewhere."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest
from handle_pair import session_pair

from wtransport.exceptions import WebTransportError
from wtransport.types import EventType


@pytest.fixture
async def pair(certificate, caplog):
    with caplog.at_level(logging.WARNING):
        async with session_pair(certificate) as pair:
            yield pair
    assert [record.getMessage() for record in caplog.records] == []


async def handled_by(pair, action) -> None:
    """Have the server's datagrams handled by a coroutine that does `action` with each but the first, and send two."""
    first = asyncio.Event()

    async def handler(event) -> None:
        if event.data["data"] == b"first":
            first.set()
        else:
            await action(pair.server, event)

    pair.server.events.on(event_type=EventType.DATAGRAM_RECEIVED, handler=handler)
    await pair.client.send_datagram(data=b"first")
    async with asyncio.timeout(5):
        await first.wait()
    await asyncio.sleep(0)
    await pair.client.send_datagram(data=b"second")


async def test_datagrams_are_answered_in_order(pair):
    async def echo(session, event) -> None:
        await session.send_datagram(data=event.data["data"])

    await handled_by(pair, echo)
    for number in range(100):
        await pair.client.send_datagram(data=b"%d" % number)
    async with asyncio.timeout(5):
        assert [await pair.client.read_datagram() for _ in range(101)] == [b"second", *(b"%d" % n for n in range(100))]


async def test_more_than_fits_can_be_sent(pair):
    done = asyncio.Event()

    async def flood(session, event) -> None:
        for number in range(3000):
            await session.send_datagram(data=b"%d" % number)
        done.set()

    await handled_by(pair, flood)
    async with asyncio.timeout(10):
        assert await pair.client.read_datagram() == b"0"
        await done.wait()


@pytest.mark.parametrize("turns", [0, 1])
async def test_the_session_can_be_closed(pair, turns):
    closed = asyncio.Event()

    async def close(session, event) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await session.close(error_code=7, reason="enough")
        closed.set()

    waiting = asyncio.ensure_future(pair.client.events.wait_for(event_type=EventType.SESSION_CLOSED, timeout=5))
    await handled_by(pair, close)
    event = await waiting
    assert (event.data["code"], event.data["reason"]) == (7, "enough")
    async with asyncio.timeout(5):
        await closed.wait()
    assert pair.server.is_closed
    assert (await pair.connections.open_session()).server.is_closed is False


async def test_the_connection_can_be_closed(pair):
    closed = asyncio.Event()

    async def close(session, event) -> None:
        await session.connection.close()
        closed.set()

    waiting = asyncio.ensure_future(pair.client.events.wait_for(event_type=EventType.SESSION_CLOSED, timeout=5))
    await handled_by(pair, close)
    await waiting
    async with asyncio.timeout(5):
        await closed.wait()
    assert pair.connections.server.is_closed


async def test_streams_can_be_opened_and_used(pair):
    async def ask(session, event) -> None:
        stream = await session.create_bidirectional_stream()
        await stream.write(data=b"question", end_stream=True)
        answers.put_nowait(await stream.read_all())

    async def answer(event) -> None:
        stream = event.data["stream"]
        await stream.write(data=await stream.read_all() + b" answered", end_stream=True)

    answers: asyncio.Queue[bytes] = asyncio.Queue()
    pair.client.events.on(event_type=EventType.STREAM_OPENED, handler=answer)
    await handled_by(pair, ask)
    async with asyncio.timeout(5):
        assert await answers.get() == b"question answered"


async def test_the_next_datagram_can_be_awaited(pair):
    async def pairs(session, event) -> None:
        if event.data["data"] == b"second":
            following = await session.events.wait_for(event_type=EventType.DATAGRAM_RECEIVED, timeout=5)
            await session.send_datagram(data=event.data["data"] + following.data["data"])

    await handled_by(pair, pairs)
    await pair.client.send_datagram(data=b"third")
    async with asyncio.timeout(5):
        assert await pair.client.read_datagram() == b"secondthird"


async def test_a_handler_can_take_itself_off_and_leave_the_rest_to_a_reader(pair):
    async def read_on(session, event) -> None:
        session.events.remove_all_listeners(event_type=EventType.DATAGRAM_RECEIVED)
        await session.send_datagram(data=await session.read_datagram())

    await handled_by(pair, read_on)
    await pair.client.send_datagram(data=b"third")
    async with asyncio.timeout(5):
        assert await pair.client.read_datagram() == b"third"


async def test_handlers_get_every_datagram_whoever_reads(pair):
    async def read(session, event) -> None:
        seen.append(event.data["data"])
        if event.data["data"] in (b"second", b"3"):
            read_by_handler.append(await session.read_datagram())

    seen: list[bytes] = []
    read_by_handler: list[bytes] = []
    await handled_by(pair, read)
    for number in range(3, 8):
        await pair.client.send_datagram(data=b"%d" % number)
    async with asyncio.timeout(5):
        while len(seen) < 6 or len(read_by_handler) < 2:
            await asyncio.sleep(0.001)
    assert seen == [b"second", b"3", b"4", b"5", b"6", b"7"]
    assert read_by_handler == [b"3", b"4"]


async def test_one_that_waits_outlives_the_session_as_any_handler(pair):
    async def wait(session, event) -> None:
        began.set()
        await go.wait()
        ended.set()

    began, go, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    await handled_by(pair, wait)
    async with asyncio.timeout(5):
        await began.wait()
        await pair.server.close()
        go.set()
        await ended.wait()


async def test_what_it_raises_is_logged(pair, caplog):
    async def fail(session, event) -> None:
        raise WebTransportError("a failure")

    await handled_by(pair, fail)
    async with asyncio.timeout(5):
        while not caplog.records:
            await asyncio.sleep(0.001)
    (record,) = caplog.records
    assert "datagram_received failed" in record.getMessage()
    assert "a failure" in str(record.exc_info[1])
    caplog.clear()


@pytest.mark.parametrize("ends", ["the client", "the server"])
async def test_nothing_of_it_is_left_after_the_session(pair, ends):
    async def echo(session, event) -> None:
        tasks.append(id(asyncio.current_task()))
        await session.send_datagram(data=event.data["data"])

    def alive() -> bool:
        return any(isinstance(each, asyncio.Task) and id(each) in tasks for each in gc.get_objects())

    tasks: list[int] = []
    await handled_by(pair, echo)
    assert await pair.client.read_datagram() == b"second"
    gc.collect()
    assert alive()
    gc.disable()
    try:
        await (pair.client if ends == "the client" else pair.server).close()
        async with asyncio.timeout(5):
            while alive():
                await asyncio.sleep(0.001)
    finally:
        gc.enable()
