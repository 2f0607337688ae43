"""A broker that passes messages on, and clients that publish and subscribe."""

from __future__ import annotations

import asyncio

from local import client_config, running, server_config

from wtransport import ServerApp, WebTransportClient, WebTransportSession
from wtransport.pubsub import PubSubBroker, PubSubManager, SlowSubscriberPolicy, SubscriptionFailedError


def may(*, session: WebTransportSession, action: str, topic: str) -> bool:
    return action == "publish" or not topic.startswith("secret")


async def reader(session: WebTransportSession, ready: asyncio.Event) -> None:
    stream = await session.create_bidirectional_stream()
    async with PubSubManager(stream=stream, max_queue_size=16) as pubsub:
        try:
            await pubsub.subscribe(topic="secret-plans")
        except SubscriptionFailedError as error:
            print("refused:", error.message)
        async with await pubsub.subscribe(topic="news") as subscription:
            ready.set()
            async for message in subscription:
                print("news:", message)
                if message == b"good night":
                    return


async def writer(session: WebTransportSession) -> None:
    stream = await session.create_bidirectional_stream()
    async with PubSubManager(stream=stream, max_queue_size=16) as pubsub:
        await pubsub.publish(topic="news", data=b"good morning")
        await pubsub.publish(topic="news", data=b"good night")


async def main() -> None:
    app = ServerApp(config=server_config())
    broker = PubSubBroker(max_queue_size=100, slow_subscribers=SlowSubscriberPolicy.DISCONNECT, authorize=may)

    @app.route(path="/pubsub")
    async def serve(session: WebTransportSession) -> None:
        await broker.serve_session(session=session)

    async with broker, running(app) as url, WebTransportClient(config=client_config()) as client:
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reader(await client.connect(url=f"{url}/pubsub"), ready))
            await ready.wait()
            print("subscribers:", broker.subscriber_count(topic="news"))
            tasks.create_task(writer(await client.connect(url=f"{url}/pubsub")))


if __name__ == "__main__":
    asyncio.run(main())
