"""A server with routes, middleware, and something to do at its start and its end."""

from __future__ import annotations

import asyncio
import re

from local import client_config, running, server_config

from wtransport import ClientError, Headers, ServerApp, WebTransportClient, WebTransportSession
from wtransport.server import create_auth_middleware, create_rate_limit_middleware

app = ServerApp(
    config=server_config(
        allowed_origins=["https://example.com"],  # for browsers; other clients send no origin
        middleware=[create_rate_limit_middleware(max_requests=100, window_seconds=60)],
    )
)


async def has_token(*, headers: Headers) -> bool:
    return headers.get("authorization") == "Bearer let-me-in"


app.add_middleware(middleware=create_auth_middleware(auth_handler=has_token))


@app.middleware
async def only_short_paths(*, session: WebTransportSession) -> bool:
    return len(session.path) < 100  # False refuses the request with 403


@app.on_startup
async def open_database() -> None:
    print("server: starting")


@app.on_shutdown
async def close_database() -> None:
    print("server: stopping")


@app.route(path="/time")
async def tell_time(session: WebTransportSession) -> None:
    # The session is accepted when this function first waits for something, and closed when it returns.
    await session.send_datagram(data=b"ten past nine")
    await session.events.wait_for(event_type="session_closed")


@app.pattern_route(pattern=r"/rooms/(\w+)$")
async def enter_room(session: WebTransportSession) -> None:
    found = re.match(r"/rooms/(\w+)$", session.path)
    name = found[1] if found else ""
    await session.send_datagram(data=f"welcome to {name}")
    await session.events.wait_for(event_type="session_closed")


@app.route(path="/vip", auto_accept=False)
async def vip(session: WebTransportSession) -> None:
    # Decides after asking somebody else, while the client waits.
    await asyncio.sleep(0)
    await session.reject(status_code=503, headers={"retry-after": "60"})


async def try_it(url: str) -> None:
    async with WebTransportClient(config=client_config()) as client:
        client.set_default_headers(headers={"authorization": "Bearer let-me-in"})
        for path in ("/time", "/rooms/kitchen"):
            session = await client.connect(url=url + path)
            print(path, await session.read_datagram())
        for path in ("/vip", "/nowhere"):
            try:
                await client.connect(url=url + path)
            except ClientError as error:
                print(path, error.details["status"])
        try:
            await client.connect(url=f"{url}/time", headers={"authorization": "Bearer guess"})
        except ClientError as error:
            print("wrong token", error.details["status"])
        try:
            await client.connect(url=f"{url}/time", headers={"origin": "https://elsewhere.example"})
        except ClientError as error:
            print("wrong origin", error.details["status"])


async def main() -> None:
    async with running(app) as url:
        await try_it(url)


if __name__ == "__main__":
    asyncio.run(main())  # a program that only serves: app.run()
