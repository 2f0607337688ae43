"""A publish/subscribe broker that serves many sessions over connections on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from handle_pair import SessionPair, connection_pair
from loopback import client_config, running, server_config
from toolkit import WAIT, StreamPair, both_ends, cancelled_after, leaves_no_task, stands_still, stream_pair, until

from wtransport import ServerApp, WebTransportClient, WebTransportSession
from wtransport.constants import ErrorCodes
from wtransport.exceptions import StreamError
from wtransport.pubsub import (
    PubSubBroker,
    PubSubError,
    PubSubManager,
    SlowSubscriberPolicy,
    SubscriptionFailedError,
)

SMALL = {"max_stream_write_buffer": 10_000, "flow_control_window_size": 65536}


@contextlib.asynccontextmanager
async def served(broker: PubSubBroker, sessions: SessionPair) -> AsyncIterator[StreamPair]:
    """A stream whose server's end the broker serves."""
    pair = await both_ends(sessions)
    serving = asyncio.ensure_future(broker.serve(stream=pair.server))
    try:
        yield pair
    finally:
        serving.cancel()
        await asyncio.wait([serving])


async def test_an_app_serves_clients_of_many_sessions(certificate: Any) -> None:
    app = ServerApp(config=server_config(certificate))
    broker = PubSubBroker()

    @app.route(path="/pubsub")
    async def serve(session: WebTransportSession) -> None:
        await broker.serve_session(session=session)

    async with leaves_no_task(), broker, running(app) as url, contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(WebTransportClient(config=client_config(certificate)))
        managers, subscriptions = [], []
        for _ in range(6):
            session = await client.connect(url=f"{url}/pubsub")
            manager = PubSubManager(stream=await session.create_bidirectional_stream(), max_queue_size=300)
            managers.append(await stack.enter_async_context(manager))
            subscriptions.append(await manager.subscribe(topic="all"))
        only = await managers[0].subscribe(topic="one")
        assert broker.subscriber_count(topic="all") == 6
        for number in range(40):
            await managers[number % 6].publish(topic="all", data=b"%d" % number)
        await managers[3].publish(topic="one", data=b"!")
        for subscription in subscriptions:
            assert {int(await anext(subscription)) for _ in range(40)} == set(range(40))
        assert await anext(only) == b"!"
        assert await broker.publish(topic="all", data="from the server") == 6
        assert await anext(subscriptions[5]) == b"from the server"
        await managers[0].close()
        await until(lambda: broker.subscriber_count(topic="all") == 5)
        stats = broker.stats
        assert (stats.clients, stats.topics, stats.subscriptions) == (5, 1, 5)
        assert (stats.messages_published, stats.messages_delivered, stats.messages_dropped) == (42, 247, 0)
        assert stats.to_dict()["clients"] == 5


async def test_a_server_that_publishes_without_a_pause_loses_nothing(certificate: Any) -> None:
    async with stream_pair(certificate) as pair, PubSubBroker(max_queue_size=8) as broker:
        serving = asyncio.ensure_future(broker.serve(stream=pair.server))
        async with PubSubManager(stream=pair.client, max_queue_size=4) as manager:
            subscription = await manager.subscribe(topic="a")
            reading = asyncio.ensure_future(collect(subscription, 3000))
            for number in range(3000):
                await broker.publish(topic="a", data=b"%d" % number)
            assert await reading == [b"%d" % number for number in range(3000)]
            assert broker.stats.messages_dropped == 0
        await serving


async def collect(subscription: Any, count: int) -> list[bytes]:
    return [await anext(subscription) for _ in range(count)]


@pytest.mark.parametrize("policy", list(SlowSubscriberPolicy))
async def test_a_slow_subscriber_harms_nobody_else(certificate: Any, policy: SlowSubscriberPolicy) -> None:
    async with (
        leaves_no_task(),
        connection_pair(certificate, client=SMALL, server=SMALL) as connections,
        PubSubBroker(max_queue_size=10, slow_subscribers=policy) as broker,
        served(broker, await connections.open_session()) as slow,
        served(broker, await connections.open_session()) as fast,
        PubSubManager(stream=fast.client, max_queue_size=300) as manager,
    ):
        await slow.client.write(data=b"SUB a\n")
        assert await slow.client.readline() == b"SUB-OK a\n"  # and reads no more
        subscription = await manager.subscribe(topic="a")
        total = 200
        for number in range(total):
            await broker.publish(topic="a", data=b"%05d" % number + b"x" * 1000)
            assert (await anext(subscription))[:5] == b"%05d" % number
        assert subscription.dropped == 0
        stats = broker.stats
        if policy is SlowSubscriberPolicy.DISCONNECT:
            assert (stats.clients_disconnected, stats.clients, broker.subscriber_count(topic="a")) == (1, 1, 1)
            with pytest.raises(StreamError) as raised:
                await slow.client.read_all()
            assert raised.value.application_code == ErrorCodes.APP_RESOURCE_EXHAUSTED
            return
        assert stats.clients_disconnected == 0
        assert 0 < stats.messages_dropped < total
        assert stats.messages_published == total
        numbers = []
        for _ in range(total - stats.messages_dropped):
            assert await slow.client.readline() == b"MSG a 1005\n"
            numbers.append(int((await slow.client.readexactly(n=1005))[:5]))
        assert numbers == sorted(numbers)
        assert numbers[0] == 0
        assert (numbers[-1] == total - 1) is (policy is SlowSubscriberPolicy.DROP_OLDEST)
        await broker.publish(topic="a", data=b"now")
        assert await slow.client.readline() == b"MSG a 3\n"


async def test_a_queue_is_bounded_in_bytes(certificate: Any) -> None:
    async with (
        connection_pair(certificate, client=SMALL, server=SMALL) as connections,
        PubSubBroker(max_queue_size=1000, max_queue_bytes=5000) as broker,
        served(broker, await connections.open_session()) as slow,
    ):
        await slow.client.write(data=b"SUB a\n")
        await slow.client.readline()
        for _ in range(200):
            await broker.publish(topic="a", data=b"x" * 1000)
        (client,) = broker._clients
        assert client._bytes <= 5000
        assert broker.stats.messages_dropped > 0


async def test_a_client_that_takes_nothing_is_cut_off(certificate: Any) -> None:
    settings = SMALL | {"write_timeout": 0.1}
    async with (
        leaves_no_task(),
        stream_pair(certificate, client=SMALL, server=settings) as pair,
        PubSubBroker(max_queue_size=10) as broker,
    ):
        serving = asyncio.ensure_future(broker.serve(stream=pair.server))
        await pair.client.write(data=b"SUB a\n")
        await pair.client.readline()
        async with asyncio.timeout(WAIT):
            while not serving.done():  # however long it takes until everything on the way is full
                await broker.publish(topic="a", data=b"x" * 1000)
                await asyncio.sleep(0)
        await serving
        assert broker.stats.clients == broker.stats.topics == 0


async def test_a_client_that_reads_no_answers_gets_no_more_commands_read(certificate: Any) -> None:
    async with (
        leaves_no_task(),
        stream_pair(certificate, client=SMALL, server=SMALL) as pair,
        PubSubBroker(max_subscriptions=100_000) as broker,
    ):
        serving = asyncio.ensure_future(broker.serve(stream=pair.server))

        async def ask_for_ever() -> None:
            for number in range(1_000_000):
                await pair.client.write(data=b"SUB %0100d\n" % number)

        asking = asyncio.ensure_future(ask_for_ever())

        async def subscriptions() -> int:
            return broker.stats.subscriptions

        assert 64 < await stands_still(subscriptions) < 5000
        assert not asking.done()
        asking.cancel()
        serving.cancel()
        await asyncio.wait([asking, serving])


async def test_who_may_do_what(certificate: Any) -> None:
    asked = []

    async def authorize(*, session: WebTransportSession, action: str, topic: str) -> bool:
        asked.append((session, action, topic))
        if topic == "broken":
            raise KeyError(topic)
        return topic == "public" or (action, topic) == ("subscribe", "news")

    async with stream_pair(certificate) as pair, PubSubBroker(authorize=authorize) as broker:
        serving = asyncio.ensure_future(broker.serve(stream=pair.server))
        async with PubSubManager(stream=pair.client, max_queue_size=4) as manager:
            for topic in ("secret", "broken"):
                with pytest.raises(SubscriptionFailedError, match="not allowed"):
                    await manager.subscribe(topic=topic)
            news, public = await manager.subscribe(topic="news"), await manager.subscribe(topic="public")
            await manager.publish(topic="news", data=b"1")
            await manager.publish(topic="public", data=b"2")
            assert await anext(public) == b"2"
            assert await broker.publish(topic="news", data=b"3") == 1
            assert await anext(news) == b"3"
            assert asked[0] == (pair.sessions.server, "subscribe", "secret")
            assert broker.stats.requests_refused == 3
        await serving


async def test_limits_of_clients_and_subscriptions(certificate: Any) -> None:
    async with (
        connection_pair(certificate) as connections,
        PubSubBroker(max_clients=1, max_subscriptions=2) as broker,
        served(broker, await connections.open_session()) as pair,
        PubSubManager(stream=pair.client, max_queue_size=4) as manager,
    ):
        for topic in ("a", "b"):
            await manager.subscribe(topic=topic)
        with pytest.raises(SubscriptionFailedError, match="too many"):
            await manager.subscribe(topic="c")
        await manager.unsubscribe(topic="a")
        await manager.subscribe(topic="c")
        second = await both_ends(pair.sessions)
        await broker.serve(stream=second.server)
        with pytest.raises(StreamError) as raised:
            await second.client.read()
        assert raised.value.application_code == ErrorCodes.APP_RESOURCE_EXHAUSTED


@pytest.mark.parametrize("data", [b"PUB a 11\n", b"PUB a\n", b"PUB a one\n", b"x" * 9000])
async def test_a_client_that_cannot_be_understood_is_cut_off(certificate: Any, data: bytes) -> None:
    async with leaves_no_task(), stream_pair(certificate) as pair, PubSubBroker(max_message_size=10) as broker:
        serving = asyncio.ensure_future(broker.serve(stream=pair.server))
        await pair.client.write(data=data)
        with pytest.raises(StreamError):
            await pair.client.read()
        await serving


async def test_nonsense_is_passed_over(certificate: Any) -> None:
    async with stream_pair(certificate) as pair, PubSubBroker() as broker:
        serving = asyncio.ensure_future(broker.serve(stream=pair.server))
        await pair.client.write(
            data=b"\nHELLO you\nUNSUB\nUNSUB never\nSUB\nSUB \xff\nPUB \x01 1\nxPUB \xff 1\nxSUB a\n"
        )
        lines = [await pair.client.readline() for _ in range(4)]
        assert lines == [b"SUB-FAIL  invalid topic\n", b"SUB-OK \xff\n", b"MSG \xff 1\n", b"xSUB-OK a\n"]
        serving.cancel()
        await asyncio.wait([serving])


async def test_closing_sends_what_is_queued(certificate: Any) -> None:
    async with leaves_no_task(), connection_pair(certificate) as connections:
        broker = PubSubBroker()
        async with broker:
            sessions = await connections.open_session()
            serving = asyncio.ensure_future(broker.serve_session(session=sessions.server))
            streams = [await sessions.client.create_bidirectional_stream() for _ in range(2)]
            for stream in streams:
                await stream.write(data=b"SUB a\n")
                assert await stream.readline() == b"SUB-OK a\n"
            assert await broker.publish(topic="a", data=b"last words") == 2
        await serving
        for stream in streams:
            assert await stream.read_all() == b"MSG a 10\nlast words"
        assert not sessions.server.is_closed
        assert broker.stats.clients == 0
        await broker.close()
        for operation in (
            broker.publish(topic="a", data=b""),
            broker.serve(stream=streams[0]),
            broker.serve_session(session=sessions.server),
        ):
            with pytest.raises(PubSubError, match="async with"):
                await operation


@pytest.mark.parametrize("turns", range(8))
async def test_cancelling_at_any_moment_leaves_nothing_behind(certificate: Any, turns: int) -> None:
    async with leaves_no_task(), connection_pair(certificate) as connections, PubSubBroker() as broker:
        sessions = await connections.open_session()
        stream = await sessions.client.create_bidirectional_stream()
        await stream.write(data=b"SUB a\nPUB a 1\nx")
        await asyncio.sleep(0.02)
        await cancelled_after(turns, lambda: broker.serve_session(session=sessions.server))
        assert broker.stats.clients == broker.stats.topics == 0
        pair = await both_ends(await connections.open_session())
        await pair.client.write(data=b"SUB a\n")
        await cancelled_after(turns, lambda: broker.serve(stream=pair.server))
        assert broker.stats.clients == broker.stats.topics == 0


def test_mistakes_raise_at_once() -> None:
    for name in ("max_queue_size", "max_queue_bytes", "max_message_size", "max_clients", "max_subscriptions"):
        with pytest.raises(ValueError, match=name):
            PubSubBroker(**{name: 0})
    with pytest.raises(ValueError, match="slow"):
        PubSubBroker(slow_subscribers="slow")


async def test_its_own_messages_are_checked() -> None:
    async with PubSubBroker(max_message_size=3) as broker:
        with pytest.raises(PubSubError, match="larger than max_message_size"):
            await broker.publish(topic="a", data=b"1234")
        with pytest.raises(ValueError, match="topic"):
            await broker.publish(topic="a b", data=b"")
        assert await broker.publish(topic="a", data=b"123") == 0
