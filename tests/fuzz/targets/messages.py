"""What programs exchange: serializers, structured messages, RPC, publish and subscribe, reliable datagrams.

Documented: SerializationError of the serializers, StreamError and SerializationError of structured streams; the readers
of RPC and of publish and subscribe raise nothing. What was read is written and read again as the same; every request
gets one answer at most, each with the id of a request; a reader ends with its stream.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

from fake_cores import FakeStreamCore, make_stream
from fuzzing.byte_source import ByteSource
from fuzzing.outcomes import Trace, check, outcome
from google.protobuf.descriptor_pb2 import UninterpretedOption
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from models.shapes import HINTS, REGISTRY

from wtransport._speedups import BACKEND
from wtransport.config import ClientConfig
from wtransport.datagram import DatagramReliabilityLayer
from wtransport.events import Event
from wtransport.exceptions import SerializationError, StreamError, WebTransportError
from wtransport.pubsub import PubSubBroker, PubSubManager
from wtransport.rpc import RpcManager
from wtransport.serializer import JSONSerializer, MsgPackSerializer, ProtobufSerializer
from wtransport.stream import StructuredStream
from wtransport.types import EventType

__all__ = ["BACKEND", "SHORT_RUNS", "fuzz", "seeds"]

SHORT_RUNS = 250

_JSON = JSONSerializer()
_MSGPACK = MsgPackSerializer()
_PROTOBUF = [ProtobufSerializer(message_class=each) for each in (Struct, Timestamp, UninterpretedOption)]
_LIMIT = 400


def seeds() -> Iterator[bytes]:
    """Yield messages of every kind."""
    leaf = {"number": 3, "text": "é", "data": "YQ=="}
    values: list[Any] = [
        *(
            None,
            0,
            -1,
            1.5,
            True,
            "red",
            "2024-02-29",
            "12:30:00",
            "2024-02-29T12:30:00+01:00",
            "YQ==",
            [],
            {},
            [1, "x"],
        ),
        *("00000000-0000-0000-0000-000000000001", leaf, {"leaf": leaf, "children": [{"leaf": leaf}], "either": leaf}),
        *([1, 2.0], {"1": "a"}, {"true": 1}, {"name": "n", "sizes": [1]}, {"red": 1}, 9, [leaf]),
    ]
    for index in range(len(HINTS)):
        for value in values:
            yield bytes([0, index]) + json.dumps(value).encode()
    for index, value in enumerate(values):
        yield bytes([1, index]) + _MSGPACK.serialize(obj=value)
        yield bytes([1, index + len(values)]) + _MSGPACK.serialize(obj={"leaf": value})
    yield bytes([1, 0]) + bytes.fromhex("d6ff00000001")
    yield bytes([1, 0]) + bytes.fromhex("c70cffffffffff0000000000000001")
    yield bytes([2, 0]) + bytes.fromhex("0a0a0a0161120519000000000000f03f")[:14]
    yield bytes([2, 1]) + bytes.fromhex("08ffffffff0f1001")
    calls: list[Any] = [
        {"id": 1, "method": "add", "params": [1, 2]},
        {"id": "a", "method": "add", "params": {"a": 1, "b": 2}},
        {"id": None, "method": "add", "params": []},
        {"method": "$/cancelRequest", "params": [1]},
        {"id": 1, "result": 5},
        {"id": 1, "error": {"code": -32000, "message": "no"}},
        {"id": 2, "method": "wait"},
        {"id": 3, "method": "fail", "params": [1]},
        [1],
        {"id": [], "method": 5},
    ]
    frames = [struct.pack("!I", len(text)) + text for text in (json.dumps(call).encode() for call in calls)]
    yield b"\x03\x00" + b"".join(frames)
    for frame in frames:
        yield b"\x03\x01" + frame + frames[0]
    lines = [
        b"SUB a\n",
        b"PUB a 3\nabc",
        b"UNSUB a\n",
        b"MSG a 2\nhi",
        b"SUB-OK a\n",
        b"SUB-FAIL a no way\n",
        b"X\n",
        b"\n",
    ]
    for kind in (4, 5):
        yield bytes([kind, 0]) + b"".join(lines)
        for line in lines:
            yield bytes([kind, 1]) + line + lines[0] + lines[1]
        yield bytes([kind, 0]) + b"SUB a\nMSG a 99999999999\nPUB a -1\n"
    for kind in (0, 1, 7, 0xFFFF, 5):
        text = json.dumps(leaf).encode()
        yield b"\x06\x00" + struct.pack("!HI", kind, len(text)) + text + struct.pack("!HI", kind, 2) + b"{}"
    yield (
        b"\x07" + b"\x09\x04DATA\x00\x00\x00\x01" + b"\x0a\x04DATA\x00\x00\x00\x01x" + b"\x05\x03ACK1" + b"\x05\x03ACKx"
    )


def fuzz(data: bytes) -> Trace:
    """Run one input."""
    source = ByteSource(data)
    trace: Trace = []
    kinds = (_json, _msgpack, _protobuf, _rpc, _subscriber, _broker, _structured_stream, _reliable_datagrams)
    kinds[source.below(len(kinds))](source, trace)
    return trace


def _json(source: ByteSource, trace: Trace) -> None:
    _deserialize(_JSON, source, trace)


def _msgpack(source: ByteSource, trace: Trace) -> None:
    _deserialize(_MSGPACK, source, trace)


def _deserialize(serializer: Any, source: ByteSource, trace: Trace) -> None:
    hint = source.pick(HINTS)
    data = source.rest()
    result = outcome(serializer.deserialize, data=data, obj_type=hint, documented=(SerializationError,))
    trace.append(repr(result))
    if result[0] == "raised":
        return
    written = outcome(serializer.serialize, obj=result[2], documented=(SerializationError,))
    if written[0] == "returned":
        again = outcome(serializer.deserialize, data=written[2], obj_type=hint, documented=(SerializationError,))
        check(again[0] == "returned", f"{result[2]!r} cannot be read again as {hint}: {again}")
        trace.append(repr(again[2]) == repr(result[2]))


def _protobuf(source: ByteSource, trace: Trace) -> None:
    serializer = source.pick(_PROTOBUF)
    result = outcome(serializer.deserialize, data=source.rest(), documented=(SerializationError,))
    trace.append(result[0])
    if result[0] == "returned":
        written = outcome(serializer.serialize, obj=result[2], documented=(SerializationError,))
        if written[0] == "returned":
            serializer.deserialize(data=written[2])


class _Core(FakeStreamCore):
    """A stream whose bytes leave at once."""

    def write(self, data: bytes, *, end_stream: bool = False) -> None:
        super().write(data, end_stream=end_stream)
        self.unsent = 0

    def take(self) -> None:
        pass


def _played(source: ByteSource, play: Callable[[Any, _Core], Awaitable[None]]) -> _Core:
    """Let a coroutine have a stream on which the rest of the source arrives, in pieces, and then ends."""
    size = source.byte() or 255
    core = _Core()
    pieces = []
    while source.has_more:
        pieces.append(source.take(size))

    async def run() -> None:
        stream = make_stream(core, max_message_size=_LIMIT, close_timeout=1.0, rpc_concurrency_limit=3)
        stream._session.connection = SimpleNamespace(config=stream._session._config)
        task = asyncio.ensure_future(play(stream, core))
        for piece in pieces:
            core.arrive(piece)
            for _ in range(3):
                await asyncio.sleep(0)
        core.arrive(end_stream=True)
        await asyncio.wait_for(task, 5.0)

        left = asyncio.all_tasks() - {asyncio.current_task()}
        check(not left, f"tasks left behind: {left}")

    asyncio.run(run())
    return core


def _rpc(source: ByteSource, trace: Trace) -> None:
    def fail(*args: Any) -> None:
        raise WebTransportError("no")

    async def wait() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def play(stream: Any, core: _Core) -> None:
        async with RpcManager(stream=stream, session_id="fake") as manager:
            manager.register(func=lambda a, b: [a, b], name="add")
            manager.register(func=fail, name="fail")
            manager.register(func=wait, name="wait")
            call = asyncio.ensure_future(manager.call(method="theirs", params=[1], timeout=4.0))
            trace.append(await _result(call))
            await _end_of(manager._reader)

    core = _played(source, play)
    sent = b"".join(data for data, _ in core.written)
    answered: list[Any] = []
    while sent:
        (length,) = struct.unpack("!I", sent[:4])
        message, sent = json.loads(sent[4 : 4 + length]), sent[4 + length :]
        if "method" not in message:
            answered.append(json.dumps(message))
            check("id" in message and ("result" in message) != ("error" in message), f"no response: {message}")
    trace += answered


async def _end_of(reader: asyncio.Task[None] | None) -> None:
    """Wait for the end of the task that reads; what it raised reaches nobody but this."""
    assert reader is not None
    await asyncio.wait([reader])
    if not reader.cancelled():
        reader.result()


async def _result(call: asyncio.Future[Any]) -> Any:
    try:
        return "returned", json.dumps(await call)
    except WebTransportError as error:
        return type(error).__name__, str(error)


def _subscriber(source: ByteSource, trace: Trace) -> None:
    async def play(stream: Any, core: _Core) -> None:
        async with PubSubManager(stream=stream, max_queue_size=4) as manager:
            trace.append(repr(await _result(asyncio.ensure_future(_subscribe(manager)))))
            await _end_of(manager._reader)
            counts = manager.stats.to_dict()
            trace.append([value for name, value in counts.items() if name != "created_at"])

    _played(source, play)


async def _subscribe(manager: PubSubManager) -> Any:
    subscription = await manager.subscribe(topic="a", timeout=4.0)
    return subscription.topic


def _broker(source: ByteSource, trace: Trace) -> None:
    async def play(stream: Any, core: _Core) -> None:
        async with PubSubBroker(max_message_size=_LIMIT) as broker:
            await broker.serve(stream=stream)
            counts = broker.stats.to_dict()
            trace.append([(name, value) for name, value in counts.items() if "_at" not in name])
            check(broker.subscriber_count(topic="a") == 0, "a client that is gone is subscribed")

    core = _played(source, play)
    trace.append(b"".join(data for data, _ in core.written))


def _structured_stream(source: ByteSource, trace: Trace) -> None:
    serializer = source.pick([_JSON, _MSGPACK])

    async def play(stream: Any, core: _Core) -> None:
        messages = StructuredStream(stream=stream, serializer=serializer, registry=REGISTRY, max_message_size=_LIMIT)
        while True:
            try:
                received = await messages.receive_obj()
            except SerializationError as error:
                trace.append(str(error))
                if core.stops or core.resets:
                    return
                continue
            except StreamError as error:
                trace.append(str(error))
                return
            check(type(received) in REGISTRY.values() or received is None, f"{received!r} is not registered")
            trace.append(repr(received))

    _played(source, play)


def _reliable_datagrams(source: ByteSource, trace: Trace) -> None:
    session: Any = SimpleNamespace(
        is_closed=False, session_id="fake", connection=SimpleNamespace(config=ClientConfig())
    )
    layer = DatagramReliabilityLayer(session)
    while source.has_more:
        event = Event(type=EventType.DATAGRAM_RECEIVED, data={"data": source.blob()})
        layer._on_datagram(event)
        trace.append((layer._take_message(), len(layer._acks), layer._refused))
        check(layer.unconfirmed == 0, "a message that was never sent is unconfirmed")
