"""Streams: several at once, with a slow reader, with time-outs, and given up by either end."""

from __future__ import annotations

import asyncio

from local import client_config, running, server_config

from wtransport import ServerApp, StreamError, TimeoutError, WebTransportClient, WebTransportSession, WebTransportStream

TOO_SLOW = 17
"""A code of this program's own; the other end sees it."""


async def serve_streams(session: WebTransportSession) -> None:
    """Serve every stream in a task of its own, so that a slow one does not hold up the others."""
    async with asyncio.TaskGroup() as tasks:
        async for stream in session.incoming_bidirectional_streams():
            tasks.create_task(serve_stream(stream))


async def serve_stream(stream: WebTransportStream) -> None:
    try:
        command = (await stream.readline()).decode().strip()
        if command == "upper":
            async for chunk in stream:  # chunks as they come, up to the end of the stream
                await stream.write(data=chunk.upper())  # waits while the client does not read
            await stream.close()
        elif command == "count":
            size = 0
            while chunk := await stream.read(max_bytes=4096):
                size += len(chunk)
                await asyncio.sleep(0)  # a reader that takes its time
            await stream.write_all(data=str(size).encode())
        elif command == "sleep":
            await stream.read_all()  # and answer nothing
        else:
            await stream.close(error_code=404)
    except StreamError as error:
        print("server: the client gave up with code", error.application_code)


async def upper(session: WebTransportSession) -> None:
    async with await session.create_bidirectional_stream() as stream:  # closed at the end of the block
        await stream.write(data=b"upper\n")
        await stream.write(data=b"hello, ")
        await stream.write(data=b"world", end_stream=True)
        print("upper:", await stream.read_all())


async def several_at_once(session: WebTransportSession) -> None:
    async def one(number: int) -> bytes:
        stream = await session.create_bidirectional_stream()
        await stream.write_all(data=f"upper\nstream {number}".encode())
        return await stream.read_all()

    print("at once:", await asyncio.gather(*(one(number) for number in range(3))))


async def large(session: WebTransportSession) -> None:
    """Send more than fits into any buffer: `write` waits for the reader, and memory stays small."""
    stream = await session.create_bidirectional_stream()
    await stream.write(data=b"count\n")
    for _ in range(64):
        await stream.write(data=bytes(65536))
    await stream.write(data=b"", end_stream=True)  # not close(), which would also refuse the answer
    print("count:", await stream.read_all())


async def give_up(session: WebTransportSession) -> None:
    stream = await session.create_bidirectional_stream()
    await stream.write(data=b"sleep\n")
    try:
        await stream.read()
    except TimeoutError:
        print("time-out: nothing came within read_timeout")
        await stream.close(error_code=TOO_SLOW)


async def unknown(session: WebTransportSession) -> None:
    stream = await session.create_bidirectional_stream()
    await stream.write(data=b"dance\n")
    try:
        await stream.read_all()
    except StreamError as error:
        print("client: the server gave up with code", error.application_code)


async def main() -> None:
    app = ServerApp(config=server_config())
    app.route(path="/")(serve_streams)
    config = client_config(write_timeout=5.0, max_stream_write_buffer=256 * 1024)
    async with running(app) as url, WebTransportClient(config=config) as client:
        session = await client.connect(url=f"{url}/")
        await upper(session)
        await several_at_once(session)
        await large(session)
        await unknown(session)
        async with WebTransportClient(config=client_config(read_timeout=0.5)) as impatient:
            await give_up(await impatient.connect(url=f"{url}/"))


if __name__ == "__main__":
    asyncio.run(main())
