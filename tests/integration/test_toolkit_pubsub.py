"""The client's side of publish and subscribe over a connection on loopback, mostly against a scripted broker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from toolkit import StreamPair, cancelled_after, leaves_no_task, stream_pair, until

from wtransport.exceptions import StreamError
from wtransport.pubsub import PubSubBroker, PubSubError, PubSubManager, Subscription, SubscriptionFailedError


@pytest.fixture
async def pair(certificate):
    async with stream_pair(certificate) as pair:
        yield pair


def manager_on(pair: StreamPair, **options: Any) -> PubSubManager:
    return PubSubManager(**{"stream": pair.client, "max_queue_size": 16} | options)


async def subscribed(pair: StreamPair, manager: PubSubManager, topic: str, **options: Any) -> Subscription:
    """Subscribe, and play the broker that agrees."""
    subscribing = asyncio.ensure_future(manager.subscribe(topic=topic, **options))
    assert await pair.server.readline() == b"SUB %b\n" % topic.encode()
    await pair.server.write(data=b"SUB-OK %b\n" % topic.encode())
    return await subscribing


async def test_the_wire_format(pair: StreamPair) -> None:
    async with leaves_no_task(), manager_on(pair) as manager:
        subscription = await subscribed(pair, manager, "news/é")
        await manager.publish(topic="a", data=b"x\ny")
        await manager.publish(topic="b", data="ü")
        assert await pair.server.readexactly(n=20) == b"PUB a 3\nx\nyPUB b 2\n\xc3"
        assert await pair.server.read() == b"\xbc"
        await pair.server.write(data="MSG news/é 4\n1\n2\n".encode())
        assert await anext(subscription) == b"1\n2\n"
        await manager.unsubscribe(topic="news/é")
        assert await pair.server.readline() == "UNSUB news/é\n".encode()
        assert [each async for each in subscription] == []
        stats = manager.stats.to_dict()
        assert stats.pop("created_at") > 0
        assert stats == {
            "topics_subscribed": 0,
            "messages_published": 2,
            "messages_received": 1,
            "subscription_errors": 0,
        }


async def test_a_refused_subscription_raises_the_brokers_reason(pair: StreamPair) -> None:
    async with manager_on(pair) as manager:
        subscribing = asyncio.ensure_future(manager.subscribe(topic="a"))
        await pair.server.readline()
        await pair.server.write(data=b"SUB-FAIL a not for you\n")
        with pytest.raises(SubscriptionFailedError, match="not for you"):
            await subscribing
        assert manager.stats.subscription_errors == 1
        await subscribed(pair, manager, "a")  # the next one is asked anew
        assert manager.stats.topics_subscribed == 1


async def test_a_subscription_without_an_answer_times_out_and_is_taken_back(pair: StreamPair) -> None:
    async with manager_on(pair) as manager:
        with pytest.raises(SubscriptionFailedError, match="timed out"):
            await manager.subscribe(topic="a", timeout=0.02)
        assert await pair.server.readexactly(n=14) == b"SUB a\nUNSUB a\n"
        await pair.server.write(data=b"SUB-OK a\nMSG a 1\nx")
        subscription = await subscribed(pair, manager, "b")
        await pair.server.write(data=b"MSG b 1\ny")
        assert await anext(subscription) == b"y"


async def test_two_subscriptions_to_a_topic(pair: StreamPair) -> None:
    async with manager_on(pair) as manager:
        subscribing = [asyncio.ensure_future(manager.subscribe(topic="a")) for _ in range(2)]
        assert await pair.server.readline() == b"SUB a\n"
        await pair.server.write(data=b"SUB-OK a\n")
        first, second = [await each for each in subscribing]
        third = await manager.subscribe(topic="a")
        await pair.server.write(data=b"MSG a 1\nx")
        assert [await anext(each) for each in (first, second, third)] == [b"x"] * 3
        assert manager.stats.messages_received == 1
        await first.unsubscribe()
        async with second:
            pass
        await pair.server.write(data=b"MSG a 1\ny")
        assert await anext(third) == b"y"
        assert [each async for each in second] == []
        await third.unsubscribe()
        await third.unsubscribe()
        assert await pair.server.readline() == b"UNSUB a\n"


async def test_a_full_queue_drops_the_newest_and_says_so(pair: StreamPair, caplog: pytest.LogCaptureFixture) -> None:
    async with manager_on(pair) as manager:
        small, large = (
            await subscribed(pair, manager, "a", max_queue_size=2),
            await manager.subscribe(topic="a"),
        )
        await pair.server.write(data=b"".join(b"MSG a 1\n%d" % n for n in range(5)))
        assert [await anext(large) for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
        assert small.dropped == 3
        assert "full" in caplog.text
        await small.unsubscribe()
        assert [each async for each in small] == [b"0", b"1"]


async def test_a_reader_that_keeps_up_loses_nothing_of_a_burst(pair: StreamPair) -> None:
    async with manager_on(pair) as manager:
        subscription = await subscribed(pair, manager, "a", max_queue_size=1)
        received: list[bytes] = []

        async def receive() -> None:
            async for message in subscription:
                received.append(message)

        receiving = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await pair.server.write(data=b"".join(b"MSG a 4\n%04d" % n for n in range(5000)))
        await until(lambda: len(received) == 5000)
        assert subscription.dropped == 0
        await pair.server.close()
        await receiving
        assert received == [b"%04d" % n for n in range(5000)]


async def test_a_broker_may_end_a_subscription(pair: StreamPair) -> None:
    async with manager_on(pair) as manager:
        subscription = await subscribed(pair, manager, "a")
        waiting = asyncio.ensure_future(anext(subscription))
        await pair.server.write(data=b"SUB-FAIL a too slow\n")
        with pytest.raises(SubscriptionFailedError, match="too slow"):
            await waiting
        assert subscription.is_ended
        await subscription.unsubscribe()
        await subscribed(pair, manager, "b")  # no UNSUB a came before


@pytest.mark.parametrize("how", ["fin", "reset", "session", "close"])
async def test_whatever_ends_the_stream_ends_the_subscriptions(pair: StreamPair, how: str) -> None:
    async with leaves_no_task(), manager_on(pair) as manager:
        subscription = await subscribed(pair, manager, "a")
        await pair.server.write(data=b"MSG a 1\nx")
        assert await anext(subscription) == b"x"
        pending = asyncio.ensure_future(manager.subscribe(topic="b"))
        reading = asyncio.ensure_future(anext(subscription))
        await pair.server.readline()
        match how:
            case "fin":
                await pair.server.close()
            case "reset":
                await pair.server.close(error_code=3)
            case "session":
                await pair.sessions.server.close()
            case "close":
                await manager.close()
        with pytest.raises(PubSubError, match="closed"):
            await pending
        with pytest.raises(StopAsyncIteration):
            await reading
        await subscription.unsubscribe()
        for operation in (manager.publish(topic="a", data=b""), manager.subscribe(topic="a")):
            with pytest.raises(PubSubError, match="closed"):
                await operation
        await manager.unsubscribe(topic="a")


async def test_closing_sends_what_was_published(pair: StreamPair) -> None:
    async with manager_on(pair) as manager:
        await manager.publish(topic="a", data=b"x" * 500_000)
    assert len(await pair.server.read_all()) == 500_000 + len("PUB a 500000\n")


@pytest.mark.parametrize(
    "data", [b"MSG a 17\n", b"MSG a x\n", b"MSG a -1\n", b"MSG a\n", b"MSG a 99999999999\n", b"x" * 9000]
)
async def test_what_cannot_be_read_on_ends_the_stream(pair: StreamPair, data: bytes) -> None:
    async with leaves_no_task(), manager_on(pair, max_message_size=16) as manager:
        subscription = await subscribed(pair, manager, "a")
        await pair.server.write(data=data)
        assert [each async for each in subscription] == []
        with pytest.raises(StreamError):
            await pair.server.read_all()


async def test_unknown_commands_are_passed_over(pair: StreamPair) -> None:
    async with manager_on(pair) as manager:
        subscription = await subscribed(pair, manager, "a")
        await pair.server.write(data=b"\nNEW a b\nSUB-OK\nSUB-OK x\nSUB-FAIL\nSUB-FAIL y\nMSG x 1\n1MSG a 1\n2")
        assert await anext(subscription) == b"2"


async def test_a_quiet_stream_outlives_the_read_timeout(certificate: Any) -> None:
    async with stream_pair(certificate, client={"read_timeout": 0.02}) as pair, manager_on(pair) as manager:
        subscription = await subscribed(pair, manager, "a")
        await pair.server.write(data=b"MSG a ")
        await asyncio.sleep(0.1)
        await pair.server.write(data=b"1\nx")
        assert await anext(subscription) == b"x"


@pytest.mark.parametrize("turns", range(12))
async def test_cancelling_a_subscriber_at_any_moment_leaves_nothing_behind(certificate: Any, turns: int) -> None:
    async with (
        leaves_no_task(),
        PubSubBroker() as broker,
        stream_pair(certificate) as pair,
        manager_on(pair) as manager,
    ):
        serving = asyncio.ensure_future(broker.serve(stream=pair.server))

        async def use() -> None:
            async with await manager.subscribe(topic="a") as subscription:
                await anext(subscription)

        await cancelled_after(turns, use)
        assert manager._topics == {}
        async with await manager.subscribe(topic="b") as subscription:
            await manager.publish(topic="b", data=b"x")
            assert await anext(subscription) == b"x"
            assert broker.subscriber_count(topic="a") == 0
        await manager.close()
        await serving


@pytest.mark.parametrize("turns", range(8))
async def test_cancelling_a_manager_at_any_moment_leaves_nothing_behind(certificate: Any, turns: int) -> None:
    async with leaves_no_task(), PubSubBroker() as broker, stream_pair(certificate) as pair:
        serving = asyncio.ensure_future(broker.serve(stream=pair.server))

        async def use() -> None:
            async with manager_on(pair) as manager, await manager.subscribe(topic="a") as subscription:
                await anext(subscription)

        if await cancelled_after(turns, use) and turns:
            await serving
            assert broker.stats.clients == 0
        serving.cancel()


async def test_mistakes_raise_at_once(pair: StreamPair) -> None:
    for options in ({"max_queue_size": 0}, {"max_message_size": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            manager_on(pair, **options)
    manager = manager_on(pair, max_message_size=10)
    for operation in (manager.publish(topic="a", data=b""), manager.subscribe(topic="a")):
        with pytest.raises(PubSubError, match="async with"):
            await operation
    with pytest.raises(ValueError, match="max_queue_size"):
        Subscription(topic="a", manager=manager, max_queue_size=0)
    async with manager:
        for topic in ("", "a b", "a\n", "\x00", "x" * 1025, "ü" * 600):
            with pytest.raises(ValueError, match="topic"):
                await manager.publish(topic=topic, data=b"")
            with pytest.raises(ValueError, match="topic"):
                await manager.subscribe(topic=topic)
        with pytest.raises(TypeError, match="topic"):
            await manager.publish(topic=b"a", data=b"")
        with pytest.raises(TypeError, match="data"):
            await manager.publish(topic="a", data=5)
        with pytest.raises(ValueError, match="timeout"):
            await manager.subscribe(topic="a", timeout=0)
        with pytest.raises(ValueError, match="max_queue_size"):
            await manager.subscribe(topic="a", max_queue_size=0)
        with pytest.raises(PubSubError, match="larger than max_message_size"):
            await manager.publish(topic="a", data=b"x" * 11)
    with pytest.raises(PubSubError, match="closed"):
        await manager.__aenter__()
