"""The load, in a process of its own: ``python client.py CERTIFICATE PORT SEED``.

On each line ``load SECONDS`` it makes connections, sessions, streams and datagrams for a while, waits until all of it
is over, and says what it holds then. It writes JSON lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from ends import SessionEnd
from watch import Watch, commands, say

from wtransport import ClientConfig, ClientError, WebTransportClient, WebTransportError, WebTransportSession
from wtransport.pubsub import PubSubManager
from wtransport.rpc import RpcError, RpcManager, RpcTimeoutError

ENDINGS = ("client", "server", "return", "raise", "abrupt")
HISTORY = 1100
"""Sessions before anything is measured: more than an event history keeps."""

AGREEMENT = 20.0
"""Seconds in which the books of both ends must come to agree, once both are quiet."""

AT_A_TIME = 4
"""Connections under load."""


class Load:
    """Everything a client may do."""

    def __init__(self, url: str, config: ClientConfig, seed: int) -> None:
        self._url = url
        self._config = config
        self._chance = Random(seed)
        self._client = WebTransportClient(config=config)
        self._control: WebTransportSession | None = None
        self._number = 0
        self.counts: Counter[str] = Counter()

    # What stays open all the time.

    async def begin(self) -> None:
        """Open the connection that asks the server for its books, and fill histories that are bounded."""
        self._control = await self._client.connect(url=f"{self._url}/books?")
        first = await self._client.connect(url=f"{self._url}/rpc")
        for _ in range(HISTORY // 50):
            coming = [first.connection.create_session(path="/brief") for _ in range(50)]
            await asyncio.gather(*(session.close() for session in await asyncio.gather(*coming)))
        await first.close()

    async def end(self) -> dict[str, Any]:
        """Close everything; return the totals."""
        await self._client.close()
        figures = await self._client.diagnostics()
        return {"traffic": dataclasses.asdict(figures.traffic), "stats": figures.stats.to_dict()}

    async def run(self, seconds: float) -> None:
        """Be busy for so long, and then until all of it is over."""
        end = asyncio.get_running_loop().time() + seconds
        vanishing = [asyncio.ensure_future(self._guarded(self._vanish)) for _ in range(2)]
        await asyncio.gather(*(self._worker(end) for _ in range(AT_A_TIME)), *vanishing)

    async def _worker(self, end: float) -> None:
        deeds: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (10, self._connection),
            (2, self._cancelled_connect),
            (2, self._refused),
            (1, self._rpc),
            (1, self._topics),
            (1, self._brief_client),
        ]
        weights, choices = zip(*deeds, strict=True)
        while asyncio.get_running_loop().time() < end:
            await self._guarded(self._chance.choices(choices, weights)[0])

    async def _guarded(self, deed: Callable[[], Awaitable[None]]) -> None:
        try:
            await asyncio.wait_for(deed(), 120)
        except Exception as error:
            say("failure", text=f"client: {deed.__name__}: {type(error).__name__}: {error}")

    # One connection with some sessions.

    async def _connection(self) -> None:
        name = self._next_name()
        first = await self._begin_session(name, None)
        connection = first.session.connection
        others = [self._session(name, connection) for _ in range(self._chance.randrange(4))]
        await asyncio.gather(self._fill(first), *others)
        await first.wait_for_both()
        await self._compare(name, connection)
        ending = self._chance.choice((*ENDINGS, "connection", "graceful"))
        if ending == "connection":
            await connection.close(error_code=self._chance.choice((0, 0x1234)), reason="enough")
        elif ending == "graceful":
            await connection.graceful_shutdown()
        else:
            await self._end_session(first, ending)
        await first.finish()
        self.counts["connections"] += 1

    async def _session(self, name: str, connection: Any) -> None:
        end = await self._begin_session(name, connection)
        ending = self._chance.choice(ENDINGS)
        filling = asyncio.ensure_future(self._fill(end))
        if ending == "abrupt":
            await asyncio.wait([filling], timeout=self._chance.random() / 3)
        else:
            await filling
            await end.wait_for_both()
        await self._end_session(end, ending)
        await filling
        await end.finish()

    async def _begin_session(self, name: str, connection: Any) -> SessionEnd:
        chance = Random(self._chance.random())
        session_name = self._next_name()
        ending = chance.choice(("close", "return", "raise"))
        path = (
            f"/load?connection={name}&name={session_name}&push={chance.randrange(6)}&ending={ending}"
            f"&datagrams={chance.choice(('echo', 'keep'))}"
        )
        if connection is None:
            session = await self._client.connect(url=self._url + path)
        else:
            session = await connection.create_session(path=path)
        self.counts["sessions"] += 1
        end = SessionEnd(session, session_name, "client", chance)
        end.begin(echo_datagrams=False)
        return end

    async def _fill(self, end: SessionEnd) -> None:
        await asyncio.gather(
            end.open_streams(self._chance.randrange(20)), end.send_datagrams(self._chance.choice((0, 0, 10, 100)))
        )

    async def _end_session(self, end: SessionEnd, ending: str) -> None:
        with contextlib.suppress(WebTransportError):
            if ending in ("client", "abrupt"):
                await end.session.close(error_code=self._chance.randrange(1 << 32), reason="done")
            else:
                await end.ask_to_end()

    async def _compare(self, name: str, connection: Any) -> None:
        """See that both ends of a connection say the same of what went through it."""
        assert self._control is not None
        ours: dict[str, int] = {}
        theirs: dict[str, int] = {}
        for _ in range(int(AGREEMENT / 0.05)):
            stream = await self._control.create_bidirectional_stream()
            await stream.write_all(data=name.encode())
            theirs = json.loads(await stream.read_all())
            ours = dataclasses.asdict((await connection.diagnostics()).traffic)
            wrong = disagreements(ours, theirs)
            if not wrong:
                self.counts["compared"] += 1
                return
            await asyncio.sleep(0.05)
        say("failure", text=f"connection {name}: {wrong}; client {ours}, server {theirs}")

    # What goes wrong on purpose, and the toolkit.

    async def _vanish(self) -> None:
        """Drop a connection without a word, with a session open and work under way."""
        end = await self._begin_session(self._next_name(), None)
        filling = asyncio.ensure_future(self._fill(end))
        await asyncio.sleep(self._chance.random() / 5)
        end.session.connection._transport.abort()
        self.counts["vanished"] += 1
        await filling
        await end.finish()

    async def _cancelled_connect(self) -> None:
        """Give up connecting at any moment, most of them before there is a session."""
        connecting = asyncio.ensure_future(self._client.connect(url=f"{self._url}/brief"))
        await asyncio.wait([connecting], timeout=self._chance.random() * 0.02)
        self.counts["cancelled"] += 1
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await connecting).close()

    async def _refused(self) -> None:
        with contextlib.suppress(ClientError):
            await self._client.connect(url=f"{self._url}/{self._chance.choice(('refused', 'nowhere'))}")
            say("failure", text="client: a session was not refused")
        self.counts["refused"] += 1

    async def _brief_client(self) -> None:
        """Use a client of its own, closed with everything still open."""
        async with WebTransportClient(config=self._config) as client:
            session = await client.connect(url=f"{self._url}/rpc")
            stream = await session.create_bidirectional_stream()
            await stream.write(data=b"\0\0")
        self.counts["brief clients"] += 1

    async def _rpc(self) -> None:
        session = await self._client.connect(url=f"{self._url}/rpc")
        stream = await session.create_bidirectional_stream()
        async with RpcManager(stream=stream, session_id=session.session_id) as manager:
            quotients = await asyncio.gather(*(manager.call(method="divide", params=[n, 2]) for n in range(20)))
            if quotients != [n / 2 for n in range(20)]:
                say("failure", text="client: wrong answers")
            with contextlib.suppress(RpcError):
                await manager.call(method="divide", params=[1, 0])
            with contextlib.suppress(RpcTimeoutError):
                await manager.call(method="sleep", params=[30], timeout=0.01)
        await session.close()
        self.counts["rpc sessions"] += 1

    async def _topics(self) -> None:
        topic = f"topic-{self._next_name()}"
        reader = await self._client.connect(url=f"{self._url}/topics")
        writer = await self._client.connect(url=f"{self._url}/topics")
        async with (
            PubSubManager(stream=await reader.create_bidirectional_stream(), max_queue_size=64) as reading,
            PubSubManager(stream=await writer.create_bidirectional_stream(), max_queue_size=64) as writing,
        ):
            subscription = await reading.subscribe(topic=topic)
            for number in range(20):
                await writing.publish(topic=topic, data=b"%d" % number)
            for number in range(20):
                if await anext(aiter(subscription)) != b"%d" % number:
                    say("failure", text="client: messages out of order")
            await subscription.unsubscribe()
        await reader.close()
        await writer.close()
        self.counts["topics"] += 1

    def _next_name(self) -> str:
        self._number += 1
        return str(self._number)


def disagreements(ours: dict[str, int], theirs: dict[str, int]) -> list[str]:
    """Return which sums do not hold between the two ends of a connection."""
    wrong = []
    for mine, others in ((ours, theirs), (theirs, ours)):
        for left, right in (("bytes_sent", "bytes_received"),):
            if mine[left] != others[right]:
                wrong.append(f"{left} {mine[left]} is not {right} {others[right]}")
        if mine["datagrams_sent"] < others["datagrams_received"]:
            wrong.append("more datagrams received than sent")
    if ours["sessions_opened"] != theirs["sessions_opened"]:
        wrong.append("sessions opened")
    if ours["streams_opened"] + ours["streams_unclaimed"] != theirs["streams_opened"] + theirs["streams_unclaimed"]:
        wrong.append("streams opened")
    return wrong


async def glance(watch: Watch) -> None:
    """Say every second what is held under load."""
    while True:
        await asyncio.sleep(1)
        say("glance", **watch.glance())


async def main(certfile: str, port: str, seed: str, trace: str) -> None:
    watch = Watch()
    if trace == "trace":
        watch.trace()
    config = ClientConfig(ca_certs=certfile, log_level="WARNING", connection_keepalive_timeout=2.0, connect_timeout=20)
    load = Load(f"https://127.0.0.1:{port}", config, int(seed))
    orders = await commands()
    say("look", at_rest=True, **await watch.look(tasks=1))
    await load.begin()
    say("ready")
    while order := (await orders.readline()).decode().split():
        match order[0]:
            case "load":
                glancing = asyncio.ensure_future(glance(watch))
                await load.run(float(order[1]))
                glancing.cancel()
                say("look", **await watch.look(tasks=1))
            case "mark":
                watch.mark()
                say("marked")
            case "end":
                totals = await load.end()
                say("look", at_rest=True, **await watch.look(tasks=1))
                complaints = dict(watch.complaints.found)
                say("totals", counts=load.counts, complaints=complaints, grown=watch.grown(), **totals)
                return


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
