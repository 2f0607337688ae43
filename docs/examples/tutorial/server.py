"""Send back everything that comes: streams on themselves, datagrams as datagrams."""

from __future__ import annotations

import asyncio

from wtransport import ServerApp, ServerConfig, WebTransportSession

app = ServerApp(config=ServerConfig(bind_port=4433, certfile="localhost.crt", keyfile="localhost.key"))


@app.route(path="/echo")
async def echo(session: WebTransportSession) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(echo_streams(session))
        tasks.create_task(echo_datagrams(session))


async def echo_streams(session: WebTransportSession) -> None:
    async for stream in session.incoming_bidirectional_streams():
        await stream.write_all(data=await stream.read_all())


async def echo_datagrams(session: WebTransportSession) -> None:
    async for data in session.incoming_datagrams():
        await session.send_datagram(data=data)


if __name__ == "__main__":
    print("serving at https://localhost:4433/echo, Ctrl-C stops it", flush=True)
    app.run()
