"""The server that is flooded: echoes requests, takes whatever else comes; says what it used and took for a line."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import sys
import time
from dataclasses import dataclass

from perf.floods.process import pin
from wtransport import ServerApp, ServerConfig, WebTransportSession
from wtransport.exceptions import WebTransportError


@dataclass
class Taken:
    """What reached the program."""

    datagrams: int = 0


def make_app(config: ServerConfig, taken: Taken) -> ServerApp:
    """Return the application: /echo for the victim, /take for the flooder."""
    app = ServerApp(config=config)

    @app.route(path="/echo")
    async def echo(session: WebTransportSession) -> None:
        async for stream in session.incoming_bidirectional_streams():
            await stream.write_all(data=await stream.read_all())

    @app.route(path="/take")
    async def take(session: WebTransportSession) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(take_datagrams(session))
            tasks.create_task(take_streams(session))
            tasks.create_task(take_bidirectional_streams(session))

    async def take_datagrams(session: WebTransportSession) -> None:
        async for _ in session.incoming_datagrams():
            taken.datagrams += 1

    async def take_streams(session: WebTransportSession) -> None:
        async for stream in session.incoming_unidirectional_streams():
            with contextlib.suppress(WebTransportError):  # it was reset
                await stream.read_all()

    async def take_bidirectional_streams(session: WebTransportSession) -> None:
        async for stream in session.incoming_bidirectional_streams():
            with contextlib.suppress(WebTransportError):
                await stream.read_all()
            await stream.close()

    return app


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until standard input ends."""
    config = ServerConfig(
        bind_host="127.0.0.1",
        bind_port=0,
        certfile=arguments.certfile,
        keyfile=arguments.keyfile,
        **json.loads(arguments.settings),
    )
    taken = Taken()
    app = make_app(config, taken)
    async with app:
        await app.server.listen()
        address = app.server.local_address
        if address is None:
            raise RuntimeError("the server does not listen")
        print(address[1], flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps({"cpu": time.process_time(), "datagrams": taken.datagrams}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certfile", required=True)
    parser.add_argument("--keyfile", required=True)
    parser.add_argument("--settings", default="{}")
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    pin(arguments.core)
    asyncio.run(serve(arguments))


if __name__ == "__main__":
    main()
