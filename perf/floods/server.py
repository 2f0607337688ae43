"""The server that is flooded: echoes requests, takes whatever else comes, answers ``stats`` on standard input."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from typing import Any

from wtransport import ServerApp, ServerConfig, WebTransportSession
from wtransport.exceptions import WebTransportError


class Taken:
    """What the handlers took."""

    def __init__(self) -> None:
        self.datagrams = 0
        self.streams = 0


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

    async def take_datagrams(session: WebTransportSession) -> None:
        async for _ in session.incoming_datagrams():
            taken.datagrams += 1

    async def take_streams(session: WebTransportSession) -> None:
        async for stream in session.incoming_unidirectional_streams():
            with contextlib.suppress(WebTransportError):  # it was reset
                await stream.read_all()
            taken.streams += 1

    return app


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until standard input ends."""
    config = ServerConfig(
        bind_host="127.0.0.1",
        bind_port=0,
        certfile=arguments.certfile,
        keyfile=arguments.keyfile,
        address_validation=arguments.validation,
    )
    taken = Taken()
    app = make_app(config, taken)
    async with app:
        await app.server.listen()
        address = app.server.local_address
        if address is None:
            raise RuntimeError("the server does not listen")
        print(address[1], flush=True)
        serving = asyncio.create_task(app.server.serve_forever())
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line.strip() == "stats":
                print(json.dumps(await stats(app, taken)), flush=True)
        serving.cancel()


async def stats(app: ServerApp, taken: Taken) -> dict[str, Any]:
    """Return what the server has taken so far, and the processor time it used."""
    diagnostics = await app.server.diagnostics()
    return {
        "datagrams": taken.datagrams,
        "streams": taken.streams,
        "cpu": time.process_time(),
        "handshakes": diagnostics.listener["retries_sent"] + diagnostics.listener["accepted"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certfile", required=True)
    parser.add_argument("--keyfile", required=True)
    parser.add_argument("--validation", default="always", choices=("never", "auto", "always"))
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    asyncio.run(serve(arguments))


if __name__ == "__main__":
    main()
