"""What the two generations of the toolkit do with each other: one end acts, the other serves.

The classes come from the package that `toolkit_of` is given, ours or pywebtransport 0.9.1; the handles below are always
ours. Either end may act, and what it finds must be `EXPECTED`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from dataclasses import dataclass, field
from typing import Any

__all__ = ["EXERCISES", "EXPECTED", "Toolkit", "act", "serve", "toolkit_of"]

TIMEOUT = 20.0  # seconds for one exercise
REFUSED = "secret"  # the topic that the broker refuses
COUNT = 40  # messages of the exercises with messages
LARGE = 300_000  # characters: many packets


@dataclass
class Toolkit:
    """The classes of one package."""

    rpc: Any
    pubsub: Any
    structured: Any
    reliable: Any
    serializer: Any


@dataclass
class Note:
    """What structured streams carry here."""

    number: int
    text: str
    tags: list[str] = field(default_factory=list)


def toolkit_of(package: str) -> Toolkit:
    """Import the toolkit of `package`."""
    module = {name: importlib.import_module(f"{package}.{name}") for name in ("rpc", "pubsub", "stream", "datagram")}
    return Toolkit(
        rpc=module["rpc"].RpcManager,
        pubsub=module["pubsub"].PubSubManager,
        structured=module["stream"].StructuredStream,
        reliable=module["datagram"].DatagramReliabilityLayer,
        serializer=importlib.import_module(f"{package}.serializer").JSONSerializer(),
    )


async def act(exercise: str, toolkit: Toolkit, session: Any, stream: Any) -> Any:
    """Be the end that begins; returns what it found."""
    async with asyncio.timeout(TIMEOUT):
        return await _ACTS[exercise](toolkit, session, stream)


async def serve(exercise: str, toolkit: Toolkit, session: Any, stream: Any) -> None:
    """Be the other end, until the one that acts is done."""
    async with asyncio.timeout(TIMEOUT):
        await _SERVES[exercise](toolkit, session, stream)


# Calls, both ways on one stream.


async def _act_rpc(toolkit: Toolkit, session: Any, stream: Any) -> Any:
    async with toolkit.rpc(stream=stream, session_id=session.session_id, rpc_concurrency_limit=4) as manager:
        manager.register(func=lambda text: text * 2, name="double")
        found: dict[str, Any] = {"add": await manager.call(method="add", params=[1, 2])}
        squares = await asyncio.gather(*(manager.call(method="square", params=[n]) for n in range(COUNT)))
        found["squares"] = sum(squares)
        found["large"] = len(await manager.call(method="echo", params=["x" * LARGE]))
        found["called back"] = await manager.call(method="call_back", params=["ab"])
        found["errors"] = [
            await _code_of(manager.call(method="nothing", params=[])),
            await _code_of(manager.call(method="fail", params=[])),
        ]
        try:
            await manager.call(method="hang", params=[], timeout=0.2)
        except Exception as error:
            found["time-out"] = type(error).__name__
        found["after it"] = await manager.call(method="add", params=[3, 4])
        await manager.call(method="finish", params=[])
        return found


async def _serve_rpc(toolkit: Toolkit, session: Any, stream: Any) -> None:
    finished = asyncio.Event()
    manager = toolkit.rpc(stream=stream, session_id=session.session_id, rpc_concurrency_limit=4)

    async def square(number: int) -> int:
        await asyncio.sleep(0.001)
        return number * number

    async def call_back(text: str) -> Any:
        return await manager.call(method="double", params=[text])

    def fail() -> None:
        raise KeyError("reason")

    async def hang() -> None:
        await asyncio.Event().wait()

    manager.register(func=lambda a, b: a + b, name="add")
    manager.register(func=lambda text: text, name="echo")
    manager.register(func=finished.set, name="finish")
    for func in (square, call_back, fail, hang):
        manager.register(func=func)
    async with manager:
        await finished.wait()
        await _until_closed(stream)


async def _code_of(call: Any) -> int | None:
    try:
        await call
    except Exception as error:
        return int(getattr(error, "error_code", 0))
    return None


# Objects there and back on one stream.


def _structured(toolkit: Toolkit, stream: Any) -> Any:
    return toolkit.structured(
        stream=stream, serializer=toolkit.serializer, registry={1: Note, 2: list}, max_message_size=1_000_000
    )


async def _act_structured(toolkit: Toolkit, session: Any, stream: Any) -> Any:
    objects = _structured(toolkit, stream)
    sent: list[Any] = [Note(n, "ü" * n, ["a", "b"]) for n in range(COUNT)]
    sent += [Note(-1, "x" * LARGE), [1, "two", None]]
    received = []
    for obj in sent:
        await objects.send_obj(obj=obj)
        received.append(await objects.receive_obj())
    await stream.write(data=b"", end_stream=True)
    return {"same": received == sent, "count": len(received), "rest": len(await stream.read_all())}


async def _serve_structured(toolkit: Toolkit, session: Any, stream: Any) -> None:
    objects = _structured(toolkit, stream)
    async for obj in objects:
        await objects.send_obj(obj=obj)
    await objects.close()


# Reliable datagrams there and back.


async def _act_reliable(toolkit: Toolkit, session: Any, stream: Any) -> Any:
    async with toolkit.reliable(session, ack_timeout=0.2, max_retries=20) as layer:
        await stream.readexactly(n=1)  # the other end listens
        for number in range(COUNT):
            await layer.send(data=b"%d" % number)
        echoes = {int(await layer.receive(timeout=TIMEOUT)) for _ in range(COUNT)}
        await stream.write(data=b"!", end_stream=True)
        await _until_closed(stream)
        return {"echoes": len(echoes), "sum": sum(echoes)}


async def _serve_reliable(toolkit: Toolkit, session: Any, stream: Any) -> None:
    async with toolkit.reliable(session, ack_timeout=0.2, max_retries=20) as layer:
        await stream.write(data=b"!")
        for _ in range(COUNT):
            await layer.send(data=await layer.receive(timeout=TIMEOUT))
        await stream.readexactly(n=1)
        await stream.close()


# Publish and subscribe: the 0.9 API has no broker, so the end that serves is always ours.


async def _act_pubsub(toolkit: Toolkit, session: Any, stream: Any) -> Any:
    async with toolkit.pubsub(stream=stream, max_queue_size=COUNT) as manager:
        found: dict[str, Any] = {}
        try:
            await manager.subscribe(topic=REFUSED)
        except Exception as error:
            found["refused"] = type(error).__name__
        async with await manager.subscribe(topic="news") as news, await manager.subscribe(topic="large") as large:
            for number in range(COUNT):
                await manager.publish(topic="news", data=f"{number}\n")
            await manager.publish(topic="large", data=b"x" * LARGE)
            await manager.publish(topic="nobody", data=b"x")
            found["news"] = sum([int(await anext(news)) for _ in range(COUNT)])
            found["large"] = len(await anext(large))
            found["topics"] = manager.stats.topics_subscribed
        found["topics at the end"] = manager.stats.topics_subscribed
        found["published"] = manager.stats.messages_published
        found["received"] = manager.stats.messages_received
        return found


async def _serve_pubsub(toolkit: Toolkit, session: Any, stream: Any) -> None:
    from wtransport.pubsub import PubSubBroker  # what the 0.9 API does not have

    broker = PubSubBroker(authorize=lambda *, session, action, topic: topic != REFUSED)
    async with broker:
        await broker.serve(stream=stream)


async def _until_closed(stream: Any) -> None:
    """Wait for the other end to be done with the stream."""
    closed = asyncio.Event()
    stream.events.once(event_type="stream_closed", handler=lambda event: closed.set())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(30):
            await closed.wait()


_ACTS = {"rpc": _act_rpc, "structured": _act_structured, "reliable": _act_reliable, "pubsub": _act_pubsub}
_SERVES = {"rpc": _serve_rpc, "structured": _serve_structured, "reliable": _serve_reliable, "pubsub": _serve_pubsub}

EXERCISES = list(_ACTS)
EXPECTED: dict[str, Any] = {
    "rpc": {
        "add": 3,
        "squares": sum(n * n for n in range(COUNT)),
        "large": LARGE,
        "called back": "abab",
        "errors": [-32601, -32603],
        "time-out": "RpcTimeoutError",
        "after it": 7,
    },
    "structured": {"same": True, "count": COUNT + 2, "rest": 0},
    "reliable": {"echoes": COUNT, "sum": sum(range(COUNT))},
    "pubsub": {
        "refused": "SubscriptionFailedError",
        "news": sum(range(COUNT)),
        "large": LARGE,
        "topics": 2,
        "topics at the end": 0,
        "published": COUNT + 2,
        "received": COUNT + 1,
    },
}
