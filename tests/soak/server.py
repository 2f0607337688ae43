"""The server under load, in a process of its own: ``python server.py CERTIFICATE KEY SEED``.

It writes JSON lines: its port, the books of each session, and on request what it holds.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from random import Random
from typing import Any
from urllib.parse import parse_qs

from ends import SessionEnd
from watch import Watch, commands, say

from wtransport import ServerApp, ServerConfig, WebTransportSession
from wtransport.pubsub import PubSubBroker
from wtransport.rpc import RpcError, RpcManager
from wtransport.types import EventType

IDLE_TIMEOUT = 6.0
"""Seconds after which a connection that was dropped without a word is over."""


class Program:
    """The server's routes."""

    def __init__(self, app: ServerApp, seed: int) -> None:
        self._app = app
        self._chance = Random(seed)
        self._connections: dict[str, Any] = {}
        self._finishing: set[asyncio.Task[None]] = set()
        self._broker = PubSubBroker(max_queue_size=100)
        for pattern, handler in {
            r"/load\?": self.load,
            r"/books\?": self.books,
            r"/rpc": self.rpc,
            r"/topics": self.topics,
            r"/brief": self.brief,
            r"/refused": self.refused,
        }.items():
            app.pattern_route(pattern=pattern)(handler)

    async def load(self, session: WebTransportSession) -> None:
        """Carry a session of the load: what it is to do is in its query."""
        query = {name: values[0] for name, values in parse_qs(session.path.partition("?")[2]).items()}
        connection, name = session.connection, query["connection"]
        if name not in self._connections:
            self._connections[name] = connection
            connection.events.once(
                event_type=EventType.CONNECTION_CLOSED, handler=lambda _: self._connections.pop(name, None)
            )
        end = SessionEnd(session, query["name"], "server", Random(self._chance.random()))
        end.begin(echo_datagrams=query["datagrams"] == "echo")
        await end.open_streams(int(query["push"]))
        over, ending = (asyncio.ensure_future(event.wait()) for event in (end.over, end.ending))
        await asyncio.wait([over, ending], return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        ending.cancel()
        finishing = asyncio.ensure_future(end.finish())
        self._finishing.add(finishing)
        finishing.add_done_callback(self._finishing.discard)
        if end.over.is_set() or query["ending"] == "return":
            return
        if query["ending"] == "raise":
            raise RuntimeError("on purpose")
        await session.close(error_code=self._chance.randrange(1 << 32), reason="asked to")

    async def books(self, session: WebTransportSession) -> None:
        """Tell on streams what the diagnostics of connections say."""
        async for stream in session.incoming_bidirectional_streams():
            connection = self._connections.get((await stream.read_all()).decode())
            figures = None if connection is None else dataclasses.asdict((await connection.diagnostics()).traffic)
            await stream.write_all(data=json.dumps(figures).encode())

    async def rpc(self, session: WebTransportSession) -> None:
        """Be called."""
        stream = await anext(session.incoming_bidirectional_streams(), None)
        if stream is None:
            return
        async with RpcManager(stream=stream, session_id=session.session_id) as manager:
            manager.register(func=_divide, name="divide")
            manager.register(func=asyncio.sleep, name="sleep")
            if not session.is_closed:
                await session.events.wait_for(event_type=EventType.SESSION_CLOSED)

    async def topics(self, session: WebTransportSession) -> None:
        """Pass messages on."""
        await self._broker.serve_session(session=session)

    async def brief(self, session: WebTransportSession) -> None:
        """Return at once, which ends the session."""

    async def refused(self, session: WebTransportSession) -> None:
        """Refuse."""
        await session.reject(status_code=403)

    async def serve(self, orders: asyncio.StreamReader, watch: Watch) -> None:
        """Do what the lines say until there are no more."""
        async with self._broker, self._app:
            watch_server = self._app.server
            await watch_server.listen()
            address = watch_server.local_address
            assert address is not None
            say("ready", port=address[1])
            while order := (await orders.readline()).decode().split():
                match order[0]:
                    case "glance":
                        say("glance", **watch.glance())
                    case "mark":
                        watch.mark()
                        say("marked")
                    case "look":
                        await self._quiet(int(order[1]))
                        say("look", **await watch.look(tasks=1 + int(order[1])))
                    case "totals":
                        await self._say_totals(watch)

    async def _quiet(self, connections: int) -> None:
        """Wait until so many connections are left, and nothing of those that are over."""
        listener: Any = self._app.server._listener
        for _ in range(500):
            if len(listener._table) <= connections:
                return
            await asyncio.sleep(0.05)
        say("failure", text=f"server: {len(listener._table)} connections are left of {connections}")

    async def _say_totals(self, watch: Watch) -> None:
        server = self._app.server
        figures = await server.diagnostics()
        say(
            "totals",
            traffic=dataclasses.asdict(figures.traffic),
            stats=figures.stats.to_dict(),
            states=figures.connection_states,
            connections=await server.connection_manager.get_stats(),
            sessions=await server.session_manager.get_stats(),
            complaints=dict(watch.complaints.found),
            grown=watch.grown(),
            names=len(self._connections),
        )


async def _divide(dividend: float, divisor: float) -> float:
    if not divisor:
        raise RpcError("cannot divide by zero")
    return dividend / divisor


async def main(certfile: str, keyfile: str, seed: str, trace: str) -> None:
    watch = Watch()
    if trace == "trace":
        watch.trace()
    config = ServerConfig(
        bind_host="127.0.0.1",
        bind_port=0,
        certfile=certfile,
        keyfile=keyfile,
        connection_idle_timeout=IDLE_TIMEOUT,
        connection_keepalive_timeout=IDLE_TIMEOUT / 3,
        access_log=False,
        log_level="WARNING",
        address_validation="never",
        max_connection_attempts_per_address=1_000_000,
    )
    await Program(ServerApp(config=config), int(seed)).serve(await commands(), watch)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
