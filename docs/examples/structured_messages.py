"""Typed objects instead of bytes, on streams and in datagrams."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from local import client_config, running, server_config

from wtransport import (
    ServerApp,
    StructuredDatagramTransport,
    StructuredStream,
    WebTransportClient,
    WebTransportSession,
)
from wtransport.serializer import JSONSerializer


@dataclass
class Question:
    text: str


@dataclass
class Answer:
    text: str
    certainty: float


@dataclass
class Position:
    x: float
    y: float


# Both ends need the same numbers; 0 to 65535.
MESSAGES = {1: Question, 2: Answer, 3: Position}


async def serve(session: WebTransportSession) -> None:
    positions = StructuredDatagramTransport(session=session, serializer=JSONSerializer(), registry=MESSAGES)
    await positions.initialize()
    print("server:", await positions.receive_obj())

    stream = await anext(session.incoming_bidirectional_streams())
    messages = StructuredStream(
        stream=stream, serializer=JSONSerializer(), registry=MESSAGES, max_message_size=64 * 1024
    )
    async for message in messages:
        print("server:", message)
        await messages.send_obj(obj=Answer(text="42", certainty=0.9))
    await messages.close()


async def main() -> None:
    app = ServerApp(config=server_config())
    app.route(path="/")(serve)
    async with running(app) as url, WebTransportClient(config=client_config()) as client:
        session = await client.connect(url=f"{url}/")
        positions = StructuredDatagramTransport(session=session, serializer=JSONSerializer(), registry=MESSAGES)
        await positions.initialize()
        await positions.send_obj(obj=Position(x=1.5, y=-2.0))

        stream = await session.create_bidirectional_stream()
        messages = StructuredStream(
            stream=stream, serializer=JSONSerializer(), registry=MESSAGES, max_message_size=64 * 1024
        )
        await messages.send_obj(obj=Question(text="what is the answer?"))
        print("client:", await messages.receive_obj())
        await messages.close()


if __name__ == "__main__":
    asyncio.run(main())
