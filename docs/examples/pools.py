"""Pools: sessions and streams that are used again, at most so many at a time."""

from __future__ import annotations

import asyncio

from local import client_config, running, server_config

from wtransport import ServerApp, WebTransportClient, WebTransportSession, WebTransportStream
from wtransport.pool import SessionPool, StreamPool


async def serve(session: WebTransportSession) -> None:
    async with asyncio.TaskGroup() as tasks:
        async for stream in session.incoming_bidirectional_streams():
            tasks.create_task(answer_lines(stream))


async def answer_lines(stream: WebTransportStream) -> None:
    try:
        while True:
            await stream.write(data=(await stream.readline()).upper())
    except asyncio.IncompleteReadError:
        await stream.close()


async def main() -> None:
    app = ServerApp(config=server_config())
    app.route(path="/")(serve)
    async with running(app) as url, WebTransportClient(config=client_config()) as client:
        session = await client.connect(url=f"{url}/")
        async with StreamPool(session=session, max_size=2) as streams:

            async def ask(number: int) -> bytes:
                async with streams.get() as stream:  # waits while two are lent
                    await stream.write(data=f"question {number}\n")
                    return await stream.readline()

            print(await asyncio.gather(*(ask(number) for number in range(4))))

        async with SessionPool(client=client, url=f"{url}/", max_size=3) as sessions:
            async with sessions.get() as first:
                pass
            async with sessions.get() as second:
                print("the same session:", first is second)


if __name__ == "__main__":
    asyncio.run(main())
