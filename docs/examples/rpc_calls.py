"""Remote procedure calls over one stream, both ways."""

from __future__ import annotations

import asyncio

from local import client_config, running, server_config

from wtransport import ServerApp, WebTransportClient, WebTransportSession
from wtransport.rpc import MethodNotFoundError, RpcError, RpcManager, RpcTimeoutError


async def divide(dividend: float, divisor: float = 1.0) -> float:
    if divisor == 0:
        raise RpcError("cannot divide by zero", error_code=1001)  # the caller sees code and message
    return dividend / divisor


async def sleep(seconds: float) -> None:
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        print("server: the caller does not wait any more")
        raise


async def serve(session: WebTransportSession) -> None:
    stream = await anext(session.incoming_bidirectional_streams())
    async with RpcManager(stream=stream, session_id=session.session_id) as rpc:
        rpc.register(func=divide)
        rpc.register(func=sleep)
        print("server: the client is called", await rpc.call(method="name", params=[]))
        await session.events.wait_for(event_type="session_closed")


async def use(session: WebTransportSession) -> None:
    stream = await session.create_bidirectional_stream()
    async with RpcManager(stream=stream, session_id=session.session_id) as rpc:
        rpc.register(func=lambda: "anna", name="name")  # the server calls it

        print("by position:", await rpc.call(method="divide", params=[7, 2]))
        print("by name:", await rpc.call(method="divide", params={"dividend": 9, "divisor": 3}))
        print("at once:", await asyncio.gather(*(rpc.call(method="divide", params=[n, 2]) for n in range(3))))
        try:
            await rpc.call(method="divide", params=[1, 0])
        except RpcError as error:
            print("error", error.error_code, error.message)
        try:
            await rpc.call(method="multiply", params=[1, 2])
        except MethodNotFoundError as error:
            print(error.message)
        try:
            await rpc.call(method="sleep", params=[60], timeout=0.5)
        except RpcTimeoutError:
            print("gave up, and the server was told")
        await rpc.call(method="divide", params=[1])  # has its answer after the cancellation was dealt with


async def main() -> None:
    app = ServerApp(config=server_config())
    app.route(path="/rpc")(serve)
    async with running(app) as url, WebTransportClient(config=client_config()) as client:
        await use(await client.connect(url=f"{url}/rpc"))


if __name__ == "__main__":
    asyncio.run(main())
